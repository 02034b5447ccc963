"""Reading beside the group: partitions from given offsets on, by a consumer that is no member.

For cursors that catch up, and for the dedupe index. Opened when needed, closed after. Edge floor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.kafka.client import KafkaOptions
from bridge.kafka.client_health import ANSWER_TIMEOUT_S, answered, ended_task, stop_consumer
from bridge.kafka.group_reader import to_record
from bridge.model import Batch, Partition, Record

_STALLED_S = 30.0


class SideReader:
    """A consumer without a group, as an asynchronous context manager.

    ``read_from`` is told every position, and seeks where the consumer stands elsewhere: aiokafka
    forgets positions with a new assignment, and a cursor may come back at another place.
    """

    def __init__(self, options: KafkaOptions, max_batch: int = 500, long_poll_ms: int = 500) -> None:
        """``long_poll_ms``: a move to other partitions waits for the fetch that is under way."""
        self._consumer = AIOKafkaConsumer(
            **options.arguments(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=long_poll_ms,
            isolation_level="read_committed",
        )
        self._max_batch = max_batch
        self._reached: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> SideReader:
        """Connect; raises ``KafkaUnavailable``."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._consumer.start()
        except BaseException as exc:
            await stop_consumer(self._consumer)
            if not isinstance(exc, KafkaError | OSError):
                raise
            raise KafkaUnavailable(f"a reader beside the group could not start: {exc!r}") from exc
        return self

    async def __aexit__(self, *exc: object) -> None:
        await stop_consumer(self._consumer)

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        """The next records of these partitions, and up to where each has been read by them.

        Raises ``KafkaUnavailable``, and ``RecordsDeleted`` for positions that are no longer in the log.
        """
        wanted = frozenset(TopicPartition(*partition) for partition in positions)
        if ended := ended_task(self._consumer):
            raise KafkaUnavailable(f"a reader beside the group is broken and is opened anew: {ended}")
        try:
            if wanted != self._reached.keys():
                self._consumer.assign(list(wanted))
                self._reached = {}
            for one in wanted:
                if self._reached.get(one) != positions[Partition(*one)]:
                    self._consumer.seek(one, positions[Partition(*one)])
            async with asyncio.timeout(timeout_s + ANSWER_TIMEOUT_S):
                raws = await self._consumer.getmany(
                    timeout_ms=int(timeout_s * 1000), max_records=self._max_batch
                )
                self._reached = {one: await self._consumer.position(one) for one in wanted}
        except OffsetOutOfRangeError as exc:
            self._reached = {}
            raise RecordsDeleted({Partition(*one): offset for one, offset in exc.args[0].items()}) from exc
        except (KafkaError, TimeoutError) as exc:
            self._reached = {}
            raise KafkaUnavailable(f"reading beside the group failed: {exc!r}") from exc
        batches = [
            (Partition(*one), [to_record(Partition(*one), raw) for raw in found])
            for one, found in raws.items()
        ]
        return batches, {Partition(*one): position for one, position in self._reached.items()}

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The first offset of each log. Raises ``KafkaUnavailable``."""
        asked = [TopicPartition(*partition) for partition in partitions]
        found = await answered(
            self._consumer.beginning_offsets(asked), f"the beginning of {asked} is not to be had"
        )
        return {Partition(*one): offset for one, offset in found.items()}

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The next offset of each log. Raises ``KafkaUnavailable``."""
        asked = [TopicPartition(*partition) for partition in partitions]
        found = await answered(self._consumer.end_offsets(asked), f"the end of {asked} is not to be had")
        return {Partition(*one): offset for one, offset in found.items()}

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> int | None:
        """The first offset at or after an instant; None when there is none. Raises ``KafkaUnavailable``."""
        asked = TopicPartition(*partition)
        question = self._consumer.offsets_for_times({asked: max(0, timestamp_ms)})
        found = (await answered(question, f"{partition}: no offset for an instant")).get(asked)
        return found.offset if found is not None else None

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        """The records of [start, end) in batches. Raises ``KafkaUnavailable``, ``RecordsDeleted``."""
        position, moved_at = start, time.monotonic()
        while position < end:
            batches, reached = await self.read_from({partition: position}, timeout_s=0.5)
            for _, records in batches:
                inside = [record for record in records if record.offset < end]
                if inside:
                    yield inside
            if reached[partition] > position:
                position, moved_at = reached[partition], time.monotonic()
            elif time.monotonic() - moved_at > _STALLED_S:
                raise KafkaUnavailable(
                    f"{partition}: nothing came from offset {position} on, {_STALLED_S:g} s"
                )
