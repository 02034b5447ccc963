"""THE PATH: from a record on Kafka to a settled event. Read it from top to bottom.

    source 1      kafka/group_reader        the records of our partitions, in batches
    decode 2      formats/                  bytes -> events, or undecodable.py parks the record
    duplicate? 3  core/dedupe               the same key earlier in the same partition: skipped
                                            (dedupe_window.py has the keys)
    route 4       core/routing              which endpoints want it; core/filter/ reads its content
    cursor 5      core/cursor               has this endpoint had it already? if not, it is open now
    lanes 6       core/lanes                in line behind the earlier events of its entity (lane_queue.py)
    ------------- to here in intake.py; from here per endpoint, in dispatcher.py ---------------------
    render 7      rendering/                method, URL, headers, body
    sign 8        core/signing              the webhook-* headers
    attempt 9     attempt.py                one request over http/
    verdict 10    core/verdict              delivered, again (core/backoff), parked (dead_letters/), or
                                            the endpoint goes off (kafka/control_topic)
    settle 11     core/cursor               settled; core/completion_map packs it, checkpoints.py commits

The readers are here: ``Pipeline.run`` reads as long as the bridge lives, ``take`` gives each batch to
the intake once its dedupe window is known, and ``drain`` ends an assignment.

A cursor whose window is full lets go of the reader, which goes on without it; when it has room
again, ``catch_up.py`` feeds it through the same ``take`` until it meets the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog

from bridge.core.cursor import CursorState
from bridge.core.routing import Router
from bridge.dead_letters.park import Parks
from bridge.errors import CommitError, KafkaUnavailable, RecordsDeleted, SchemaNeeded
from bridge.formats import Decoder
from bridge.model import Partition, Record
from bridge.pipeline.catch_up import CatchUp, SideReads
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_start import EndpointCursor, report_deleted
from bridge.pipeline.dispatcher import Outlet
from bridge.pipeline.intake import Intake
from bridge.pipeline.outage import Trouble
from bridge.pipeline.ports import Feed, FirstOffsets, Reads
from bridge.pipeline.schema_wait import Learning
from bridge.pipeline.undecodable import Rejects
from bridge.storage.dedupe_index import IndexLostError
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()
_POLL_S = 0.1
_END_S = 1.0
NEAR = 10_000
"""Offsets by which cursors of a partition may differ at the start and still share the reader."""


class Pipeline:
    """Reads for all endpoints, from the beginning of an assignment to its drain.

    Invariant: every record from a cursor's place on is taken for it, in the order of the log and by one
    reader at a time, for as long as the assignment is ours.
    """

    def __init__(
        self,
        *,
        source: Reads,
        decoders: Mapping[str, Decoder],
        window: FirstOffsets,
        side_window: Callable[[], FirstOffsets],
        open_side_reader: Callable[[], SideReads],
        router: Router[str],
        outlets: Mapping[str, Outlet],
        checkpoints: Checkpoints,
        load_holds: Callable[[Collection[Partition]], Awaitable[None]],
        parks: Parks,
        metrics: Metrics,
        drain_timeout_s: float,
        learn: Callable[[SchemaNeeded], Awaitable[None]],
    ) -> None:
        self._source = source
        self._main = Feed(window)
        self._feeds = [self._main]
        self._outlets = outlets
        self._checkpoints = checkpoints
        self._load_holds = load_holds
        self._drain_timeout_s = drain_timeout_s
        self._next: dict[Partition, int] = {}
        self._draining = False
        self._tasks: asyncio.TaskGroup | None = None
        self._rejects = Rejects(parks, outlets.keys(), checkpoints.settle)
        self._intake = Intake(
            decoders=decoders, router=router, outlets=outlets, rejects=self._rejects, metrics=metrics
        )
        self._room = checkpoints.room
        self._trouble = Trouble()
        self._learning = Learning(learn, self._room.set, self._trouble)
        self._ending = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._catch_ups = {
            endpoint: self._catch_up(endpoint, Feed(side_window()), open_side_reader) for endpoint in outlets
        }

    async def run(self) -> None:
        """Read and hand over until ``stop``; then drain. A broker in trouble is waited for.

        Whatever the readers are about, a stop ends it: what they did not hand over is not settled.
        """
        async with asyncio.TaskGroup() as self._tasks:
            reading = [
                self._tasks.create_task(self._read_on(), name="read"),
                *(
                    self._tasks.create_task(catch_up.run(), name=f"catch up {endpoint}")
                    for endpoint, catch_up in self._catch_ups.items()
                ),
            ]
            await self._stopping.wait()
            for task in reading:
                task.cancel()
            await asyncio.wait(reading, timeout=_END_S)
            await self.drain()

    async def _read_on(self) -> None:
        while True:
            try:
                if self._source.unprepared:
                    await self._prepare()
                await self._read_once()
            except (KafkaUnavailable, CommitError) as exc:
                await self._trouble.sit_out(exc)

    def stop(self) -> None:
        """End ``run``; may be called at any time."""
        self._stopping.set()

    @property
    def without_schema(self) -> list[str]:
        """Partitions that wait until their registry gives a schema."""
        return sorted(map(str, self._learning.waiting))

    async def _read_once(self) -> None:
        cursors = self._checkpoints.cursors
        held = {one for one, by_endpoint in cursors.items() if not any(_takes(by_endpoint.values()))}
        held.update(self._learning.waiting)
        if held and len(held) == len(cursors):
            await self._room_made(_POLL_S * 5)
        try:
            batches = await self._source.read(held, _POLL_S)
        except RecordsDeleted as exc:
            await self._skip_deleted(exc.positions)
            return
        for partition, records in batches:
            if partition in self._checkpoints.cursors:
                await self._take_main(partition, records)

    async def _take_main(self, partition: Partition, records: Sequence[Record]) -> None:
        """A batch of the main reader: for the cursors that go along; the others fall behind."""
        cursors = self._checkpoints.cursors[partition].values()
        epoch = self._source.epoch
        try:
            await self.take(self._main, partition, records, list(_takes(cursors)))
        except SchemaNeeded as needed:
            if epoch == self._source.epoch and not self._draining and partition in self._checkpoints.cursors:
                assert self._tasks is not None, "records are taken inside run()"
                self._source.start_at({partition: records[0].offset})
                self._learning.begin(self._tasks, partition, needed)
            return
        end = records[-1].offset + 1
        self._next[partition] = max(end, self._next.get(partition, 0))
        for cursor in cursors:
            if cursor.attached:
                cursor.passed_by(end)
                if not cursor.attached:
                    _log.info(
                        events.CURSOR_DETACHED,
                        endpoint=cursor.endpoint,
                        partition=str(partition),
                        next_offset=cursor.position,
                        unsettled=cursor.unsettled,
                    )

    async def take(
        self, feed: Feed, partition: Partition, records: Sequence[Record], cursors: Sequence[EndpointCursor]
    ) -> bool:
        """Steps 2 to 6 for a batch of one partition, for these of its cursors.

        False when the assignment is ending: nothing was taken, and whoever has the partition next
        takes it from its cursors. Raises ``SchemaNeeded``, and then too nothing was taken.
        """
        while True:
            if partition not in feed.covered:
                await self._cover(feed, partition, records[0])
            if self._draining or partition not in feed.covered or not all(one.live for one in cursors):
                return False
            try:
                assert self._tasks is not None, "records are taken inside run()"
                self._intake.take(self._tasks, feed.window, partition, records, cursors)
            except IndexLostError:
                feed.covered.clear()
            else:
                return True

    async def _cover(self, feed: Feed, partition: Partition, first: Record) -> None:
        """Have the dedupe window before a batch known; for as long as the partition is ours."""
        while partition in self._checkpoints.cursors:
            try:
                await feed.window.cover(partition, first)
            except KafkaUnavailable as exc:
                await self._trouble.sit_out(exc)
            except IndexLostError:
                feed.covered.clear()
            else:
                feed.covered.add(partition)
                return

    async def _prepare(self) -> None:
        """Begin with newly assigned partitions: load their cursors, start where the foremost are.

        Cursors far behind the foremost one do not hold the reader: they catch up on their own.
        """
        epoch, partitions = self._source.epoch, self._source.unprepared
        bounds = await self._source.bounds(partitions)
        cursors = await self._checkpoints.load(bounds)
        # in this order: whoever had them before wrote a hold, and then committed what relies on it
        await self._load_holds({*partitions, *self._checkpoints.cursors})
        if epoch != self._source.epoch or partitions != self._source.unprepared:
            return
        for partition, by_endpoint in cursors.items():
            positions = [cursor.position for cursor in by_endpoint.values()]
            foremost = max(positions)
            self._next[partition] = min(position for position in positions if foremost - position <= NEAR)
            for cursor in by_endpoint.values():
                cursor.passed_by(self._next[partition])
        self._checkpoints.install(cursors)
        # before the first delivery: a new endpoint has its place from now on
        await self._checkpoints.commit()
        if epoch != self._source.epoch or partitions != self._source.unprepared:
            return
        for feed in self._feeds:
            feed.covered -= partitions
            for partition, (_, following) in bounds.items():
                feed.window.cut(partition, following)
        for outlet in self._outlets.values():
            outlet.pace.set_share(self._source.share)
        starts = {partition: self._next[partition] for partition in cursors}
        self._source.start_at(starts)
        for catch_up in self._catch_ups.values():
            catch_up.wake()
        _log.info(
            events.SOURCE_ASSIGNED, epoch=epoch, next_offsets={str(one): at for one, at in starts.items()}
        )

    async def drain(self) -> None:
        """Let what is in flight finish, within the deadline, commit, and give the assignment up.

        On revoke and on shutdown. Returns when nothing more can be committed by this process.
        """
        async with self._ending:
            deadline = asyncio.get_running_loop().time() + self._drain_timeout_s
            self._draining = True
            self._learning.forget()
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.gather(*(outlet.drain() for outlet in self._outlets.values()))
                    await self._rejects.drain()
            except TimeoutError:
                in_flight = sum(outlet.in_flight for outlet in self._outlets.values())
                _log.warning(
                    events.BRIDGE_DRAINED, unfinished=in_flight, remedy="these requests are sent again"
                )
            self._rejects.forget()
            await self._checkpoints.commit_last(deadline)
            self._checkpoints.clear()
            for outlet in self._outlets.values():
                outlet.forget()
            self._draining = False

    async def _skip_deleted(self, positions: Mapping[Partition, int]) -> None:
        """Retention was faster than we were: say what is gone and go on where the log begins.

        A position behind the log's end is another matter: the topic was made anew. The assignment
        begins again, and the cursors with it.
        """
        bounds = await self._source.bounds(positions)
        if any(position > bounds[partition][1] for partition, position in positions.items()):
            await self.drain()
            self._source.begin_again()
            return
        for partition, (first, _) in bounds.items():
            for endpoint, cursor in self._checkpoints.cursors.get(partition, {}).items():
                if cursor.attached and cursor.position < first:
                    report_deleted(endpoint, partition, cursor.position, first)
                    cursor.advance(first)
            self._next[partition] = first
        self._source.start_at({partition: first for partition, (first, _) in bounds.items()})

    def _catch_up(self, endpoint: str, feed: Feed, open_reader: Callable[[], SideReads]) -> CatchUp:
        self._feeds.append(feed)
        return CatchUp(
            endpoint,
            cursors=partial(self._checkpoints.of, endpoint),
            open_reader=open_reader,
            take=partial(self._take_behind, feed),
            main_at=self._next.__getitem__,
            met=partial(self._met, feed),
            trouble=self._trouble,
            wake=self._checkpoints.room_behind[endpoint],
        )

    async def _take_behind(
        self, feed: Feed, partition: Partition, records: Sequence[Record], cursor: EndpointCursor
    ) -> bool:
        """A batch for a cursor that catches up; what it needs a schema for, it waits for."""
        while True:
            try:
                return await self.take(feed, partition, records, [cursor])
            except SchemaNeeded as needed:
                await self._learning.ask(needed)

    def _met(self, feed: Feed, partition: Partition) -> None:
        feed.covered.discard(partition)
        self._room.set()

    async def _room_made(self, timeout_s: float) -> None:
        """Return when a cursor has room or a schema is there, or in any case after a while."""
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._room.wait()


def _takes(cursors: Iterable[EndpointCursor]) -> Iterable[EndpointCursor]:
    return (cursor for cursor in cursors if cursor.state is CursorState.ATTACHED)
