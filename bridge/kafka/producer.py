"""The one producer of the product: dead letters, holds, switches and redrives are written through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaProducer

from bridge.errors import BrokerError
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.replaceable_client import ReplaceableClient
from bridge.kafka.topics import PARKED_MAX_BYTES
from bridge.model import Header

_REQUEST_TIMEOUT_S = 10.0
"""How long to wait for a dead letter to be acknowledged before the failure is logged and retried."""
_WRITE_TIMEOUT_S = 30.0
"""Limit for a producer that does not even keep its own request timeout."""


class NewRecord(NamedTuple):
    """A record to be written. Without a ``partition`` the key chooses it."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[Header] = ()


class DurableProducer:
    """Writes records idempotently and returns once all in-sync replicas have acknowledged them.

    Every failure is a ``BrokerError``, or ``RecordTooLarge`` for a record that does not fit. A
    producer of which a background task has died is replaced. Usable as an asynchronous context manager.
    """

    def __init__(
        self,
        options: KafkaOptions,
        purpose: str,
        *,
        request_timeout_s: float = _REQUEST_TIMEOUT_S,
        close_timeout_s: float = 1.0,
        create: Callable[..., AIOKafkaProducer] = AIOKafkaProducer,
    ) -> None:
        """``purpose`` is what log lines call this producer; ``create`` is the class of the client."""

        def new_producer() -> AIOKafkaProducer:
            return create(
                **options.arguments(),
                acks="all",
                enable_idempotence=True,
                max_request_size=PARKED_MAX_BYTES,
                request_timeout_ms=int(request_timeout_s * 1000),
            )

        self._purpose = purpose
        self._client: ReplaceableClient[AIOKafkaProducer] = ReplaceableClient(
            new_producer, lambda producer: producer.start(), purpose, close_timeout_s
        )

    async def start(self) -> None:
        """Connect; raises ``BrokerError``, and may be called again after it."""
        async with broker_call(f"connect the producer for {self._purpose}"):
            await self._client.start()

    async def close(self) -> None:
        """Close within the timeout; records that were not acknowledged may be lost."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def write(self, record: NewRecord) -> None:
        """Return once all replicas have the record. Raises ``BrokerError``."""
        action = f"write to topic {record.topic!r}"
        async with self._client.call(action, timeout_s=_WRITE_TIMEOUT_S) as producer:
            await producer.send_and_wait(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )

    async def write_all(self, records: Sequence[NewRecord]) -> list[BrokerError | None]:
        """Write records in this order, then wait for all: for each its error, or None if acknowledged.

        Raises ``BrokerError`` only if none was sent.
        """
        async with self._client.call(f"connect the producer for {self._purpose}") as producer:
            pass
        sent = [await self._send(producer, record) for record in records]
        return [
            sending if isinstance(sending, BrokerError) else await self._outcome(record, sending)
            for record, sending in zip(records, sent, strict=True)
        ]

    async def _send(self, producer: AIOKafkaProducer, record: NewRecord) -> Any:
        """Return the future of the acknowledgement, or the error of a record that was not sent."""
        try:
            async with self._client.guarded(f"write to topic {record.topic!r}"):
                return await producer.send(
                    record.topic,
                    record.value,
                    record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
        except BrokerError as exc:
            return exc

    async def _outcome(self, record: NewRecord, sending: Any) -> BrokerError | None:
        try:
            async with self._client.guarded(f"write to topic {record.topic!r}"):
                await sending
        except BrokerError as exc:
            return exc
        return None
