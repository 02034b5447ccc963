"""Step 1, the source: one member of the consumer group, reading each of its partitions once.

Gives batches of ``Record``; takes where to start and what to commit for the member group. Edge
floor; holds the only consumer that may commit as a member.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, OffsetOutOfRangeError

from bridge.core.share import share
from bridge.errors import CommitError, KafkaUnavailable, PlaceLostError, RecordsDeleted
from bridge.kafka.assignor import ByNumberAssignor
from bridge.kafka.client import KafkaOptions
from bridge.kafka.client_health import ANSWER_TIMEOUT_S, answered, ended_task, stop_consumer
from bridge.kafka.group_liveness import Silence
from bridge.kafka.startup_noise import FirstStart
from bridge.model import Batch, Partition, Record
from bridge.telemetry import events

_log = structlog.get_logger()
_COMMIT_TIMEOUT_S = 5.0
"""aiokafka looks for a lost coordinator for ever; a beat must be able to say so, and a stop to end."""
_LATE_S = 1.0
"""Beyond its time-out, for a poll to end: aiokafka waits for a new assignment without any limit."""
_LONG_POLL_MS = 50
"""aiokafka has one fetch under way per broker; a partition that is not in it waits until it ends.
With the usual 500 ms, that is the latency of every hundredth event."""


@dataclass(frozen=True, slots=True)
class Membership:
    """How this process is a member of its group; times in seconds."""

    group: str
    topics: tuple[str, ...]
    session_timeout_s: float = 45
    heartbeat_interval_s: float = 3
    rebalance_timeout_s: float = 60
    instance_id: str | None = None
    max_batch: int = 1000
    max_value_bytes: int = 1024 * 1024


class Reader:
    """A consumer of the group, with its rebalances made visible.

    An assignment is not readable until ``start_at`` told where each partition begins, because the
    start depends on the endpoints' cursors and not on the member group's offset. Errors in a
    rebalance listener are logged and dropped by aiokafka, so the listener here only notes what
    happened; the work is done by whoever calls ``read``.

    Nothing here waits for ever. A consumer of which a part has died, or which hears nothing of its
    group although the broker answers, is replaced by a new one, which joins anew.
    """

    def __init__(
        self, options: KafkaOptions, membership: Membership, on_revoked: Callable[[], Awaitable[None]]
    ) -> None:
        self._membership = membership
        self._on_revoked = on_revoked
        self._options = options
        self._consumer = self._new_consumer()
        self._joined = False
        self._silence = Silence(options, membership.rebalance_timeout_s + membership.session_timeout_s)
        self._assigned: frozenset[Partition] = frozenset()
        self._started: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self.epoch = 0
        self._lease_from = 0.0
        self._first_start = FirstStart(lambda: self.epoch > 0)

    def _new_consumer(self) -> AIOKafkaConsumer:
        membership = self._membership
        return AIOKafkaConsumer(
            **self._options.arguments(),
            group_id=membership.group,
            group_instance_id=membership.instance_id,
            partition_assignment_strategy=(ByNumberAssignor,),
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=int(membership.session_timeout_s * 1000),
            heartbeat_interval_ms=int(membership.heartbeat_interval_s * 1000),
            rebalance_timeout_ms=int(membership.rebalance_timeout_s * 1000),
            fetch_max_wait_ms=_LONG_POLL_MS,
            max_partition_fetch_bytes=max(1024 * 1024, membership.max_value_bytes),
            isolation_level="read_committed",
        )

    async def start(self) -> None:
        """Join the group; raises aiokafka's errors, and may be called again after them."""
        consumer = self._consumer
        self._first_start.add()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await consumer.start()
            self._note_heartbeats()
        except BaseException:
            await stop_consumer(consumer)
            self._consumer = self._new_consumer()
            raise
        self._silence.broken()
        consumer.subscribe(topics=self._membership.topics, listener=_Listener(self, consumer))
        self._joined = True

    def _note_heartbeats(self) -> None:
        """Learn when the broker last took a heartbeat: aiokafka keeps that in a local variable."""
        coordinator: Any = self._consumer._coordinator
        beat = coordinator._do_heartbeat

        async def noted() -> bool:
            sent_at = time.monotonic()
            taken: bool = await beat()
            if taken and coordinator is self._consumer._coordinator:
                self._lease_from = sent_at
                self._silence.broken()
            return taken

        coordinator._do_heartbeat = noted

    def holds_lease(self) -> bool:
        """Whether the group cannot have given our partitions away yet.

        The broker waits a session timeout after the last heartbeat before it does. A process that
        stood still for longer must not send what its successor may have passed already.
        """
        return time.monotonic() - self._lease_from < self._membership.session_timeout_s

    async def stop(self) -> None:
        """Leave the group. The revoke callback is not called by this (aiokafka): drain before."""
        await stop_consumer(self._consumer)
        self._first_start.remove()

    async def _revoked(self, revoked: Collection[object]) -> None:
        """All partitions go (eager protocol), before joining again; heartbeats go on."""
        if revoked:
            await self._on_revoked()
        self._assigned = frozenset()
        self._started.clear()
        self._paused.clear()

    def _assign(self, assigned: Collection[TopicPartition]) -> None:
        """Heartbeats have not begun yet, so nothing here may take time.

        A partition is paused at a made-up position until ``start_at``, so that aiokafka neither
        fetches from the member group's offset nor complains that there is none.
        """
        self.epoch += 1
        self._lease_from = time.monotonic()
        self._silence.broken()
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)
        self._assigned = frozenset(Partition(one.topic, one.partition) for one in assigned)

    @property
    def unprepared(self) -> frozenset[Partition]:
        """Assigned partitions that wait for ``start_at``."""
        return self._assigned - {Partition(*one) for one in self._started}

    @property
    def assigned(self) -> frozenset[Partition]:
        """All partitions of the current assignment."""
        return self._assigned

    @property
    def share(self) -> float:
        """Return this pod's share of the endpoints' rates, by the partitions assigned to it."""
        total = sum(len(self._consumer.partitions_for_topic(one) or ()) for one in self._membership.topics)
        return share(len(self._assigned), total)

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        for partition, offset in positions.items():
            assigned = TopicPartition(*partition)
            self._consumer.seek(assigned, offset)
            self._consumer.resume(assigned)
            self._started.add(assigned)

    def begin_again(self) -> None:
        """Forget where reading began: every assigned partition waits for ``start_at`` again."""
        for one in self._started:
            self._consumer.pause(one)
        self._started.clear()
        self._paused.clear()

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        """The next records, at most ``max_batch``, none of ``full`` partitions; maybe none at all.

        Raises ``KafkaUnavailable`` for errors of the broker, and ``RecordsDeleted`` where a position
        is no longer in the log.
        """
        await self._stay_member()
        waiting = {TopicPartition(*partition) for partition in full}
        self._hold_back(waiting)
        readable = self._started - waiting
        try:
            async with asyncio.timeout(timeout_s + _LATE_S):
                batches = await self._consumer.getmany(
                    *readable, timeout_ms=int(timeout_s * 1000), max_records=self._membership.max_batch
                )
        except TimeoutError:
            return []  # a rebalance is under way
        except OffsetOutOfRangeError as exc:
            raise RecordsDeleted({Partition(*one): offset for one, offset in exc.args[0].items()}) from exc
        except KafkaError as exc:
            raise KafkaUnavailable(f"reading failed: {exc!r}") from exc
        return [
            (
                Partition(one.topic, one.partition),
                [to_record(Partition(one.topic, one.partition), raw) for raw in raws],
            )
            for one, raws in batches.items()
            if one in self._started
        ]

    async def _stay_member(self) -> None:
        """Replace the consumer where it does not work any more. Raises ``KafkaUnavailable``."""
        cause = None
        if self._joined:
            cause = ended_task(self._consumer) or await self._silence.too_long()
        if cause is not None:
            _log.error(
                events.SOURCE_REPLACED,
                cause=cause,
                remedy="none needed: another consumer joins the group in its place",
            )
            self._joined = False
            await self._revoked(self._assigned)
            broken, self._consumer = self._consumer, self._new_consumer()
            await stop_consumer(broken)
        if not self._joined:
            try:
                await self.start()
            except (KafkaError, OSError) as exc:
                raise KafkaUnavailable(f"the group is not to be joined: {exc!r}") from exc

    def _hold_back(self, waiting: set[TopicPartition]) -> None:
        """Pause when nothing at all is readable: polling goes on, and fetches nothing.

        While something is readable, full partitions are only left out of the poll: pausing throws
        away what was fetched ahead.
        """
        all_wait = bool(self._started) and waiting >= self._started
        for one in (self._started & waiting if all_wait else set()) - self._paused:
            self._consumer.pause(one)
            self._paused.add(one)
        for one in self._paused - waiting:
            self._consumer.resume(one)
        self._paused &= waiting

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """The log of each partition: its first offset and its next one. Raises ``KafkaUnavailable``."""
        asked = [TopicPartition(*partition) for partition in partitions]
        starts, ends = await answered(
            asyncio.gather(self._consumer.beginning_offsets(asked), self._consumer.end_offsets(asked)),
            f"the offsets of {asked} are not to be had",
        )
        return {Partition(*one): (starts[one], ends[one]) for one in asked}

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        """The first offset at or after an instant, where there is one. Raises ``KafkaUnavailable``."""
        asked = {TopicPartition(*partition): timestamp_ms for partition in partitions}
        question = self._consumer.offsets_for_times(asked)
        found = await answered(question, f"no offsets for an instant in {list(asked)}")
        return {Partition(*one): at.offset for one, at in found.items() if at is not None}

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit the member group's offsets, which only its present members can.

        Cursors are committed for groups without members, and such commits are not fenced. So this
        one goes first: a process that lost its place is refused here and commits no cursor.
        Kafka takes it while a rebalance is being prepared, and from nobody of the generation before
        once all have joined; what it takes counts as a heartbeat. Raises ``CommitError``, and
        ``PlaceLostError`` where no later try can be taken.
        """
        group, consumer = self._membership.group, self._consumer
        coordinator: Any = consumer._coordinator
        if coordinator is None or coordinator.generation < 0:
            # without a generation a group that is empty takes it from anybody
            raise PlaceLostError(f"group {group!r}: this process is no member any more")
        offsets = {TopicPartition(*partition): offset for partition, offset in lowest.items()}
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(_COMMIT_TIMEOUT_S):
                await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as exc:
            raise PlaceLostError(f"group {group!r}: {exc!r}") from exc
        except KafkaError as exc:
            raise CommitError(f"group {group!r}: {exc!r}") from exc
        except TimeoutError as exc:
            raise CommitError(
                f"group {group!r}: no answer from the broker in {_COMMIT_TIMEOUT_S:g} s"
            ) from exc
        self._lease_from = max(self._lease_from, sent_at)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """What aiokafka tells of a consumer's rebalances; one that was replaced is not listened to."""

    def __init__(self, reader: Reader, consumer: AIOKafkaConsumer) -> None:
        self._reader = reader
        self._consumer = consumer

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] - may be either
        self, revoked: Collection[TopicPartition]
    ) -> None:
        if self._consumer is self._reader._consumer:
            await self._reader._revoked(revoked)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        if self._consumer is self._reader._consumer:
            self._reader._assign(assigned)


def to_record(partition: Partition, raw: ConsumerRecord) -> Record:
    """Our own frozen record of aiokafka's."""
    return Record(
        partition,
        raw.offset,
        raw.timestamp,
        raw.key,
        raw.value,
        tuple((name, value or b"") for name, value in raw.headers) if raw.headers else (),
    )
