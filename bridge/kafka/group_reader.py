"""Read each partition of this member once, from the positions that the path sets.

Invariant: no record of an assigned partition is read before ``start_at`` has set its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from bridge.core.share import share
from bridge.errors import BrokerError, ClientFailed
from bridge.kafka import log_offsets
from bridge.kafka.aiokafka_patches.batch_bytes import at_most
from bridge.kafka.aiokafka_patches.positions import positions_of
from bridge.kafka.broker_call import client_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_member import GroupMember
from bridge.kafka.held_back import HeldBack
from bridge.kafka.membership import Membership
from bridge.kafka.poison_search import PoisonSearch
from bridge.kafka.poisonous_record import step_over
from bridge.kafka.records import records_deleted, to_batches, to_partition
from bridge.model import Batch, Partition

_LATE_S = 1.0
"""Time beyond its own timeout for a poll to end: aiokafka waits for a new assignment without a limit."""


class Reader:
    """The reader of the group's member, with its rebalances made visible.

    The start of a partition depends on the endpoints' cursors, not on the member group's offset. The
    ``epoch`` counts the assignments, so that the caller of ``read`` sees that one has ended.

    No method waits forever.
    """

    def __init__(
        self,
        options: KafkaOptions,
        membership: Membership,
        on_revoked: Callable[[], Awaitable[None]],
        fetch: FetchBudget | None = None,
        on_rebalanced: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """``on_revoked`` is awaited before the group reassigns this member's partitions.

        ``on_rebalanced`` is called with the seconds that it took until they are reassigned.
        """
        fetch = fetch or FetchBudget()
        self.member = GroupMember(
            options,
            membership,
            fetch,
            on_revoked=self._give_up,
            on_assigned=self._take_over,
            on_rebalanced=on_rebalanced,
        )
        self.assigned: frozenset[Partition] = frozenset()
        """All partitions of the current assignment."""
        self.epoch = 0
        self._on_revoked = on_revoked
        self._membership = membership
        self._search: PoisonSearch[TopicPartition] = PoisonSearch()
        self._started: dict[TopicPartition, Partition] = {}
        self._held_back = HeldBack()
        self._unpacked = fetch.unpacked
        self._poll_limit: asyncio.Timeout | None = None
        """That of the poll in progress."""

    async def _give_up(self) -> None:
        """Forget all partitions, once what was read of them is drained."""
        if self.assigned:
            await self._on_revoked()
        self.assigned = frozenset()
        self._started.clear()
        self._held_back.clear()

    def _take_over(self, consumer: AIOKafkaConsumer, assigned: Collection[TopicPartition]) -> None:
        """Take over an assignment.

        Each partition is paused at an arbitrary position until ``start_at``, so that aiokafka neither
        fetches from the member group's offset nor reports that there is none.
        """
        self.epoch += 1
        self._started.clear()
        for partition in assigned:
            consumer.pause(partition)
            consumer.seek(partition, 0)
        self.assigned = frozenset(map(to_partition, assigned))
        limit, self._poll_limit = self._poll_limit, None
        if limit is not None:  # the poll began before the assignment, which now waits for ``start_at``
            limit.reschedule(asyncio.get_running_loop().time())

    @property
    def unprepared(self) -> frozenset[Partition]:
        """Assigned partitions that wait for ``start_at``."""
        if len(self._started) == len(self.assigned):  # started partitions are assigned
            return frozenset()
        return self.assigned.difference(self._started.values())

    @property
    def share(self) -> float:
        """This pod's share of the endpoints' rates, by the partitions assigned to it."""
        partitions_of = self.member.consumer.partitions_for_topic
        total = sum(len(partitions_of(topic) or ()) for topic in self.member.topics)
        return share(len(self.assigned), total)

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, as far as they are still assigned."""
        consumer = self.member.consumer
        with client_call("begin to read the assigned partitions"):
            assignment = consumer.assignment()
            for partition, offset in positions.items():
                assigned = TopicPartition(*partition)
                if assigned not in assignment:
                    continue
                consumer.seek(assigned, offset)
                consumer.resume(assigned)
                self._held_back.forget(assigned)
                self._started[assigned] = partition

    def begin_again(self) -> None:
        """Stop reading; every assigned partition waits for ``start_at`` again."""
        for partition in self._started:
            self.member.consumer.pause(partition)
        self._started.clear()
        self._held_back.clear()

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        """Return the next records, within the limits of a batch and none of ``full`` partitions; maybe none.

        Raises ``KafkaUnavailable`` for errors of the broker, and ``RecordsDeleted`` where a position
        is no longer in the log.
        """
        if self.member.name.taken:
            await self.member.give_up_place()
            await asyncio.sleep(timeout_s)
            return []
        await self.member.stay()
        waiting = {TopicPartition(*partition) for partition in full}
        with client_call("pause partitions"):
            self._held_back.update(self.member.consumer, self._started.keys(), waiting)
        polled = self._search.choose(self._started.keys() - waiting)
        try:
            fetched = await self._poll(polled, timeout_s)
        except BrokerError as exc:
            if isinstance(exc.__cause__, TimeoutError):
                return []  # a rebalance is in progress
            if isinstance(exc.__cause__, OffsetOutOfRangeError):
                raise records_deleted(exc.__cause__) from exc
            if isinstance(exc, ClientFailed):
                given_up = await step_over(self._search, self.member.consumer, polled, exc)
                if given_up is not None:
                    self.member.keep_consumer()
                    return [given_up]
            raise
        self._search.succeeded(polled)
        return to_batches(fetched, self._started)

    async def _poll(self, polled: Collection[TopicPartition], timeout_s: float) -> Any:
        async with self.member.call("read the group's partitions", timeout_s + _LATE_S):
            try:
                async with asyncio.timeout(None) as self._poll_limit:
                    with at_most(self._membership.max_batch_bytes, self._unpacked):
                        return await self.member.consumer.getmany(
                            *polled, timeout_ms=int(timeout_s * 1000), max_records=self._membership.max_batch
                        )
            finally:
                self._poll_limit = None

    def passed(self) -> dict[Partition, int]:
        """Return the next offset to read of each started partition.

        Below it, every offset was returned by ``read`` or holds no readable record: a transaction
        marker, an aborted record, a record that compaction removed. Never above the last stable offset.
        """
        return positions_of(self.member.consumer, self._started)

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the next offset of each log. Raises ``KafkaUnavailable``."""
        return await log_offsets.next_offsets(self.member.consumer, partitions)

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first and the next offset of each log. Raises ``KafkaUnavailable``."""
        starts, ends = await asyncio.gather(
            log_offsets.first_offsets(self.member.consumer, partitions),
            log_offsets.next_offsets(self.member.consumer, partitions),
        )
        return {partition: (starts[partition], ends[partition]) for partition in partitions}
