"""The member of the consumer group: it reads each of its partitions once and commits the group's offsets.

No other object may commit as a member.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, OffsetOutOfRangeError

from bridge.core.share import share
from bridge.errors import BrokerError, CommitError, PlaceLostError
from bridge.kafka import log_offsets
from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.batch_bytes import at_most
from bridge.kafka.aiokafka_patches.closing import stop_consumer
from bridge.kafka.aiokafka_patches.heartbeats import has_generation, report_heartbeats
from bridge.kafka.aiokafka_patches.startup_noise import StartupNoise
from bridge.kafka.broker_call import ANSWER_TIMEOUT_S, broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_liveness import GroupLiveness, Lease
from bridge.kafka.membership import Membership, RebalanceListener, new_consumer
from bridge.kafka.records import records_deleted, to_batches, to_partition
from bridge.model import Batch, Partition
from bridge.telemetry import events

_log = structlog.get_logger()
_COMMIT_TIMEOUT_S = 5.0
"""aiokafka looks for a lost coordinator forever; a commit must report that, and a stop must end."""
_LATE_S = 1.0
"""Time beyond its own timeout for a poll to end: aiokafka waits for a new assignment without a limit."""


class Reader:
    """A consumer of the group, with its rebalances made visible.

    An assigned partition is not read until ``start_at`` sets its position: the start depends on the
    endpoints' cursors, not on the member group's offset. aiokafka logs and drops errors of a
    rebalance listener, so the listener here only records the event; the caller of ``read`` acts on it.

    No method waits forever. A consumer of which a part has died, or which receives nothing from its
    group although the broker answers, is replaced by a new one that joins again.
    """

    def __init__(
        self,
        options: KafkaOptions,
        membership: Membership,
        on_revoked: Callable[[], Awaitable[None]],
        fetch: FetchBudget | None = None,
    ) -> None:
        """``on_revoked`` is awaited before the group reassigns this member's partitions."""
        self._fetch = fetch or FetchBudget()
        self._membership = membership
        self._on_revoked = on_revoked
        self._options = options
        self._consumer = new_consumer(options, membership)
        self._joined = False
        self._liveness = GroupLiveness(options, membership.rebalance_timeout_s + membership.session_timeout_s)
        self._lease = Lease(membership.session_timeout_s)
        self._assigned: frozenset[Partition] = frozenset()
        self._started: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self.epoch = 0
        self._startup_noise = StartupNoise(lambda: self.epoch > 0)

    async def start(self) -> None:
        """Join the group. Raises ``BrokerError``, and may be called again after it."""
        consumer = self._consumer
        self._startup_noise.add()

        def heartbeat_accepted(sent_at: float) -> None:
            if consumer is self._consumer:
                self._lease.renew(sent_at)
                self._liveness.note_answer()

        try:
            async with broker_call(f"join group {self._membership.group!r}", timeout_s=ANSWER_TIMEOUT_S):
                await consumer.start()
            report_heartbeats(consumer, heartbeat_accepted)
        except BaseException:
            await stop_consumer(consumer)
            self._consumer = new_consumer(self._options, self._membership)
            raise
        self._liveness.note_answer()
        listener = RebalanceListener(lambda: consumer is self._consumer, self._revoked, self._assign)
        consumer.subscribe(topics=self._membership.topics, listener=listener)
        self._joined = True

    def holds_lease(self) -> bool:
        """Return True if the group cannot have given this member's partitions away yet."""
        return self._lease.valid

    async def stop(self) -> None:
        """Leave the group. aiokafka does not call the revoke callback for this: drain before."""
        await stop_consumer(self._consumer)
        self._startup_noise.remove()

    async def _revoked(self, revoked: Collection[object]) -> None:
        """Give up all partitions (eager protocol) before joining again; heartbeats continue."""
        if revoked:
            await self._on_revoked()
        self._assigned = frozenset()
        self._started.clear()
        self._paused.clear()

    def _assign(self, assigned: Collection[TopicPartition]) -> None:
        """Take over an assignment. It must be quick: heartbeats have not begun yet.

        Each partition is paused at an arbitrary position until ``start_at``, so that aiokafka neither
        fetches from the member group's offset nor reports that there is none.
        """
        self.epoch += 1
        self._lease.renew(time.monotonic())
        self._liveness.note_answer()
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)
        self._assigned = frozenset(map(to_partition, assigned))
        self._fetch.assign_main(self._consumer, len(assigned))

    @property
    def unprepared(self) -> frozenset[Partition]:
        """Assigned partitions that wait for ``start_at``."""
        return self._assigned - {to_partition(partition) for partition in self._started}

    @property
    def assigned(self) -> frozenset[Partition]:
        """All partitions of the current assignment."""
        return self._assigned

    @property
    def share(self) -> float:
        """This pod's share of the endpoints' rates, by the partitions assigned to it."""
        partitions_of = self._consumer.partitions_for_topic
        total = sum(len(partitions_of(topic) or ()) for topic in self._membership.topics)
        return share(len(self._assigned), total)

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        for partition, offset in positions.items():
            assigned = TopicPartition(*partition)
            self._consumer.seek(assigned, offset)
            self._consumer.resume(assigned)
            self._started.add(assigned)

    def begin_again(self) -> None:
        """Stop reading; every assigned partition waits for ``start_at`` again."""
        for partition in self._started:
            self._consumer.pause(partition)
        self._started.clear()
        self._paused.clear()

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        """Return the next records, within the limits of a batch and none of ``full`` partitions; maybe none.

        Raises ``KafkaUnavailable`` for errors of the broker, and ``RecordsDeleted`` where a position
        is no longer in the log.
        """
        await self._stay_member()
        waiting = {TopicPartition(*partition) for partition in full}
        self._hold_back(waiting)
        readable = self._started - waiting
        try:
            async with broker_call("read the group's partitions", timeout_s=timeout_s + _LATE_S):
                with at_most(self._membership.max_batch_bytes):
                    fetched = await self._consumer.getmany(
                        *readable, timeout_ms=int(timeout_s * 1000), max_records=self._membership.max_batch
                    )
        except BrokerError as exc:
            if isinstance(exc.__cause__, TimeoutError):
                return []  # a rebalance is in progress
            if isinstance(exc.__cause__, OffsetOutOfRangeError):
                raise records_deleted(exc.__cause__) from exc
            raise
        return to_batches(fetched, self._started)

    async def _stay_member(self) -> None:
        """Replace the consumer if it no longer works. Raises ``KafkaUnavailable``."""
        cause = None
        if self._joined:
            cause = ended_task(self._consumer) or await self._liveness.stuck_cause()
        if cause is not None:
            _log.error(
                events.SOURCE_REPLACED,
                cause=cause,
                remedy="none needed: a new consumer joins the group in its place",
            )
            self._joined = False
            await self._revoked(self._assigned)
            broken, self._consumer = self._consumer, new_consumer(self._options, self._membership)
            self._fetch.close(broken)
            await stop_consumer(broken)
        if not self._joined:
            await self.start()

    def _hold_back(self, waiting: set[TopicPartition]) -> None:
        """Pause all partitions when none is readable: polling continues and fetches nothing.

        While any partition is readable, full ones are only left out of the poll: pausing discards
        what was fetched ahead.
        """
        all_wait = bool(self._started) and waiting >= self._started
        for partition in (self._started & waiting if all_wait else set()) - self._paused:
            self._consumer.pause(partition)
            self._paused.add(partition)
        for partition in self._paused - waiting:
            self._consumer.resume(partition)
        self._paused &= waiting

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first and the next offset of each log. Raises ``KafkaUnavailable``."""
        starts, ends = await asyncio.gather(
            log_offsets.first_offsets(self._consumer, partitions),
            log_offsets.next_offsets(self._consumer, partitions),
        )
        return {partition: (starts[partition], ends[partition]) for partition in partitions}

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        """Return the first offsets at or after an instant. Raises ``KafkaUnavailable``."""
        return await log_offsets.offsets_at(self._consumer, partitions, timestamp_ms)

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit the member group's offsets: Kafka accepts that only from present members.

        Cursors are committed for groups without members, and Kafka does not fence such commits. So
        this commit comes first: a process that lost its place is refused here and commits no cursor.
        Kafka accepts it while a rebalance is being prepared, refuses it from the generation before
        once all members have joined, and counts an accepted one as a heartbeat.

        Raises ``CommitError``, and ``PlaceLostError`` where no later attempt can succeed.
        """
        group, consumer = self._membership.group, self._consumer
        if not has_generation(consumer):
            # without a generation, a group without members accepts it from any process
            raise PlaceLostError(f"group {group!r}: this process is no longer a member")
        offsets = {TopicPartition(*partition): offset for partition, offset in lowest.items()}
        sent_at = time.monotonic()
        try:
            async with broker_call(f"commit for group {group!r}", timeout_s=_COMMIT_TIMEOUT_S):
                await consumer.commit(offsets)
        except BrokerError as exc:
            if isinstance(exc.__cause__, CommitFailedError | IllegalStateError):
                raise PlaceLostError(f"group {group!r}: {exc.cause}") from exc
            raise CommitError(f"group {group!r}: {exc.cause}") from exc
        self._lease.renew(sent_at)
