"""Keep the cursors of an assignment, and commit them once per commit interval.

Invariant: the order of a commit is journal segment, history, fence of the member group, cursors. A
cursor is therefore never committed by a process that has lost its partitions, nor before the history
of what it settled is written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import structlog

from bridge.clock import Clock
from bridge.core.memory_budget import MemoryBudget, Share
from bridge.errors import CommitError, PlaceLostError
from bridge.model import Committed
from bridge.pipeline.changed_cursors import ChangedCursors
from bridge.pipeline.cursor_loader import CommitsOffsets, CursorsByPartition, Loaded, TopicIdByName
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.group_offsets import Fence, GroupOffsets
from bridge.pipeline.packing import Checkpoint, Packer
from bridge.storage.journal import Journal
from bridge.storage.journal_segment import CursorKey
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()
REFRESH_S = 3600.0
"""Every cursor is committed at least this often: Kafka deletes the offsets of a group without members
after ``offsets.retention.minutes`` (7 days by default; operators set less)."""
_LAST_COMMIT_S = 3.0
"""Time that the last commit of an assignment gets even if the deadline of the drain has passed."""
_RETRY_S = 0.1
_AT_ONCE = 16
"""Endpoints whose commits are sent together: the loop turns between them."""


class _Packed(NamedTuple):
    """A cursor to commit: its version, and the offset and completion map for it."""

    cursor: EndpointCursor
    version: int
    committed: Committed


class Checkpoints:
    """All cursors of the current assignment, by partition and endpoint.

    A cursor is committed as an offset and a completion map, and ``cursor_loader.py`` loads it from
    both. A restart or a rebalance therefore repeats nothing that settled before the last commit. The
    journal adds what settled after it, for the next process on the same disk.

    A commit takes the endpoints that have waited longest, not more than it is asked for: a thousand
    endpoints would otherwise be five thousand requests per second. Cursors at rest cost nothing.
    """

    def __init__(
        self,
        group: str,
        endpoints: Collection[str],
        *,
        offsets: CommitsOffsets,
        fence: Fence,
        flush: Callable[[], Awaitable[None]],
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
        budget: MemoryBudget | None = None,
    ) -> None:
        """``flush`` writes the history and the dedupe index to disk."""
        self._group = group
        self._offsets = offsets
        self._flush = flush
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._budget = budget or MemoryBudget()
        self._shares: dict[str, Share] = {}
        self._checkpoints: dict[EndpointCursor, Checkpoint] = {}
        self._changed = ChangedCursors()
        self._packer = Packer()
        self._group_offsets = GroupOffsets(fence, flush)
        self._segment = 0  # of the journal: the sweep began with it
        self._refreshed_at = clock.monotonic()
        self._failing = False
        self._committing = asyncio.Lock()
        self.room = asyncio.Event()
        """Set when a full cursor reopens. The main reader clears it before it waits."""
        self.room_behind: dict[str, asyncio.Event] = {}
        """By endpoint: set when a full, detached cursor reopens. ``CatchUp`` clears it."""
        self.cursors: CursorsByPartition = {}
        self.arrivals = 0  # increases when cursors come; each of them only moves forward
        for endpoint in endpoints:
            self.admit(endpoint)

    def admit(self, endpoint: str) -> None:
        """Expect cursors of an endpoint from now on."""
        self._shares[endpoint] = self._budget.share(endpoint)
        self.room_behind[endpoint] = asyncio.Event()

    def add(self, loaded: Loaded) -> None:
        """Commit cursors of admitted endpoints, too; they are detached, so that a side reader begins.

        Their partitions must be the ones that have cursors now.
        """
        for partition, by_endpoint in loaded.cursors.items():
            for cursor in by_endpoint.values():
                cursor.detach()
            self.cursors[partition].update(by_endpoint)
        self._register(loaded)

    def dismiss(self, endpoint: str) -> None:
        """End an endpoint's cursors: what settles for it from now on is not committed."""
        for by_endpoint in self.cursors.values():
            cursor = by_endpoint.pop(endpoint, None)
            if cursor is not None:
                cursor.end()
                del self._checkpoints[cursor]
        self._shares.pop(endpoint, None)
        self.room_behind.pop(endpoint, None)

    def install(self, loaded: Loaded) -> None:
        """Commit these cursors from now on, in place of the earlier ones of their partitions."""
        for partition in loaded.cursors:
            for replaced in self.cursors.get(partition, {}).values():
                replaced.end()
                del self._checkpoints[replaced]
        self.cursors.update(loaded.cursors)
        self._register(loaded)

    def _register(self, loaded: Loaded) -> None:
        self.arrivals += 1
        self._journal.begin_segment()
        for cursor, committed in loaded.committed.items():
            topic_id = loaded.topic_ids.get(cursor.partition.topic)
            self._checkpoints[cursor] = Checkpoint(committed, topic_id, committed)
            cursor.report_changes(self._changed.add)  # the commit of one at rest expires: it is renewed now

    def replace(self, cursor: EndpointCursor) -> EndpointCursor:
        """Commit this cursor from now on, in place of the one of its endpoint in its partition.

        Return that one, which has ended.
        """
        self.arrivals += 1
        by_endpoint = self.cursors[cursor.partition]
        replaced = by_endpoint[cursor.endpoint]
        replaced.end()
        topic_id = self._checkpoints.pop(replaced).topic_id
        by_endpoint[cursor.endpoint] = cursor
        self._checkpoints[cursor] = Checkpoint(None, topic_id, None)
        cursor.report_changes(self._changed.add)
        return replaced

    def clear(self) -> None:
        """End the assignment: this process does not commit what settles from now on."""
        for cursor in self.all():
            cursor.end()
        self.cursors, self._checkpoints = {}, {}
        self._changed.clear()
        self._packer.clear()
        self._group_offsets.clear()

    def drop_others(self, topic_ids: TopicIdByName) -> None:
        """Drop the cursors whose topic was deleted or recreated: the broker takes no commit for them.

        ``topic_ids``: of all topics of the assignment that exist.
        """
        for partition, by_endpoint in list(self.cursors.items()):
            current = topic_ids.get(partition.topic)
            known = {self._checkpoints[cursor].topic_id for cursor in by_endpoint.values()}
            if partition.topic in topic_ids and (current is None or known <= {current, None}):
                continue
            for cursor in self.cursors.pop(partition).values():
                cursor.end()
                del self._checkpoints[cursor]
            self._group_offsets.drop(partition)

    def all(self) -> Iterator[EndpointCursor]:
        """Return every cursor of the assignment."""
        return (cursor for cursors in self.cursors.values() for cursor in cursors.values())

    def of(self, endpoint: str) -> list[EndpointCursor]:
        """Return the cursors of an endpoint, one per partition."""
        return [cursors[endpoint] for cursors in self.cursors.values() if endpoint in cursors]

    def unsettled(self, endpoint: str) -> int:
        """Return how many events are read and not settled for an endpoint."""
        return sum(cursor.unsettled for cursor in self.of(endpoint))

    def waiting_bytes(self, endpoint: str) -> int:
        """Return the memory of the events that wait for an endpoint, shared ones included."""
        return self._budget.share(endpoint).bytes

    def settle(self, cursor: EndpointCursor, offset: int, size_bytes: int, part: int = 0) -> None:
        """Settle one event at this offset. Does nothing once the assignment has ended."""
        if not cursor.live:
            return
        is_last = cursor.settle(offset, size_bytes, part)
        if is_last or part:
            checkpoint, settled_part = self._checkpoints[cursor], 0 if is_last else part
            journal = self._journal
            if checkpoint.segment != journal.segment:
                checkpoint.declare(journal, cursor)
            if not journal.record_settled(checkpoint.number, offset, settled_part):
                checkpoint.declare(journal, cursor)
                journal.record_settled(checkpoint.number, offset, settled_part)
        if cursor.full:
            self._reopen(cursor)
        share = cursor.share
        if share.is_pressed and share.has_room:
            self.reopen_pressed(cursor.endpoint)

    def fill_used_up(self) -> None:
        """Make all cursors full whose endpoint has used up its share. Call it before each read."""
        for endpoint, share in self._shares.items():
            if share.is_used_up:
                share.is_pressed = True
                for cursor in self.of(endpoint):
                    cursor.full = True

    def reopen_pressed(self, endpoint: str) -> None:
        """Let cursors that lacked memory take events again, if the endpoint has room now."""
        share = self._shares[endpoint]
        if share.is_pressed and share.has_room:
            share.is_pressed = False
            for cursor in self.of(endpoint):
                if cursor.full:
                    self._reopen(cursor)

    def _reopen(self, cursor: EndpointCursor) -> None:
        """Wake the reader of a cursor that was full and has room again."""
        if cursor.reopen():
            self.room.set()
            if not cursor.attached:
                self.room_behind[cursor.endpoint].set()

    async def commit(self, most: int | None = None) -> None:
        """Commit the cursors that changed, of all endpoints or of so many; all once per ``REFRESH_S``.

        Raises ``CommitError``. Nothing is lost by that: the next call commits what this one did not.
        """
        async with self._committing:
            self._refresh_when_due()
            if self._changed.is_empty:
                await self._group_offsets.commit_rest(self.cursors)
                return
            if self._changed.is_swept:
                self._changed.begin_sweep()
                self._segment = self._journal.begin_segment()
            await self._commit(self._changed.take(most), is_whole=True)
            if self._changed.is_swept:
                self._journal.delete_before(self._segment, self._is_ours)

    async def commit_new(self) -> None:
        """Commit the cursors of which the broker has nothing. Raises ``CommitError``."""
        async with self._committing:
            new = [cursor for cursor, known in self._checkpoints.items() if known.committed is None]
            await self._commit(new, is_whole=False)

    async def _commit(self, cursors: Sequence[EndpointCursor], *, is_whole: bool) -> None:
        """Commit these cursors. ``is_whole``: they are all that changed of their endpoints."""
        changed, accepted = self._pack(cursors), set[EndpointCursor]()
        if not changed:
            await self._flush()
            return
        try:
            await self._pass_fence(changed)
            await self._commit_cursors(changed, accepted, is_whole)
        finally:
            for cursor, version, _ in changed:
                if cursor.live and not (cursor in accepted and cursor.is_unchanged(version)):
                    self._changed.add(cursor)

    def _is_ours(self, key: CursorKey) -> bool:
        endpoint, partition = key
        return endpoint in self.cursors.get(partition, ())

    def _pack(self, cursors: Iterable[EndpointCursor]) -> list[_Packed]:
        """Encode cursors. What settles for them from now on follows the new commit, or the one before."""
        changed = []
        for cursor in cursors:
            checkpoint = self._checkpoints.get(cursor)
            if checkpoint is None:  # its assignment ended
                continue
            version, committed = cursor.version, self._packer.pack(cursor, checkpoint.topic_id)
            if cursor.full:
                self._reopen(cursor)
            checkpoint.send(committed)
            self._group_offsets.note_moved(cursor.partition)
            changed.append(_Packed(cursor, version, committed))
        return changed

    def _refresh_when_due(self) -> None:
        """Once per ``REFRESH_S``, mark every cursor as changed."""
        now = self._clock.monotonic()
        if now - self._refreshed_at >= REFRESH_S:
            self._refreshed_at = now
            for cursor in self.all():
                cursor.mark_changed()

    async def pass_fence(self) -> None:
        """Write the history and commit the member group's offsets, before the cursors of a replay.

        Raises ``CommitError``.
        """
        async with self._committing:
            await self._group_offsets.commit(self.cursors)

    async def _pass_fence(self, changed: Sequence[_Packed]) -> None:
        """Do that before these are sent. Raises ``CommitError``: none of them is sent then."""
        try:
            await self._group_offsets.commit(self.cursors)
        except BaseException:
            for packed in changed:
                if checkpoint := self._checkpoints.get(packed.cursor):
                    checkpoint.withdraw(packed.committed)
            raise

    async def _commit_cursors(
        self, changed: Sequence[_Packed], accepted: set[EndpointCursor], is_whole: bool
    ) -> None:
        """Commit each endpoint's cursors to its group. Raises ``CommitError`` after all have been tried."""
        by_endpoint: defaultdict[str, list[_Packed]] = defaultdict(list)
        for packed in changed:
            by_endpoint[packed.cursor.endpoint].append(packed)
        left, failed = list(by_endpoint), list[BaseException]()
        while left:
            names, left = left[:_AT_ONCE], left[_AT_ONCE:]
            outcomes = await asyncio.gather(
                *(self._commit_endpoint(name, by_endpoint[name], accepted) for name in names),
                return_exceptions=True,
            )
            for name, outcome in zip(names, outcomes, strict=True):
                if outcome is not None:
                    failed.append(outcome)
                elif is_whole:
                    self._changed.committed(name)
        if failed:
            raise failed[0]

    async def _commit_endpoint(
        self, endpoint: str, all_packed: Sequence[_Packed], accepted: set[EndpointCursor]
    ) -> None:
        self._metrics.commit_requests.inc()
        refused = await self._offsets.commit(
            f"{self._group}.{endpoint}", {packed.cursor.partition: packed.committed for packed in all_packed}
        )
        for cursor, _, committed in all_packed:
            checkpoint = self._checkpoints.get(cursor)  # none: its assignment ended meanwhile
            if checkpoint is not None and cursor.partition not in refused:
                checkpoint.accept(committed)
                accepted.add(cursor)

    async def try_commit(self, most: int | None = None) -> bool:
        """Commit, as ``commit`` does; count a failure, and log the first of several in a row.

        Return False if another try may succeed: the commit failed, and was not refused for good.
        """
        began = self._clock.monotonic()
        try:
            await self.commit(most)
        except CommitError as exc:
            self._metrics.commit_seconds.observe(self._clock.monotonic() - began)
            self._metrics.commits.labels("failed").inc()
            if not self._failing:
                self._failing = True
                _log.warning(
                    events.COMMIT_FAILED,
                    cause=str(exc),
                    remedy="none needed: the next commit tries again",
                )
            return isinstance(exc, PlaceLostError)
        if self._failing:
            self._failing = False
            _log.info(events.CURSORS_COMMITTED)
        self._metrics.commit_seconds.observe(self._clock.monotonic() - began)
        self._metrics.commits.labels("done").inc()
        return True

    async def commit_last(self, deadline: float) -> None:
        """Commit at the end of an assignment: retry until it is accepted, refused for good, or too late.

        ``deadline``: of the drain, in the loop's seconds. The next owner sends again what is not
        committed. Each try passes the fence first, so none succeeds after the group has moved on.
        """
        at_least = asyncio.get_running_loop().time() + _LAST_COMMIT_S
        try:
            async with asyncio.timeout_at(max(deadline, at_least)):
                while not await self.try_commit():  # noqa: ASYNC110 - each try is a request to the broker
                    await asyncio.sleep(_RETRY_S)
        except TimeoutError:
            _log.warning(
                events.COMMIT_FAILED,
                cause="the broker did not accept the last commit in time",
                remedy="what was delivered since the previous commit may be sent again",
            )
