"""The life of an assignment: begin with its partitions, drain it, and restart after lost records.

An assignment begins when the group gives partitions to this process, and ends on revoke or shutdown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from bridge.core.beginning import Beginning
from bridge.model import Committed, Partition
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.cursor_loader import CursorLoader
from bridge.pipeline.cursor_start import EndpointCursor, skip_deleted_offsets
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.intake import Feed
from bridge.pipeline.ports import Alongside, Reads
from bridge.pipeline.schema_wait import SchemaWait
from bridge.pipeline.topic_watch import TopicWatch
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.telemetry import events

_log = structlog.get_logger()
NEAR = 10_000
"""Cursors of a partition that differ by at most this many offsets at the start share the main reader."""


class Assignment:
    """The partitions that are assigned to this process, from their first read to the last commit.

    Invariant: after ``drain``, this process commits nothing for the partitions it had, and nothing of
    them is in flight or queued, except requests that outlived the drain's deadline.
    """

    def __init__(
        self,
        *,
        source: Reads,
        loader: CursorLoader,
        checkpoints: Checkpoints,
        commits: Commits,
        topics: TopicWatch,
        remember: Callable[[Mapping[str, Beginning]], Awaitable[None]],
        stop_endpoint: Callable[[str, str], Awaitable[None]],
        dispatchers: Mapping[str, EndpointDispatcher],
        main: Feed,
        side_feeds: Mapping[str, Feed],
        load_holds: Callable[[Collection[Partition]], Awaitable[None]],
        undecodable: UndecodableRecords,
        schema_wait: SchemaWait,
        drain_timeout_s: float,
        alongside: Alongside,
    ) -> None:
        """``remember`` and ``stop_endpoint`` return once the broker has it; raise ``KafkaUnavailable``."""
        self.ending = False
        """True from the beginning of a drain to its end: no batch is accepted."""
        self.next_offsets: dict[Partition, int] = {}
        """By partition, the next offset of the main reader."""
        self._source = source
        self._loader = loader
        self._topics = topics
        self._remember = remember
        self._stop_endpoint = stop_endpoint
        self._checkpoints = checkpoints
        self._commits = commits
        self._dispatchers = dispatchers
        self._main = main
        self._side_feeds = side_feeds
        self._load_holds = load_holds
        self._undecodable = undecodable
        self._schema_wait = schema_wait
        self._drain_timeout_s = drain_timeout_s
        self._alongside = alongside
        self._draining = asyncio.Lock()

    async def begin(self) -> None:
        """Begin with newly assigned partitions: load their cursors and start where the foremost are.

        Cursors far below the foremost one do not hold the reader back: they catch up on their own.
        Returns without an effect if the assignment changes meanwhile. Raises ``KafkaUnavailable`` and
        ``CommitError``; the next call begins again.
        """
        epoch, partitions = self._source.epoch, self._source.unprepared
        # Before the bounds: if a topic is recreated in between, the watch finds yet another id later.
        topic_ids = await self._topics.look(partitions)
        bounds = await self._source.bounds(partitions)
        loaded = await self._loader.load(bounds, topic_ids)
        # After the cursors: the previous owner wrote a hold first, and then committed what depends on it.
        await self._load_holds({*partitions, *self._checkpoints.cursors})
        for endpoint, reason in loaded.stopped.items():
            await self._stop_endpoint(endpoint, reason)
        if self._has_changed(epoch, partitions):
            return
        for partition, by_endpoint in loaded.cursors.items():
            positions = [cursor.position for cursor in by_endpoint.values()]
            foremost = max(positions)
            start = min(position for position in positions if foremost - position <= NEAR)
            self.next_offsets[partition] = start
            for cursor in by_endpoint.values():
                cursor.detach_if_passed(start)
        self._checkpoints.install(loaded)
        # Before the first delivery: a new endpoint has a committed position from now on.
        await self._commits.commit_new()
        await self._remember(self._loader.beginnings_in(loaded))
        if self._has_changed(epoch, partitions):
            return
        self._main.covered -= partitions
        for partition, (_, following) in bounds.items():
            self._main.window.cut(partition, following, topic_ids.get(partition.topic))
        for feed in self._side_feeds.values():  # of the endpoints that catch up now
            feed.covered -= partitions
            for partition in partitions:
                feed.window.cut(partition, 0, None)
        for dispatcher in self._dispatchers.values():
            dispatcher.set_share(self._source.share)
        self._topics.begin(topic_ids)
        starts = {partition: self.next_offsets[partition] for partition in loaded.cursors}
        self._source.start_at(starts)
        for catch_up_wake in self._checkpoints.room_behind.values():
            catch_up_wake.set()
        next_offsets = {str(partition): offset for partition, offset in starts.items()}
        _log.info(events.SOURCE_ASSIGNED, epoch=epoch, next_offsets=next_offsets)

    def _has_changed(self, epoch: int, partitions: Collection[Partition]) -> bool:
        return epoch != self._source.epoch or partitions != self._source.unprepared

    async def drain(self) -> None:
        """End the assignment: wait for requests in flight, within the deadline, and commit.

        Called on revoke and on shutdown. When it returns, this process commits nothing more.
        """
        async with self._draining:
            deadline = asyncio.get_running_loop().time() + self._drain_timeout_s
            self.ending = True
            self._schema_wait.cancel()
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.gather(
                        *(dispatcher.drain() for dispatcher in self._dispatchers.values()),
                        self._alongside.drain(),
                    )
                    await self._undecodable.drain()
            except TimeoutError:
                unfinished = sum(dispatcher.in_flight for dispatcher in self._dispatchers.values())
                _log.warning(
                    events.BRIDGE_DRAINED, unfinished=unfinished, remedy="these requests are sent again"
                )
            self._undecodable.forget()
            existing = await self._topics.look_in_time(self._checkpoints.cursors)
            if existing is not None:
                self._commits.drop_others(existing)
            await self._alongside.end()
            await self._commits.commit_last(deadline)
            self._commits.end()
            self._topics.clear()
            for dispatcher in self._dispatchers.values():
                dispatcher.forget()
            self.ending = False

    def move(self, endpoint: str, partition: Partition, committed: Committed) -> EndpointCursor:
        """Put a cursor that begins as committed in place of the present one; it catches up by itself.

        What is queued for the present one is dropped, and what is in flight ends without an effect.
        """
        cursor = self._loader.rebuild(endpoint, partition, committed)
        replaced = self._checkpoints.replace(cursor)
        self._dispatchers[endpoint].drop(replaced)
        for feed in (self._main, *self._side_feeds.values()):
            feed.covered.discard(partition)  # the window before the new position may not be covered
        cursor.detach_if_passed(self.next_offsets[partition])
        self._checkpoints.room.set()
        self._checkpoints.room_behind[endpoint].set()
        return cursor

    def pass_unreadable(self) -> None:
        """Advance past offsets without a readable record: transaction markers, aborted records, gaps.

        Call it when all batches that were read have been accepted, with nothing awaited since. Only
        attached cursors advance: they have taken every record below the main reader's next offset.
        """
        if self.ending:
            return
        for partition, position in self._source.passed().items():
            cursors = self._checkpoints.cursors.get(partition)
            if cursors is None or position <= self.next_offsets[partition]:
                continue
            for cursor in cursors.values():
                if cursor.attached:
                    cursor.advance(position)
            self.next_offsets[partition] = position

    def read_again(self) -> None:
        """Return to the next offsets after a failed read: the client may have passed records in it."""
        unprepared = self._source.unprepared
        self._source.start_at(
            {
                partition: self.next_offsets[partition]
                for partition in self._checkpoints.cursors
                if partition not in unprepared
            }
        )

    async def begin_again(self) -> None:
        """Drain, and begin again with new cursors: a topic was deleted and created again."""
        await self.drain()
        self._source.begin_again()

    async def skip_deleted(self, positions: Mapping[Partition, int]) -> None:
        """Continue at the beginning of the log: retention deleted records before they were read.

        If a position is past the end of the log, the topic was recreated: the assignment begins again,
        with new cursors.
        """
        bounds = await self._source.bounds(positions)
        if any(position > bounds[partition][1] for partition, position in positions.items()):
            await self.begin_again()
            return
        for partition, (first, _) in bounds.items():
            for cursor in self._checkpoints.cursors.get(partition, {}).values():
                if cursor.attached:
                    skip_deleted_offsets(cursor, first)
            self.next_offsets[partition] = first
        self._source.start_at({partition: first for partition, (first, _) in bounds.items()})
