"""Keep the cursors of an assignment, and commit them once per commit interval.

Invariant: the order of a commit is journal segment, history, fence of the member group, cursors. A
cursor is therefore never committed by a process that has lost its partitions, nor before the history
of what it settled is written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from bridge.clock import Clock
from bridge.core import completion_map
from bridge.core.memory_budget import MemoryBudget
from bridge.errors import CommitError, PlaceLostError
from bridge.model import Committed, Partition
from bridge.pipeline.cursor_loader import CursorsByPartition, Loaded, Offsets, TopicIdByName
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.storage.journal import Journal
from bridge.storage.journal_segment import JournaledCursor
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()

REFRESH_S = 3600.0
"""Every cursor is committed at least this often: Kafka deletes the offsets of a group without members
after ``offsets.retention.minutes`` (7 days by default; operators set less)."""
_LAST_COMMIT_S = 3.0
"""Time that the last commit of an assignment gets even if the deadline of the drain has passed."""
_RETRY_S = 0.1
_UNCOMMITTED = -1
"""Version of a checkpoint that the next commit must include, even if the cursor has not changed."""


class Fence(Protocol):
    """The member (``bridge.kafka.group_member``), whose commit the broker accepts only while it is one."""

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit. Raises ``CommitError``, and ``PlaceLostError`` if this process is no longer a member."""
        ...

    def holds_lease(self) -> bool:
        """Return True while the group cannot have assigned our partitions to another member."""
        ...


@dataclass(slots=True)
class _Checkpoint:
    """What the broker and the journal have of a cursor.

    ``committed`` is what the broker has, and ``version`` the cursor's version in it. ``number`` is the
    cursor's place in the current journal segment. ``topic_id``: of the topic that the cursor reads.
    """

    committed: Committed | None
    topic_id: str | None = None
    version: int = _UNCOMMITTED
    number: int = -1


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
    """

    def __init__(
        self,
        group: str,
        endpoints: Collection[str],
        *,
        offsets: Offsets,
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
        self._fence = fence
        self._flush = flush
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        budget = budget or MemoryBudget()
        self._shares = {endpoint: budget.share(endpoint) for endpoint in endpoints}
        self._checkpoints: dict[EndpointCursor, _Checkpoint] = {}
        self._fenced: dict[Partition, int] = {}
        self._refreshed_at = clock.monotonic()
        self._failing = False
        self._committing = asyncio.Lock()
        self.room = asyncio.Event()
        """Set when a full cursor reopens. The main reader clears it before it waits."""
        self.room_behind = {endpoint: asyncio.Event() for endpoint in endpoints}
        """By endpoint: set when a full, detached cursor reopens. ``CatchUp`` clears it."""
        self.cursors: CursorsByPartition = {}

    def install(self, loaded: Loaded) -> None:
        """Commit these cursors from now on, in place of the earlier ones of their partitions."""
        for partition in loaded.cursors:
            for replaced in self.cursors.get(partition, {}).values():
                replaced.end()
                del self._checkpoints[replaced]
        self.cursors.update(loaded.cursors)
        for cursor, committed in loaded.committed.items():
            topic_id = loaded.topic_ids.get(cursor.partition.topic)
            self._checkpoints[cursor] = _Checkpoint(committed, topic_id)
        self._begin_segment({})

    def clear(self) -> None:
        """End the assignment: this process does not commit what settles from now on."""
        for cursor in self.all():
            cursor.end()
        self.cursors = {}
        self._checkpoints = {}
        self._fenced = {}

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
            self._fenced.pop(partition, None)

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
        return self._shares[endpoint].bytes

    def settle(self, cursor: EndpointCursor, offset: int, size_bytes: int, part: int = 0) -> None:
        """Settle one event at this offset. Does nothing once the assignment has ended."""
        if not cursor.live:
            return
        if cursor.settle(offset, size_bytes, part):
            self._journal.record_settled(self._checkpoints[cursor].number, offset)
        elif part:
            self._journal.record_settled(self._checkpoints[cursor].number, offset, part)
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

    async def commit(self) -> None:
        """Commit the cursors that changed since the last commit, or all of them once per ``REFRESH_S``.

        Raises ``CommitError``. Nothing is lost by that: the next call commits what this one did not.
        """
        async with self._committing:
            changed = self._pack()
            if not changed:
                await self._flush()  # failed attempts change no cursor, but their history must be written
                return
            segment = self._begin_segment({packed.cursor: packed.committed for packed in changed})
            await self._pass_fence()
            await self._commit_cursors(changed)
            self._journal.delete_before(segment)

    def _pack(self) -> list[_Packed]:
        self._refresh_when_due()
        changed = []
        for cursor in self.all():
            checkpoint = self._checkpoints[cursor]
            if cursor.version == checkpoint.version:
                continue
            progress = cursor.progress()
            text, fits = completion_map.encode(
                progress.offset,
                progress.open_offsets,
                progress.end,
                progress.failures,
                progress.parts,
                topic_id=checkpoint.topic_id,
            )
            cursor.set_map_fits(fits)
            self._reopen(cursor)
            changed.append(_Packed(cursor, cursor.version, Committed(progress.offset, text)))
        return changed

    def _refresh_when_due(self) -> None:
        """Once per ``REFRESH_S``, mark every cursor as not committed; it stays so until a commit succeeds."""
        now = self._clock.monotonic()
        if now - self._refreshed_at >= REFRESH_S:
            self._refreshed_at = now
            for checkpoint in self._checkpoints.values():
                checkpoint.version = _UNCOMMITTED

    def _begin_segment(self, coming: Mapping[EndpointCursor, Committed]) -> int:
        """Begin a journal segment. Nothing is awaited since the packing, so it has all that settles after."""
        listed = []
        for number, cursor in enumerate(self.all()):
            checkpoint = self._checkpoints[cursor]
            checkpoint.number = number
            base = coming.get(cursor) or checkpoint.committed
            listed.append(JournaledCursor(cursor.endpoint, cursor.partition, base))
        return self._journal.begin_segment(listed)

    async def _pass_fence(self) -> None:
        """Write the history, then commit the member group's offsets. Raises ``CommitError``."""
        lowest = {
            partition: min(cursor.lowest_unsettled for cursor in by_endpoint.values())
            for partition, by_endpoint in self.cursors.items()
        }
        await self._flush()
        moved = {
            partition: offset for partition, offset in lowest.items() if self._fenced.get(partition) != offset
        }
        await self._fence.fence(moved or lowest)
        if not self._fence.holds_lease():
            raise CommitError("this process was stopped for longer than the session timeout")
        self._fenced.update(moved)

    async def _commit_cursors(self, changed: Sequence[_Packed]) -> None:
        """Commit each endpoint's cursors to its group. Raises ``CommitError`` after all have been tried."""
        by_group: defaultdict[str, list[_Packed]] = defaultdict(list)
        for packed in changed:
            by_group[f"{self._group}.{packed.cursor.endpoint}"].append(packed)
        outcomes = await asyncio.gather(
            *(self._commit_group(group, all_packed) for group, all_packed in by_group.items()),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _commit_group(self, group: str, all_packed: Sequence[_Packed]) -> None:
        refused = await self._offsets.commit(
            group, {packed.cursor.partition: packed.committed for packed in all_packed}
        )
        for packed in all_packed:
            if packed.cursor.partition in refused:
                continue
            if checkpoint := self._checkpoints.get(packed.cursor):  # none: its assignment ended meanwhile
                checkpoint.committed, checkpoint.version = packed.committed, packed.version

    async def try_commit(self) -> bool:
        """Commit; count a failure, and log the first of several in a row.

        Return False if another try may succeed: the commit failed, and was not refused for good.
        """
        began = self._clock.monotonic()
        try:
            await self.commit()
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
