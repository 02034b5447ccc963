"""Stay a member of the consumer group: join, replace a consumer that no longer works, leave.

Invariant: a member whose name another process took gives up its place and never joins again.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, TopicAuthorizationFailedError

from bridge.errors import BrokerError, ClientFailed, CommitError, PlaceLostError
from bridge.kafka.aiokafka_patches.background_tasks import ended_task
from bridge.kafka.aiokafka_patches.closing import stop_consumer
from bridge.kafka.aiokafka_patches.failing_fetches import refused_topics
from bridge.kafka.aiokafka_patches.gathered_fetches import wait_at_broker
from bridge.kafka.aiokafka_patches.heartbeats import has_generation, report_heartbeats
from bridge.kafka.aiokafka_patches.new_topics import new_topics
from bridge.kafka.aiokafka_patches.startup_noise import StartupNoise
from bridge.kafka.aiokafka_patches.static_member import NameTaken, member_id, rejoin
from bridge.kafka.assignment_check import AssignmentCheck
from bridge.kafka.assignor import ByNumberAssignor
from bridge.kafka.broker_call import ANSWER_TIMEOUT_S, broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_liveness import GroupLiveness, Lease
from bridge.kafka.member_name import MemberName
from bridge.kafka.membership import (
    COMPLETE_POLL_MS,
    SILENT_POLL_MS,
    Membership,
    RebalanceListener,
    new_consumer,
)
from bridge.kafka.topic_patterns import existing_offsets, subscribe, topics_read
from bridge.model import Partition
from bridge.telemetry import events

_log = structlog.get_logger()
_NO_MEMBER = "this process is no longer a member"
_COMMIT_TIMEOUT_S = 5.0
"""aiokafka looks for a lost coordinator forever; a commit must report that, and a stop must end."""


class GroupMember:
    """The place of this process in the group, and the consumer that holds it now.

    A consumer of which a part has died, or which receives nothing from its group although the broker
    answers, is replaced by a new one that joins again, under the same name if it has one. aiokafka logs
    and drops errors of a rebalance listener, so the callbacks only record what happened.
    """

    def __init__(
        self,
        options: KafkaOptions,
        membership: Membership,
        fetch: FetchBudget,
        *,
        on_revoked: Callable[[], Awaitable[None]],
        on_assigned: Callable[[AIOKafkaConsumer, Collection[TopicPartition]], None],
        on_rebalanced: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """``on_revoked`` is awaited before the group may reassign the partitions.

        ``on_assigned`` must be quick: heartbeats have not begun yet. ``on_rebalanced`` is called with the
        seconds from giving up the partitions to the next assignment.
        """
        self._options = options
        self._fetch = fetch
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned
        self._on_rebalanced = on_rebalanced
        self.membership = membership
        self.lease = Lease(membership.session_timeout_s)
        self.name = MemberName(options, membership, self.lease)
        self.rebalancing_since: float | None = None
        """Monotonic seconds at which the member began to give up its partitions; None with an assignment."""
        self.was_assigned = False
        self.consumer = self._create_consumer()
        self._joined = False
        self._failure: str | None = None
        self._topics_changed = False
        self._liveness = GroupLiveness(options, membership.rebalance_timeout_s + membership.session_timeout_s)
        self._startup_noise = StartupNoise(lambda: self.was_assigned)

    def _create_consumer(self) -> AIOKafkaConsumer:
        assignor = ByNumberAssignor()
        self._check = AssignmentCheck(assignor)
        return new_consumer(self._options, self.membership, assignor)

    async def start(self) -> None:
        """Join the group. Raises ``BrokerError``, and may be called again after it."""
        consumer = self.consumer
        self._startup_noise.add()

        def is_current() -> bool:
            return consumer is self.consumer

        def heartbeat_accepted(sent_at: float) -> None:
            if is_current():
                self.lease.renew(sent_at)
                self._liveness.note_answer()

        try:
            async with broker_call(f"join group {self.membership.group!r}", timeout_s=ANSWER_TIMEOUT_S):
                await consumer.start()
                has_pattern = self.membership.pattern is not None
                await new_topics.seen_by(consumer, self.membership.topics, all_topics=has_pattern)
            wait_at_broker(consumer, COMPLETE_POLL_MS, SILENT_POLL_MS)
            report_heartbeats(consumer, heartbeat_accepted)
            self.name.guard(consumer, is_current)
        except BaseException:
            await stop_consumer(consumer)
            self.consumer = self._create_consumer()
            raise
        self._liveness.note_answer()
        subscribe(consumer, self.membership, RebalanceListener(is_current, self._revoked, self._assigned))
        self._joined = True

    async def stop(self) -> None:
        """Leave the group. aiokafka does not call the revoke callback for this: drain before."""
        member = member_id(self.consumer)
        await stop_consumer(self.consumer)
        await self.name.leave(member)
        self._startup_noise.remove()

    async def _revoked(self, _partitions: Collection[TopicPartition] = ()) -> None:
        """Give up all partitions (eager protocol) before joining again; heartbeats continue."""
        self.rebalancing_since = time.monotonic()
        await self._on_revoked()

    def _assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.was_assigned = True
        if self.rebalancing_since is not None:
            self._on_rebalanced(time.monotonic() - self.rebalancing_since)
        self.rebalancing_since = None
        self.lease.renew(time.monotonic())
        self._liveness.note_answer()
        self._on_assigned(self.consumer, assigned)
        self._fetch.assign_main(self.consumer, len(assigned))

    @property
    def topics(self) -> Collection[str]:
        """The topics that the group reads; with patterns, none before the first look at the cluster."""
        return topics_read(self.consumer, self.membership)

    def holds_lease(self) -> bool:
        """Return True if the group cannot have given this member's partitions away yet."""
        return self.lease.valid

    @asynccontextmanager
    async def call(self, action: str, timeout_s: float) -> AsyncIterator[None]:
        """Call the consumer, as ``broker_call``; one that fails is replaced by the next ``stay``."""
        try:
            async with broker_call(action, timeout_s=timeout_s):
                yield
        except ClientFailed as exc:
            self._failure = exc.cause
            raise

    def keep_consumer(self) -> None:
        """Do not replace the consumer for its last failure: a record was at fault."""
        self._failure = None

    def subscribe(self, topics: Collection[str], pattern: re.Pattern[str] | None) -> None:
        """Read these topics instead: the next ``stay`` ends the assignment in order, and joins again."""
        self.membership = replace(self.membership, topics=tuple(topics), pattern=pattern)
        self._topics_changed = True

    async def stay(self) -> None:
        """Replace the consumer if it no longer works, or has other topics. Raises ``KafkaUnavailable``."""
        if self._joined and self._topics_changed:
            _log.info(events.SOURCE_RESUBSCRIBED, topics=self.membership.topics)
            await self._put_new()
        self._topics_changed = False
        if self._joined and (cause := await self._broken_cause()):
            await self._replace(cause)
        if not self._joined:
            await self.start()
        elif self.rebalancing_since is None and self._check.must_rejoin(
            self.consumer, self.consumer.subscription
        ):
            _log.info(
                events.SOURCE_OUTDATED,
                cause="the group assigned its partitions without some topic or partition of this pod",
                remedy="none needed: the group rebalances",
            )
            rejoin(self.consumer)

    async def _broken_cause(self) -> str | None:
        return self._failure or ended_task(self.consumer) or await self._liveness.stuck_cause()

    async def _replace(self, cause: str) -> None:
        """End the assignment, and put a new consumer in the place of this one; ``start`` lets it join."""
        _log.error(
            events.SOURCE_REPLACED,
            cause=cause,
            remedy="none needed: a new consumer joins the group in its place",
        )
        await self._put_new()

    async def _put_new(self) -> None:
        self._joined = False
        self._failure = None
        await self._revoked()
        broken, self.consumer = self.consumer, self._create_consumer()
        self._fetch.close(broken)
        await stop_consumer(broken)

    async def give_up_place(self) -> None:
        """End the assignment and leave the name to the process that took it; log that once per minute."""
        self.name.log_taken()
        if self._joined:
            self._joined = False
            await self._revoked()
            await stop_consumer(self.consumer)

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit the member group's offsets: Kafka accepts that only from present members.

        Cursors are committed for groups without members, and Kafka does not fence such commits. So
        this commit comes first: a process that lost its place is refused here and commits no cursor.
        Kafka accepts it while a rebalance is being prepared, refuses it from the generation before
        once all members have joined, and counts an accepted one as a heartbeat.

        Raises ``CommitError``, and ``PlaceLostError`` where no later attempt can succeed.
        """
        group, consumer = self.membership.group, self.consumer
        if self.name.taken or not has_generation(consumer):
            # without a generation, a group without members accepts it from any process
            raise PlaceLostError(f"group {group!r}: {_NO_MEMBER}")
        offsets = existing_offsets(consumer, lowest)
        if not offsets:
            raise PlaceLostError(f"group {group!r}: the topics of its partitions do not exist any more")
        refused = refused_topics(consumer)
        offsets = {one: offset for one, offset in offsets.items() if one.topic not in refused} or offsets
        sent_at = time.monotonic()
        try:
            async with self.call(f"commit for group {group!r}", _COMMIT_TIMEOUT_S):
                await consumer.commit(offsets)
        except BrokerError as exc:
            if isinstance(exc.__cause__, CommitFailedError):  # its text supposes slow polls
                raise PlaceLostError(
                    f"group {group!r}: {_NO_MEMBER}; others have its partitions, or will have them soon"
                ) from exc
            if isinstance(exc.__cause__, IllegalStateError | NameTaken):
                raise PlaceLostError(f"group {group!r}: {exc.cause}") from exc
            if not _accepts_others(exc.__cause__, offsets):
                raise CommitError(f"group {group!r}: {exc.cause}") from exc
        self.lease.renew(sent_at)


def _accepts_others(cause: BaseException | None, offsets: Collection[TopicPartition]) -> bool:
    """Return True if a commit failed only for topics that the login may not read, and not for all.

    Then the coordinator has accepted the other topics, which it does only for a member.
    """
    if not isinstance(cause, TopicAuthorizationFailedError):
        return False
    return bool({partition.topic for partition in offsets} - set(cause.args[0]))
