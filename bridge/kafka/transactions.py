"""Write records of several topics in one transaction: readers get all of them, or none.

Invariant: of all writers with one transactional id, only the newest can commit. An older one, also one that
was killed in the middle, has no effect on the topics from the moment that a newer one has started.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced, RecordListTooLargeError
from aiokafka.errors import MessageSizeTooLargeError as TooLargeError

from bridge.errors import BrokerError, RecordTooLarge
from bridge.kafka.aiokafka_patches import sequence as _sequence_patch  # noqa: F401 - every producer needs it
from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.closing import close_client
from bridge.kafka.broker_call import CHECK_BROKER, broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import NewRecord
from bridge.kafka.record_size import batch_bytes, limit_for

OPEN_S = 10.0
"""The broker aborts a transaction that is open for longer; it looks every 10 s by default. Until then, a
killed writer holds up the readers of the partitions that it wrote to."""
_ANSWER_S = 15.0
_BATCH_BYTES = 256 * 1024
_FENCED = (ProducerFenced, InvalidProducerEpoch)


class Fenced(BrokerError):
    """A newer writer with the same transactional id has started, or the transaction was open for too long."""


class TransactionalWriter:
    """A writer for transactions, one after the other, as an asynchronous context manager.

    After any error it must not be used any more: what the transaction wrote is aborted by the next writer
    with the same id, or after ``OPEN_S``.
    """

    def __init__(
        self,
        options: KafkaOptions,
        transactional_id: str,
        *,
        create: Callable[..., AIOKafkaProducer] = AIOKafkaProducer,
    ) -> None:
        """``create`` is the class of the client. With ACLs, the id needs the right to write."""
        self._id = transactional_id
        self._options = options
        self._create = create
        self._open = False

    async def __aenter__(self) -> Self:
        """Connect, and end all older writers with this id. Raises ``BrokerError``."""
        self._producer = self._create(
            **self._options.arguments(),
            transactional_id=self._id,
            transaction_timeout_ms=int(OPEN_S * 1000),
            compression_type=self._options.compression,
            max_batch_size=_BATCH_BYTES,
            max_request_size=2**31 - 1,
            linger_ms=5,
            request_timeout_ms=int(_ANSWER_S * 1000),
        )
        try:
            async with self._mapped("start a writer of transactions", remedy=self._needs):
                await self._producer.start()
                await self._producer.begin_transaction()
            self._open = True
        except BaseException:
            await close_client(self._producer, "close a writer of transactions")
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort what is open, and close."""
        if self._open and not isinstance(exc, BrokerError):
            try:
                async with self._mapped("abort a transaction"):
                    await self._producer.abort_transaction()
            except BrokerError:
                pass  # the broker aborts it after its timeout
        await close_client(self._producer, "close a writer of transactions")

    async def add(self, records: Sequence[NewRecord]) -> None:
        """Write records in this order; return once they are acknowledged, but not visible yet.

        Raises ``BrokerError``; as ``Fenced`` and ``RecordTooLarge`` where that is the cause.
        """
        if not self._open:
            async with self._mapped("begin a transaction"):
                await self._producer.begin_transaction()
            self._open = True
        sent = []
        for record in records:
            async with self._mapped(f"write to topic {record.topic!r}", record):
                sending = await self._producer.send(
                    record.topic,
                    record.value,
                    record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
            sent.append((record, sending))
        for record, sending in sent:
            async with self._mapped(f"write to topic {record.topic!r}", record):
                await sending

    async def commit(self) -> None:
        """Make visible what was added, all at once. After an error it may be visible, or not.

        Raises ``BrokerError``; as ``Fenced`` where that is the cause.
        """
        async with self._mapped("commit a transaction"):
            await self._producer.commit_transaction()
        self._open = False

    @property
    def _needs(self) -> str:
        return (
            f"{CHECK_BROKER}; with ACLs, grant write on the transactional id {self._id!r}; a cluster of fewer"
            " than three brokers needs transaction.state.log.replication.factor=1"
        )

    @asynccontextmanager
    async def _mapped(
        self, action: str, record: NewRecord | None = None, remedy: str = CHECK_BROKER
    ) -> AsyncIterator[None]:
        """Map errors of the client; with a ``record``, name the size that its topic must accept."""
        try:
            async with broker_call(action, timeout_s=_ANSWER_S + 5, remedy=remedy):
                if ended := ended_task(self._producer):
                    raise BrokerError(action, ended, "none needed: another writer continues")
                yield
        except RecordTooLarge as exc:
            raise await self._too_large(record, exc) from exc
        except BrokerError as exc:
            if self._is_fenced(exc):
                raise Fenced(action, "another writer has taken over", "none needed") from exc
            raise

    def _is_fenced(self, error: BrokerError) -> bool:
        """Return True if that is the cause, for the call or for the task of the client that sends."""
        if isinstance(error.__cause__, _FENCED):
            return True
        sending = self._producer._sender.sender_task
        if sending is None or not sending.done() or sending.cancelled():
            return False
        return isinstance(sending.exception(), _FENCED)

    async def _too_large(self, record: NewRecord | None, error: RecordTooLarge) -> RecordTooLarge:
        if record is None or not isinstance(error.__cause__, TooLargeError | RecordListTooLargeError):
            return error
        needed = await batch_bytes(self._options.compression, record.key, record.value, record.headers)
        servers = ",".join(self._options.bootstrap_servers)
        return RecordTooLarge(
            f"write to topic {record.topic!r}",
            f"a record has {needed} bytes (compressed), more than max.message.bytes of the topic allows",
            f"run: kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name"
            f" {record.topic} --add-config max.message.bytes={limit_for(needed)},compression.type=producer",
        )
