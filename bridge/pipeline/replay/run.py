"""One replay in one process: read its part of the log, deliver through the steps of the path, and commit.

Invariant: the cursors of a replay are committed as all cursors are, after the fence of the member, and no
record is accepted past the end that its job has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from bridge.core.dedupe import Stretch, earliest_ms
from bridge.core.jobs import Job
from bridge.errors import KafkaUnavailable, RecordsDeleted, SchemaNeeded
from bridge.model import Partition, Record
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.cursor_loader import Loaded
from bridge.pipeline.cursor_start import EndpointCursor, skip_deleted_offsets
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.intake import Feed, Intake
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.ports import SideReads
from bridge.pipeline.schema_wait import SchemaWait
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.storage.dedupe_index import IndexLostError
from bridge.telemetry import events

_log = structlog.get_logger()
_POLL_S = 0.2
_LINGER_S = 5.0
"""How long the reader stays open while there is nothing to read."""
_LAST_COMMIT_S = 1.5


class ReplayRun:
    """The cursors of one job in the partitions of one assignment.

    ``run`` returns when all is settled and committed, or after ``drain`` and ``end``, which another task may
    call when the assignment ends. ``mirror`` is called on every beat: it applies the switches of the
    endpoint. A run whose ``end`` was called commits nothing more.
    """

    def __init__(
        self,
        job: Job,
        stretches: Mapping[Partition, Stretch],
        *,
        load: Callable[[], Awaitable[Loaded]],
        checkpoints: Checkpoints,
        commits: Commits,
        dispatcher: EndpointDispatcher,
        intake: Intake,
        feed: Feed,
        undecodable: UndecodableRecords,
        open_reader: Callable[[], SideReads],
        learn: Callable[[SchemaNeeded], Awaitable[None]],
        mirror: Callable[[], None],
        commit_interval_s: float,
        drain_timeout_s: float,
    ) -> None:
        """``load`` builds the cursors; it raises ``CommitError`` and ``KafkaUnavailable``."""
        self.job = job
        self.stretches = stretches
        self._load = load
        self._checkpoints = checkpoints
        self._commits = commits
        self._dispatcher = dispatcher
        self._intake = intake
        self._feed = feed
        self._undecodable = undecodable
        self._open_reader = open_reader
        self._outage = OutageBackoff()
        self._schema_wait = SchemaWait(learn, lambda: None, self._outage)
        self._mirror = mirror
        self._commit_interval_s = commit_interval_s
        self._drain_timeout_s = drain_timeout_s
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._ended = False
        self._committing_last = asyncio.Lock()

    @property
    def is_settled(self) -> bool:
        """Return True if every cursor is at its end, and nothing is in a lane."""
        cursors = list(self._checkpoints.all())
        return len(cursors) == len(self.stretches) and all(
            cursor.position >= self.stretches[cursor.partition].end and not cursor.unsettled
            for cursor in cursors
        )

    def stop(self) -> None:
        """End ``run`` soon: the job was paused or ended, or the assignment changes."""
        self._stopping.set()

    async def run(self) -> bool:
        """Replay until all is settled. Return False if it was stopped before, True otherwise.

        Raises ``CommitError`` and ``KafkaUnavailable`` if the cursors cannot be loaded.
        """
        loaded = await self._load()
        if self._stopping.is_set():
            return False
        self._checkpoints.install(loaded)
        async with asyncio.TaskGroup() as self._tasks:
            reading = self._tasks.create_task(self._read(), name=f"replay {self.job.id}")
            self._dispatcher.start(self._tasks)
            try:
                return await self._commit_until_settled()
            finally:
                reading.cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._drain_timeout_s):
                        await self.drain()
                await self.end()
                self._dispatcher.stop()

    async def drain(self) -> None:
        """Accept and send nothing more, and return when nothing is in flight."""
        self._stopping.set()
        self._schema_wait.cancel()
        await self._dispatcher.drain()
        await self._undecodable.drain()

    async def end(self) -> None:
        """Commit for the last time, and drop the cursors."""
        self._stopping.set()
        async with self._committing_last:  # the run and the assignment end it; both wait for the commit
            if self._ended:
                return
            self._ended = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_COMMIT_S):
                    await self._commits.try_commit()
            self._undecodable.forget()
            self._commits.end()
            self._dispatcher.forget()

    async def _commit_until_settled(self) -> bool:
        while not self._stopping.is_set():
            self._mirror()
            is_settled = self.is_settled
            if await self._commits.try_commit() and is_settled and not self._stopping.is_set():
                return True
            with suppress(TimeoutError):
                async with asyncio.timeout(self._commit_interval_s):
                    await self._stopping.wait()
        return False

    async def _read(self) -> None:
        """Feed the cursors until the run ends."""
        while not self._stopping.is_set():
            if not self._cursors_with_room():
                await self._room(_LINGER_S)
                continue
            try:
                async with self._open_reader() as reader:
                    await self._feed_from(reader)
            except KafkaUnavailable as exc:
                await self._outage.wait(exc)

    async def _feed_from(self, reader: SideReads) -> None:
        """Feed cursors until none has had room for ``_LINGER_S``, or until the run ends."""
        while True:
            behind = self._cursors_with_room()
            if behind:
                if not await self._feed_once(reader, behind):
                    return
            elif not await self._room(_LINGER_S):
                return

    async def _feed_once(self, reader: SideReads, behind: Mapping[Partition, EndpointCursor]) -> bool:
        """Read and accept one batch. Return False if the run ends: the batch is not accepted.

        The next read must not find the batch in a variable: it may be large.
        """
        positions = {partition: cursor.position for partition, cursor in behind.items()}
        try:
            batches, reached = await reader.read_from(positions, _POLL_S)
        except RecordsDeleted as exc:
            await self._skip_deleted(reader, list(exc.positions), behind)
            return True
        for partition, records in batches:
            end = self.stretches[partition].end
            inside = [record for record in records if record.offset < end]
            if inside and not await self._accept(partition, inside, behind[partition]):
                return False
        for partition, cursor in behind.items():
            cursor.advance(min(reached[partition], self.stretches[partition].end))
        return True

    def _cursors_with_room(self) -> dict[Partition, EndpointCursor]:
        self._checkpoints.fill_used_up()
        return {
            cursor.partition: cursor
            for cursor in self._checkpoints.all()
            if cursor.live and not cursor.full and cursor.position < self.stretches[cursor.partition].end
        }

    async def _room(self, timeout_s: float) -> bool:
        """Return True when a cursor that was full has room, False after ``timeout_s``."""
        room = self._checkpoints.room
        try:
            async with asyncio.timeout(timeout_s):
                await room.wait()
        except TimeoutError:
            return False
        room.clear()
        return True

    async def _accept(self, partition: Partition, records: Sequence[Record], cursor: EndpointCursor) -> bool:
        """Run steps 2 to 6 for a batch. Return False if the run ends: the batch is not accepted."""
        feed = self._feed
        while True:
            try:
                if partition not in feed.covered:
                    await feed.window.cover(partition, records[0].offset, earliest_ms(records))
                    feed.covered.add(partition)
                if self._stopping.is_set() or not cursor.live:
                    return False
                assert self._tasks is not None, "records are accepted inside run()"
                self._intake.accept(self._tasks, feed.window, partition, records, [cursor])
            except IndexLostError:
                feed.covered.clear()
            except SchemaNeeded as needed:
                await self._schema_wait.fetch(needed)
            except KafkaUnavailable as exc:
                await self._outage.wait(exc)
            else:
                return True

    async def _skip_deleted(
        self, reader: SideReads, gone: Sequence[Partition], behind: Mapping[Partition, EndpointCursor]
    ) -> None:
        """Log what retention deleted, and go on at the beginning of the log, or end before it."""
        for partition, first in (await reader.begins(gone)).items():
            cursor = behind[partition]
            if first > cursor.position:
                skip_deleted_offsets(cursor, min(first, self.stretches[partition].end))
            else:  # the log ends before the cursor: its topic is another, which ends the job
                _log.warning(
                    events.REPLAY_WAITING,
                    job=self.job.id,
                    partition=str(partition),
                    cause="the log ends before the replay does: its topic was deleted and created again",
                    remedy=f"hookferry replay cancel {self.job.id}",
                )
                await asyncio.sleep(_LINGER_S)
