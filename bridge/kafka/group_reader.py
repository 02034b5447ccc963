"""The member of the consumer group: it reads each of its partitions once and commits the group's offsets.

No other object may commit as a member.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, OffsetOutOfRangeError

from bridge.core.readiness import GroupPlace
from bridge.core.share import share
from bridge.errors import BrokerError, ClientFailed, CommitError, PlaceLostError
from bridge.kafka import log_offsets
from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.batch_bytes import at_most
from bridge.kafka.aiokafka_patches.closing import stop_consumer
from bridge.kafka.aiokafka_patches.failing_fetches import failing_partitions
from bridge.kafka.aiokafka_patches.heartbeats import (
    has_generation,
    knows_coordinator,
    report_heartbeats,
)
from bridge.kafka.aiokafka_patches.positions import position_of
from bridge.kafka.aiokafka_patches.startup_noise import StartupNoise
from bridge.kafka.aiokafka_patches.static_member import NameTaken, member_id, rejoin
from bridge.kafka.assignment_check import AssignmentCheck
from bridge.kafka.assignor import ByNumberAssignor
from bridge.kafka.broker_call import ANSWER_TIMEOUT_S, broker_call, client_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_liveness import GroupLiveness, Lease
from bridge.kafka.member_name import MemberName
from bridge.kafka.membership import Membership, RebalanceListener, new_consumer
from bridge.kafka.poison_search import PoisonSearch
from bridge.kafka.records import records_deleted, to_batches, to_partition, unreadable_place
from bridge.kafka.topic_patterns import existing_offsets, subscribe, topics_read
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
    group although the broker answers, is replaced by a new one that joins again, under the same name if
    it has one. A member whose name another process took gives up its place and never joins again.
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
        self._consumer = self._create_consumer()
        self._joined = False
        self._failure: str | None = None
        self._search: PoisonSearch[TopicPartition] = PoisonSearch()
        self._rebalancing_since: float | None = None
        self._liveness = GroupLiveness(options, membership.rebalance_timeout_s + membership.session_timeout_s)
        self._lease = Lease(membership.session_timeout_s)
        self._name = MemberName(options, membership, self._lease)
        self._assigned: frozenset[Partition] = frozenset()
        self._started: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self.epoch = 0
        self._startup_noise = StartupNoise(lambda: self.epoch > 0)

    def _create_consumer(self) -> AIOKafkaConsumer:
        assignor = ByNumberAssignor()
        self._check = AssignmentCheck(assignor)
        return new_consumer(self._options, self._membership, assignor)

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
            self._name.guard(consumer, lambda: consumer is self._consumer)
        except BaseException:
            await stop_consumer(consumer)
            self._consumer = self._create_consumer()
            raise
        self._liveness.note_answer()
        listener = RebalanceListener(lambda: consumer is self._consumer, self._revoked, self._assign)
        subscribe(consumer, self._membership, listener)
        self._joined = True

    def holds_lease(self) -> bool:
        """Return True if the group cannot have given this member's partitions away yet."""
        return self._lease.valid

    async def stop(self) -> None:
        """Leave the group. aiokafka does not call the revoke callback for this: drain before."""
        member = member_id(self._consumer)
        await stop_consumer(self._consumer)
        await self._name.leave(member)
        self._startup_noise.remove()

    async def _revoked(self, revoked: Collection[object]) -> None:
        """Give up all partitions (eager protocol) before joining again; heartbeats continue."""
        self._rebalancing_since = time.monotonic()
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
        self._rebalancing_since = None
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
    def failing(self) -> int:
        """The number of assigned partitions that their brokers cannot read now."""
        return failing_partitions(self._consumer, map(TopicPartition._make, self._assigned))

    @property
    def place(self) -> GroupPlace | None:
        """The place in the group; None before the first assignment."""
        membership, since = self._membership, self._rebalancing_since
        if self.epoch == 0 and not self._name.taken:
            return None
        return GroupPlace(
            group=membership.group,
            silent_s=self._lease.silent_s,
            session_timeout_s=membership.session_timeout_s,
            assigned=len(self._assigned),
            rebalancing_s=None if since is None else time.monotonic() - since,
            unprepared=len(self.unprepared),
            reachable=knows_coordinator(self._consumer),
            name_taken=self._name.value if self._name.taken else None,
        )

    @property
    def topics(self) -> Collection[str]:
        """The topics that the group reads; with patterns, none before the first look at the cluster."""
        return topics_read(self._consumer, self._membership)

    @property
    def share(self) -> float:
        """This pod's share of the endpoints' rates, by the partitions assigned to it."""
        partitions_of = self._consumer.partitions_for_topic
        total = sum(len(partitions_of(topic) or ()) for topic in self.topics)
        return share(len(self._assigned), total)

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, as far as they are still assigned."""
        with client_call("begin to read the assigned partitions"):
            assignment = self._consumer.assignment()
            for partition, offset in positions.items():
                assigned = TopicPartition(*partition)
                if assigned not in assignment:
                    continue
                self._consumer.seek(assigned, offset)
                self._consumer.resume(assigned)
                self._paused.discard(assigned)
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
        if self._name.taken:
            await self._give_up_place()
            await asyncio.sleep(timeout_s)
            return []
        await self._stay_member()
        waiting = {TopicPartition(*partition) for partition in full}
        with client_call("pause partitions"):
            self._hold_back(waiting)
        polled = self._search.choose(self._started - waiting)
        try:
            async with self._call("read the group's partitions", timeout_s + _LATE_S):
                with at_most(self._membership.max_batch_bytes, self._fetch.unpacked):
                    fetched = await self._consumer.getmany(
                        *polled, timeout_ms=int(timeout_s * 1000), max_records=self._membership.max_batch
                    )
        except BrokerError as exc:
            if isinstance(exc.__cause__, TimeoutError):
                return []  # a rebalance is in progress
            if isinstance(exc.__cause__, OffsetOutOfRangeError):
                raise records_deleted(exc.__cause__) from exc
            if isinstance(exc, ClientFailed) and (poisoned := await self._give_up(polled, exc)):
                return [poisoned]
            raise
        self._search.succeeded(polled)
        return to_batches(fetched, self._started)

    async def _give_up(self, polled: Collection[TopicPartition], exc: ClientFailed) -> Batch | None:
        """Step over the record at which the consumer fails again and again; None if it is not known yet."""
        partition, *others = polled or (None,)
        position = None
        if partition is not None and not others:
            with suppress(BrokerError):
                async with broker_call(f"find the position in {partition}", timeout_s=_LATE_S):
                    position = await self._consumer.position(partition)
        if not self._search.failed(polled, position) or partition is None or position is None:
            return None
        self._failure = None
        self._consumer.seek(partition, position + 1)
        return to_partition(partition), [unreadable_place(to_partition(partition), position, exc.cause)]

    @asynccontextmanager
    async def _call(self, action: str, timeout_s: float) -> AsyncIterator[None]:
        """Call the consumer, as ``broker_call``; a consumer that fails is replaced at the next read."""
        try:
            async with broker_call(action, timeout_s=timeout_s):
                yield
        except ClientFailed as exc:
            self._failure = exc.cause
            raise

    def passed(self) -> dict[Partition, int]:
        """Return the next offset to read of each started partition.

        Below it, every offset was returned by ``read`` or holds no readable record: a transaction
        marker, an aborted record, a record that compaction removed. Never above the last stable offset.
        """
        return {
            to_partition(partition): position
            for partition in self._started
            if (position := position_of(self._consumer, partition)) is not None
        }

    async def _stay_member(self) -> None:
        """Replace the consumer if it no longer works. Raises ``KafkaUnavailable``."""
        cause = None
        if self._joined:
            cause = self._failure or ended_task(self._consumer) or await self._liveness.stuck_cause()
        if cause is not None:
            _log.error(
                events.SOURCE_REPLACED,
                cause=cause,
                remedy="none needed: a new consumer joins the group in its place",
            )
            self._joined = False
            self._failure = None
            await self._revoked(self._assigned)
            broken, self._consumer = self._consumer, self._create_consumer()
            self._fetch.close(broken)
            await stop_consumer(broken)
        if not self._joined:
            await self.start()
        elif self._rebalancing_since is None and self._check.must_rejoin(
            self._consumer, self._consumer.subscription
        ):
            _log.info(
                events.SOURCE_OUTDATED,
                cause="the group assigned its partitions without some topic or partition of this pod",
                remedy="none needed: the group rebalances",
            )
            rejoin(self._consumer)

    async def _give_up_place(self) -> None:
        """End the assignment and leave the name to the process that took it; log that once per minute."""
        self._name.log_taken()
        if self._joined:
            self._joined = False
            await self._revoked(self._assigned)
            await stop_consumer(self._consumer)

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
        if self._name.taken or not has_generation(consumer):
            # without a generation, a group without members accepts it from any process
            raise PlaceLostError(f"group {group!r}: this process is no longer a member")
        offsets = existing_offsets(consumer, lowest)
        if not offsets:
            raise PlaceLostError(f"group {group!r}: the topics of its partitions do not exist any more")
        sent_at = time.monotonic()
        try:
            async with self._call(f"commit for group {group!r}", _COMMIT_TIMEOUT_S):
                await consumer.commit(offsets)
        except BrokerError as exc:
            if isinstance(exc.__cause__, CommitFailedError | IllegalStateError | NameTaken):
                raise PlaceLostError(f"group {group!r}: {exc.cause}") from exc
            raise CommitError(f"group {group!r}: {exc.cause}") from exc
        self._lease.renew(sent_at)
