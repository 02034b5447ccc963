"""THE PATH: from a record in Kafka to a settled event. Read the files in this order.

    step           file                          what happens
    source 1       kafka/group_reader            the records of our partitions, in batches
    decode 2       formats/                      bytes -> events (undecodable.py parks what is not)
    duplicate? 3   core/dedupe                   skip a key that is earlier in the same partition
                                                 (dedupe_window.py keeps the keys)
    route 4        core/routing                  which endpoints want it; core/filter/ reads its content
    cursor 5       core/cursor                   has this endpoint settled it? if not, it is open now
    lanes 6        core/lanes                    queue it after the earlier events of its entity
    ---------- steps 2 to 6: intake.py, per batch; below: dispatcher.py, per endpoint ----------
    render 7       rendering/                    method, URL, headers, body
    sign 8         core/signing                  id, time, signatures
    attempt 9      http/                         one request; core/limits/ says when it may be sent
    verdict 10     core/verdict                  delivered, retry, park, or switch the endpoint off
                                                 (steps 7 to 10: attempt.py; attempt_log.py keeps it)
    settle 11      core/cursor                   settled (lane_heads.py, checkpoints.py); commits.py
                                                 commits it, packed by core/completion_map

After a verdict that is not a 2xx: core/backoff delays the retry, and parking.py writes to dead_letters/.
``assignment.py`` begins and ends the work on a set of partitions. This file has the read loop.

A cursor whose window is full is detached: the main reader continues without it. When it has room
again, ``catch_up.py`` feeds it with a second reader (``side_readers.py``), through the same intake, until it
has caught up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from bridge.errors import CommitError, KafkaUnavailable, RecordsDeleted, SchemaNeeded
from bridge.model import Partition, Record
from bridge.pipeline.acceptance import Acceptance
from bridge.pipeline.assignment import Assignment
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.intake import Feed, Intake
from bridge.pipeline.memory_watch import MemoryWatch
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.ports import Reads
from bridge.pipeline.schema_wait import SchemaWait
from bridge.pipeline.side_readers import SideReaders
from bridge.pipeline.topic_watch import TopicWatch
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()
_POLL_S = 0.1
_IDLE_POLL_S = 1.0
"""How long a read waits for records; a new assignment ends it. It is shorter while a partition has no room:
it may have some soon."""
_END_S = 1.0
_PASS_S = 0.2
"""How often the cursors move past what holds no readable record, in seconds."""


class Pipeline:
    """Reads for all endpoints, while partitions are assigned.

    Invariant: every record from a cursor's position on is accepted for it, in the order of the log
    and from one reader at a time, as long as the assignment lasts.
    """

    def __init__(
        self,
        *,
        source: Reads,
        intake: Intake,
        acceptance: Acceptance,
        side_readers: SideReaders,
        assignment: Assignment,
        dispatchers: dict[str, EndpointDispatcher],
        checkpoints: Checkpoints,
        main: Feed,
        topics: TopicWatch,
        memory: MemoryWatch,
        schema_wait: SchemaWait,
        outage: OutageBackoff,
        metrics: Metrics,
    ) -> None:
        """``dispatchers`` are by endpoint. The assignment works with the same, and with the ``main`` feed."""
        self.assignment = assignment
        self._source = source
        self._intake = intake
        self._acceptance = acceptance
        self._side_readers = side_readers
        self._dispatchers = dispatchers
        self._checkpoints = checkpoints
        self._room = checkpoints.room
        self._main = main
        self._topics = topics
        self._memory = memory
        self._schema_wait = schema_wait
        self._outage = outage
        self._read_main_count = metrics.records_read.labels("main")
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._pass_at = 0.0
        for dispatcher in dispatchers.values():
            side_readers.admit(dispatcher)

    async def run(self) -> None:
        """Read and enqueue until ``stop``, then drain. While the broker is unavailable, back off.

        A stop interrupts the readers anywhere: a batch that was not accepted is not settled.
        """
        async with asyncio.TaskGroup() as self._tasks:
            always = [
                self._tasks.create_task(self._read_main(), name="read"),
                self._tasks.create_task(self._topics.run(), name="watch topics"),
                self._tasks.create_task(self._memory.run(), name="memory"),
            ]
            for endpoint in self._dispatchers:
                self.start_catch_up(endpoint)
            await self._stopping.wait()
            reading = [*always, *self._side_readers.running]
            for task in reading:
                task.cancel()
            await asyncio.wait(reading, timeout=_END_S)
            await self.assignment.drain()

    def stop(self) -> None:
        """End ``run``; may be called at any time."""
        self._stopping.set()

    def admit(self, dispatcher: EndpointDispatcher) -> None:
        """Take up an endpoint. Its cursors are added to the checkpoints, and it catches up once started."""
        endpoint = dispatcher.name
        self._checkpoints.admit(endpoint)
        self._dispatchers[endpoint] = dispatcher
        self._intake.admit(endpoint)
        self._side_readers.admit(dispatcher)

    def start_catch_up(self, endpoint: str) -> None:
        """Start the reader with which an endpoint catches up with the main reader; not after ``stop``."""
        if self._tasks is not None and not self._stopping.is_set():
            self._side_readers.start(endpoint, self._tasks)

    def let_go(self, endpoint: str) -> None:
        """Give an endpoint no record from now on. ``dismiss`` it once it is drained and committed."""
        for cursor in self._checkpoints.of(endpoint):
            self._checkpoints.detach(cursor)
        self._side_readers.let_go(endpoint)

    async def dismiss(self, endpoint: str) -> None:
        """Forget an endpoint that was let go."""
        await self._side_readers.dismiss(endpoint)
        self._checkpoints.dismiss(endpoint)
        del self._dispatchers[endpoint]

    @property
    def settled(self) -> bool:
        """Return True while no assignment begins or ends, so that endpoints may come and go."""
        return not self.assignment.ending and not self._source.unprepared

    @property
    def without_schema(self) -> list[str]:
        """The partitions that wait until their registry returns a schema."""
        return sorted(map(str, self._schema_wait.waiting))

    async def _read_main(self) -> None:
        while True:
            try:
                if self._topics.recreated:
                    await self.assignment.begin_again()
                if self._source.unprepared:
                    await self.assignment.begin()
                await self._read_batches()
            except (KafkaUnavailable, CommitError) as exc:
                await self._outage.wait(exc)

    async def _read_batches(self) -> None:
        """Read once, except from partitions that no attached cursor has room for."""
        cursors = self._checkpoints.cursors
        self._checkpoints.fill_used_up()
        skipped = {
            partition for partition, by_endpoint in cursors.items() if not _has_room(by_endpoint.values())
        }
        skipped.update(self._schema_wait.waiting)
        if len(skipped) == len(cursors) > 0 or self._has_plenty():
            await self._wait_for_room(_POLL_S * 5)
        try:
            batches = await self._source.read(skipped, _POLL_S if skipped else _IDLE_POLL_S)
        except RecordsDeleted as exc:
            await self.assignment.skip_deleted(exc.positions)
            return
        except KafkaUnavailable:
            self.assignment.read_again()
            raise
        for partition, records in batches:
            if partition in self._checkpoints.cursors:
                await self._accept_main(partition, records)
        now = asyncio.get_running_loop().time()
        if now >= self._pass_at:
            self.assignment.pass_unreadable()
            self._pass_at = now + _PASS_S
        if batches:  # a client that has fetched more returns it at once: what was taken in is sent first
            await asyncio.sleep(0)

    def _has_plenty(self) -> bool:
        """Return True if no endpoint can use more events yet: what is read too early only uses memory.

        A read now and then keeps the member in its group.
        """
        for dispatcher in self._dispatchers.values():  # mostly the first one answers
            if not dispatcher.has_plenty:
                return False
        return bool(self._dispatchers)

    async def _accept_main(self, partition: Partition, records: Sequence[Record]) -> None:
        """Accept a batch for the cursors that have room; the others are detached."""
        cursors = self._checkpoints.cursors[partition].values()
        epoch = self._source.epoch
        assert self._tasks is not None, "records are accepted inside run()"
        try:
            await self._acceptance.accept(
                self._tasks, self._main, partition, records, lambda: _with_room(cursors)
            )
        except SchemaNeeded as needed:
            is_ours = partition in self._checkpoints.cursors
            if epoch == self._source.epoch and not self.assignment.ending and is_ours:
                self._source.start_at({partition: records[0].offset})
                self._schema_wait.start(self._tasks, partition, needed)
            return
        self._read_main_count.inc(len(records))
        end = records[-1].end
        next_offsets = self.assignment.next_offsets
        next_offsets[partition] = max(end, next_offsets.get(partition, 0))
        for cursor in cursors:
            if cursor.attached and cursor.position < end:
                self._checkpoints.detach(cursor)
                _log.info(
                    events.CURSOR_DETACHED,
                    endpoint=cursor.endpoint,
                    partition=str(partition),
                    next_offset=cursor.position,
                    unsettled=cursor.unsettled,
                )

    async def _wait_for_room(self, timeout_s: float) -> None:
        """Return when a cursor has room or a schema is known, and after ``timeout_s`` at the latest."""
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._room.wait()


def _has_room(cursors: Iterable[EndpointCursor]) -> bool:
    """Return True if some cursor takes events. Called for each partition at each read."""
    for cursor in cursors:  # noqa: SIM110 - a generator costs more than the one or two steps of the loop
        if cursor.attached and not cursor.full:
            return True
    return False


def _with_room(cursors: Iterable[EndpointCursor]) -> list[EndpointCursor]:
    return [cursor for cursor in cursors if cursor.attached and not cursor.full]
