"""The one kind of producer: dead letters, holds, switches, redrives and attempts are written through it.

Records are compressed, so the broker's limits apply to the compressed size. aiokafka would compare its own
limit with the size before compression; that limit is therefore set out of reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import RecordListTooLargeError

from bridge.errors import BrokerError, RecordTooLarge
from bridge.kafka.aiokafka_patches.sequence import has_lost_count
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.record_size import LARGE_BYTES, batch_bytes, limit_for, plain_bytes
from bridge.kafka.replaceable_client import ReplaceableClient
from bridge.model import Header

_REQUEST_TIMEOUT_S = 10.0
"""How long to wait for a dead letter to be acknowledged before the failure is logged and retried."""
_WRITE_TIMEOUT_S = 30.0
"""Limit for a producer that does not even keep its own request timeout."""
_REQUEST_MAX_BYTES = 96 * 1024 * 1024
"""A larger record is not sent. A broker closes the connection of a request above its
``socket.request.max.bytes`` (100 MiB by default), and aiokafka repeats that request forever."""
_NO_CLIENT_LIMIT = 2**31 - 1


class NewRecord(NamedTuple):
    """A record to be written. Without a ``partition`` the key chooses it.

    With neither key nor value, an empty value is written: aiokafka refuses such a record.
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[Header] = ()

    @property
    def plain_bytes(self) -> int:
        """Return its size before compression."""
        return plain_bytes(self.key, self.value, self.headers)


class DurableProducer:
    """Writes records idempotently and returns once all in-sync replicas have acknowledged them.

    Every failure is a ``BrokerError``, or ``RecordTooLarge`` for a record that does not fit. A
    producer of which a background task has died, or that the broker accepts nothing more of, is replaced.
    Large records are written one at a time: one request has the batches of all partitions, and together
    they would be too large for it. Usable as an asynchronous context manager.
    """

    def __init__(
        self,
        options: KafkaOptions,
        purpose: str,
        *,
        codec: str | None = None,
        request_timeout_s: float = _REQUEST_TIMEOUT_S,
        close_timeout_s: float = 1.0,
        create: Callable[..., AIOKafkaProducer] = AIOKafkaProducer,
    ) -> None:
        """``purpose`` is what log lines call this producer; ``create`` is the class of the client.

        ``codec`` compresses the records; None for that of the options.
        """

        def new_producer() -> AIOKafkaProducer:
            return create(
                **options.arguments(),
                acks="all",
                enable_idempotence=True,
                compression_type=codec or options.compression,
                max_request_size=_NO_CLIENT_LIMIT,
                request_timeout_ms=int(request_timeout_s * 1000),
            )

        self._purpose = purpose
        self._codec = codec or options.compression
        self._servers = ",".join(options.bootstrap_servers)
        self._one_large = asyncio.Lock()
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
        async with self._turn(record), self._mapped(record, _WRITE_TIMEOUT_S):
            producer = await self._client.working()
            await (await _send(producer, record))

    async def write_all(self, records: Sequence[NewRecord]) -> list[BrokerError | None]:
        """Write records in this order, then wait for all: for each its error, or None if acknowledged.

        Raises ``BrokerError`` only if none was sent.
        """
        async with self._client.call(f"connect the producer for {self._purpose}") as producer:
            pass
        sent = [await self._start(producer, record) for record in records]
        return [
            sending if isinstance(sending, BrokerError) else await self._outcome(record, sending)
            for record, sending in zip(records, sent, strict=True)
        ]

    async def _start(self, producer: AIOKafkaProducer, record: NewRecord) -> Any:
        """Return the future of the acknowledgement, or the error of a record that was not sent.

        A large record is acknowledged before this returns.
        """
        try:
            async with self._turn(record), self._mapped(record):
                sending = await _send(producer, record)
                if record.plain_bytes >= LARGE_BYTES:
                    await sending
                return sending
        except BrokerError as exc:
            return exc

    async def _outcome(self, record: NewRecord, sending: Any) -> BrokerError | None:
        try:
            async with self._mapped(record):
                await sending
        except BrokerError as exc:
            return exc
        return None

    @asynccontextmanager
    async def _turn(self, record: NewRecord) -> AsyncIterator[None]:
        """Wait until no other large record is being written, if this one is large.

        Raises ``RecordTooLarge`` for one that no request can hold.
        """
        if record.plain_bytes < LARGE_BYTES:
            yield
            return
        async with self._one_large:
            if record.plain_bytes > _REQUEST_MAX_BYTES:
                needed = await batch_bytes(self._codec, record.key, record.value, record.headers)
                if needed > _REQUEST_MAX_BYTES:
                    raise _larger_than_a_request(record, needed)
            yield

    @asynccontextmanager
    async def _mapped(self, record: NewRecord, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Map the errors of a write, and note a producer that must be replaced."""
        try:
            async with self._client.guarded(f"write to topic {record.topic!r}", timeout_s=timeout_s):
                yield
        except RecordTooLarge as exc:
            raise await self._too_large(record, exc) from exc.__cause__
        except BrokerError as exc:
            if has_lost_count(exc.__cause__):
                self._client.discard("the broker refuses its records as out of order")
            raise

    async def _too_large(self, record: NewRecord, error: RecordTooLarge) -> RecordTooLarge:
        """Return the error with the size that the topic must accept, and the command that allows it."""
        needed = await batch_bytes(self._codec, record.key, record.value, record.headers)
        setting = (
            "segment.bytes" if isinstance(error.__cause__, RecordListTooLargeError) else "max.message.bytes"
        )
        return RecordTooLarge(
            f"write to topic {record.topic!r}",
            f"it has {needed} bytes (compressed), more than {setting} of the topic allows",
            f"run: kafka-configs.sh --bootstrap-server {self._servers} --alter --entity-type topics"
            f" --entity-name {record.topic} --add-config"
            f" {setting}={limit_for(needed)},compression.type=producer",
        )


async def _send(producer: AIOKafkaProducer, record: NewRecord) -> Any:
    """Pass a record to aiokafka; return the future of its acknowledgement."""
    value = b"" if record.value is None and record.key is None else record.value
    return await producer.send(
        record.topic, value, record.key, partition=record.partition, headers=list(record.headers)
    )


def _larger_than_a_request(record: NewRecord, needed: int) -> RecordTooLarge:
    return RecordTooLarge(
        f"write to topic {record.topic!r}",
        f"it has {needed} bytes (compressed), more than the {_REQUEST_MAX_BYTES} of the largest request",
        "no setting of the topic allows it",
    )
