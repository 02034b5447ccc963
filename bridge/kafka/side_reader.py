"""Read partitions from given offsets, with a consumer that is not a member of the group.

For cursors that catch up, the dedupe index, the control topic and dead letters. Opened when needed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from bridge.core.memory_budget import MOST_BATCH_BYTES
from bridge.errors import BrokerError, KafkaUnavailable, RecordsDeleted
from bridge.kafka import log_offsets
from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.batch_bytes import at_most
from bridge.kafka.aiokafka_patches.closing import stop_consumer
from bridge.kafka.broker_call import ANSWER_TIMEOUT_S, CHECK_BROKER, broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.records import records_deleted, to_batches, to_partition
from bridge.model import Batch, Partition, Record

_STALLED_S = 30.0


class SideReader:
    """A consumer without a group, as an asynchronous context manager.

    Every call of ``read_from`` names all positions; the reader seeks where the consumer's position
    differs. aiokafka forgets positions on a new assignment, and a cursor may return at another offset.
    """

    def __init__(
        self,
        options: KafkaOptions,
        max_batch: int = 500,
        long_poll_ms: int = 500,
        isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed",
        *,
        max_batch_bytes: int = MOST_BATCH_BYTES,
        fetch: FetchBudget | None = None,
    ) -> None:
        """``long_poll_ms``: a change of partitions waits that long for the fetch in progress.

        With ``read_uncommitted``, a log ends at its high watermark, not at its last stable offset.
        ``fetch`` is what the process has for fetched records, shared with its other readers.
        """
        self._fetch = fetch or FetchBudget()
        self._consumer = AIOKafkaConsumer(
            **options.arguments(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=long_poll_ms,
            isolation_level=isolation_level,
        )
        self._max_batch = max_batch
        self._max_batch_bytes = max_batch_bytes
        self._reached: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> SideReader:
        """Connect; raises ``KafkaUnavailable``."""
        try:
            async with broker_call("start a reader outside the group", timeout_s=ANSWER_TIMEOUT_S):
                await self._consumer.start()
        except BaseException:
            await stop_consumer(self._consumer)
            raise
        self._fetch.open_side(self._consumer)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._fetch.close(self._consumer)
        await stop_consumer(self._consumer)

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        """Return the next records of these partitions, and the next offset to read of each.

        Raises ``KafkaUnavailable``, and ``RecordsDeleted`` for positions that are no longer in the log.
        """
        if ended := ended_task(self._consumer):
            raise BrokerError("read outside the group", ended, "none needed: the reader is opened again")
        wanted = {TopicPartition(*partition): offset for partition, offset in positions.items()}
        reached, self._reached = self._reached, {}  # an error leaves the consumer's positions unknown
        try:
            async with broker_call("read outside the group", timeout_s=timeout_s + ANSWER_TIMEOUT_S):
                self._seek(wanted, reached)
                with at_most(self._max_batch_bytes, self._fetch.unpacked):
                    # by name: without, it also raises errors that an earlier assignment has left
                    fetched = await self._consumer.getmany(
                        *wanted, timeout_ms=int(timeout_s * 1000), max_records=self._max_batch
                    )
                reached = {partition: await self._consumer.position(partition) for partition in wanted}
        except BrokerError as exc:
            if isinstance(exc.__cause__, OffsetOutOfRangeError):
                raise records_deleted(exc.__cause__) from exc
            raise
        self._reached = reached
        batches = to_batches(fetched, wanted)
        return batches, {to_partition(partition): offset for partition, offset in reached.items()}

    def _seek(self, wanted: Mapping[TopicPartition, int], reached: Mapping[TopicPartition, int]) -> None:
        """Assign the wanted partitions and move to their offsets, where the consumer is not there yet."""
        if wanted.keys() != reached.keys():
            self._consumer.assign(list(wanted))
            self._fetch.assign_side(self._consumer, len(wanted))
            reached = {}
        for partition, offset in wanted.items():
            if reached.get(partition) != offset:
                self._consumer.seek(partition, offset)

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset of each log. Raises ``KafkaUnavailable``."""
        return await log_offsets.first_offsets(self._consumer, partitions)

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offset of each log. Raises ``KafkaUnavailable``."""
        return await log_offsets.next_offsets(self._consumer, partitions)

    async def written(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the high watermark of each log: also what a transaction wrote that is not committed yet.

        Raises ``KafkaUnavailable``.
        """
        return await log_offsets.written_offsets(self._consumer, partitions)

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> int | None:
        """Return the first offset at or after an instant, or None. Raises ``KafkaUnavailable``."""
        return (await self.offsets_at([partition], max(0, timestamp_ms))).get(partition)

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        """Return the first offset at or after an instant, where there is one. Raises ``KafkaUnavailable``.

        A broker that has no offset for the beginning of time either, although the log has records, cannot
        look up instants. The broker of the demo is one. The log is read then.
        """
        found = await log_offsets.offsets_at(self._consumer, partitions, timestamp_ms)
        missing = [partition for partition in partitions if partition not in found]
        if missing and timestamp_ms > 0:
            dated = await log_offsets.offsets_at(self._consumer, missing, 0)
            missing = [partition for partition in missing if partition not in dated]
        if missing:
            begins, ends = await self.begins(missing), await self.ends(missing)
            for partition in missing:
                offset = await self._first_at(partition, begins[partition], ends[partition], timestamp_ms)
                if offset is not None:
                    found[partition] = offset
        return found

    async def _first_at(self, partition: Partition, begin: int, end: int, timestamp_ms: int) -> int | None:
        async for records in read_stretch(self, partition, begin, end):
            for record in records:
                if record.timestamp_ms >= timestamp_ms:
                    return record.offset
        return None

    async def stretch(
        self, partition: Partition, start: int, end: int, stalled_s: float = _STALLED_S
    ) -> AsyncIterator[list[Record]]:
        """Yield the records of [start, end) in batches.

        Raises ``RecordsDeleted``, and ``KafkaUnavailable`` if nothing arrives within ``stalled_s``.
        """
        position, moved_at = start, time.monotonic()
        while position < end:
            batches, reached = await self.read_from({partition: position}, timeout_s=0.5)
            for _, records in batches:
                inside = [record for record in records if record.offset < end]
                if inside:
                    yield inside
            if reached[partition] > position:
                position, moved_at = reached[partition], time.monotonic()
            elif time.monotonic() - moved_at > stalled_s:
                raise KafkaUnavailable(
                    f"cannot read {partition}: no record at or after offset {position} arrived within"
                    f" {stalled_s:g} s; {CHECK_BROKER}"
                )


async def read_stretch(
    reader: SideReader, partition: Partition, start: int, end: int
) -> AsyncIterator[list[Record]]:
    """Yield the records of [start, end) for a command. Raises ``KafkaUnavailable``, also for deleted ones."""
    try:
        async for records in reader.stretch(partition, start, end):
            yield records
    except RecordsDeleted as exc:
        raise KafkaUnavailable(
            f"cannot read {partition}: retention deleted records meanwhile; run the command again"
        ) from exc
