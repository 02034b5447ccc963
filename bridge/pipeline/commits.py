"""Commit the cursors of an assignment once per commit interval, and at its end.

Invariant: the order of a commit is journal segment, history, fence of the member group, cursors. A
cursor is therefore never committed by a process that has lost its partitions, nor before the history
of what it settled is written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from bridge.clock import Clock
from bridge.errors import CommitError, PlaceLostError
from bridge.model import Committed
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_loader import CommitsOffsets, TopicIdByName
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.group_offsets import Fence, GroupOffsets
from bridge.pipeline.packing import Packer
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
_SENT_AGAIN = "what was delivered since the previous commit may be sent again"
_AT_ONCE = 16
"""Endpoints whose commits are sent together: the loop turns between them."""


class _Packed(NamedTuple):
    """A cursor to commit, and the offset and completion map for it."""

    cursor: EndpointCursor
    committed: Committed


class Commits:
    """Commits the cursors that ``Checkpoints`` keeps.

    A commit takes the endpoints that have waited longest, not more than it is asked for: a thousand
    endpoints would otherwise be five thousand requests per second. Cursors at rest cost nothing.
    """

    def __init__(
        self,
        group: str,
        checkpoints: Checkpoints,
        *,
        offsets: CommitsOffsets,
        fence: Fence,
        flush: Callable[[], Awaitable[None]],
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """``flush`` writes the history and the dedupe index to disk. ``journal``: that of the checkpoints."""
        self._group = group
        self._checkpoints = checkpoints
        self._offsets = offsets
        self._flush = flush
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._changed = checkpoints.changed
        self._packer = Packer()
        self._group_offsets = GroupOffsets(fence, flush)
        self._segment = 0  # of the journal: the sweep began with it
        self._refreshed_at = clock.monotonic()
        self._failing = False
        self._committing = asyncio.Lock()

    async def commit(self, most: int | None = None) -> None:
        """Commit the cursors that changed, of all endpoints or of so many; all once per ``REFRESH_S``.

        Raises ``CommitError``. Nothing is lost by that: the next call commits what this one did not.
        """
        async with self._committing:
            self._refresh_when_due()
            if self._changed.is_empty:
                await self._group_offsets.commit_rest(self._checkpoints.cursors)
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
            await self._commit(self._checkpoints.uncommitted(), is_whole=False)

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
            for cursor, _ in changed:
                if cursor.live:
                    cursor.end_commit(accepted=cursor in accepted)

    def _is_ours(self, key: CursorKey) -> bool:
        endpoint, partition = key
        return endpoint in self._checkpoints.cursors.get(partition, ())

    def _pack(self, cursors: Iterable[EndpointCursor]) -> list[_Packed]:
        """Encode cursors. What settles for them from now on follows the new commit, or the one before."""
        changed = []
        for cursor in cursors:
            checkpoint = self._checkpoints.known.get(cursor)
            if checkpoint is None:  # its assignment ended
                continue
            committed = self._packer.pack(cursor, checkpoint.topic_id)
            cursor.begin_commit()
            if cursor.full:
                self._checkpoints.reopen(cursor)
            checkpoint.send(committed)
            self._group_offsets.note_moved(cursor.partition)
            changed.append(_Packed(cursor, committed))
        return changed

    def _refresh_when_due(self) -> None:
        """Once per ``REFRESH_S``, mark every cursor as changed."""
        now = self._clock.monotonic()
        if now - self._refreshed_at >= REFRESH_S:
            self._refreshed_at = now
            for cursor in self._checkpoints.all():
                cursor.mark_changed()

    async def pass_fence(self) -> None:
        """Write the history and commit the member group's offsets, before the cursors of a replay.

        Raises ``CommitError``.
        """
        async with self._committing:
            await self._group_offsets.commit(self._checkpoints.cursors)

    async def _pass_fence(self, changed: Sequence[_Packed]) -> None:
        """Do that before these are sent. Raises ``CommitError``: none of them is sent then."""
        try:
            await self._group_offsets.commit(self._checkpoints.cursors)
        except BaseException:
            for packed in changed:
                if checkpoint := self._checkpoints.known.get(packed.cursor):
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
        for cursor, committed in all_packed:
            checkpoint = self._checkpoints.known.get(cursor)  # none: its assignment ended meanwhile
            if checkpoint is not None and cursor.partition not in refused:
                checkpoint.accept(committed)
                accepted.add(cursor)

    def drop_others(self, topic_ids: TopicIdByName) -> None:
        """Drop the cursors whose topic was deleted or recreated: the broker takes no commit for them.

        ``topic_ids``: of all topics of the assignment that exist.
        """
        for partition in self._checkpoints.drop_others(topic_ids):
            self._group_offsets.drop(partition)

    def end(self) -> None:
        """End the assignment: this process does not commit what settles from now on."""
        self._checkpoints.clear()
        self._packer.clear()
        self._group_offsets.clear()

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
            refused_for_good = isinstance(exc, PlaceLostError)
            if not self._failing:
                self._failing = True
                remedy = _SENT_AGAIN if refused_for_good else "none needed: the next commit tries again"
                _log.warning(events.COMMIT_FAILED, cause=str(exc), remedy=remedy)
            return refused_for_good
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
                remedy=_SENT_AGAIN,
            )
