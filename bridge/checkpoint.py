"""The cursors of an assignment: read from the broker when it begins, committed on the beat.

Takes an assignment and the bounds of its logs, gives one ``Cursor`` per endpoint and partition;
later packs their progress and commits it. Between the path and the edges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from bridge import completion
from bridge.cursor import Cursor
from bridge.errors import CommitError
from bridge.model import Partition
from bridge.source.offsets import Committed
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()

Bounds = Mapping[Partition, tuple[int, int]]
"""The first and the next offset of each partition's log."""


class Offsets(Protocol):
    """Where the cursors are kept: groups without members."""

    async def fetch(self, group: str, partitions: Collection[Partition]) -> dict[Partition, Committed]:
        """What is committed; raises ``CommitError``."""
        ...

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        """Commit; raises ``CommitError``."""
        ...


class Fence(Protocol):
    """The member group's own commit, which only a present member can make."""

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit; raises ``CommitError`` when this process has lost its place."""
        ...


@dataclass(frozen=True, slots=True)
class CursorPolicy:
    """How an endpoint's cursors begin and how much they may hold, per partition."""

    start: str
    window: int
    window_bytes: int


class Checkpoints:
    """All cursors of the current assignment, by endpoint and partition.

    A cursor is committed as offset and completion map, and read back with both, so a restart or a
    rebalance repeats nothing that had settled by the last commit. The order of a commit: what settled
    is noted, the history of it is written, the member group's fence is passed, the cursors move.
    """

    def __init__(
        self,
        group: str,
        policies: Mapping[str, CursorPolicy],
        *,
        offsets: Offsets,
        fence: Fence,
        flush: Callable[[], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        self._group = group
        self._policies = policies
        self._offsets = offsets
        self._fence = fence
        self._flush = flush
        self._metrics = metrics
        self._fenced: dict[Partition, int] = {}
        self._failing = False
        self._committing = asyncio.Lock()
        self.cursors: dict[Partition, dict[str, Cursor]] = {}

    async def load(self, bounds: Bounds) -> dict[Partition, dict[str, Cursor]]:
        """Fresh cursors for these partitions, as far as their endpoints had come. Raises ``CommitError``."""
        loaded: dict[Partition, dict[str, Cursor]] = {partition: {} for partition in bounds}
        for endpoint, policy in self._policies.items():
            committed = await self._offsets.fetch(f"{self._group}.{endpoint}", list(bounds))
            for partition, (first, following) in bounds.items():
                loaded[partition][endpoint] = _begin(
                    endpoint, policy, partition, first, following, committed.get(partition)
                )
        return loaded

    def install(self, cursors: dict[Partition, dict[str, Cursor]]) -> None:
        """These cursors are live now and will be committed."""
        self.cursors.update(cursors)

    def clear(self) -> None:
        """The assignment is over: what settles from here on is not committed by this process."""
        for cursor in self._all():
            cursor.live = False
        self.cursors = {}
        self._fenced = {}

    async def commit(self) -> bool:
        """Commit what moved since the last time; True when some cursor has room again by it.

        Raises ``CommitError``; nothing is lost by it, and the next call commits what this did not.
        """
        async with self._committing:
            changed, room = self._pack()
            if not changed:
                await self._flush()  # failed attempts move no cursor; their history is written all the same
                return room
            lowest = {
                partition: min(cursor.progress().offset for cursor in by_endpoint.values())
                for partition, by_endpoint in self.cursors.items()
            }
            await self._flush()
            moved = {one: offset for one, offset in lowest.items() if self._fenced.get(one) != offset}
            await self._fence.fence(moved or lowest)
            self._fenced.update(moved)
            for endpoint, cursors in changed.items():
                await self._offsets.commit(
                    f"{self._group}.{endpoint}", {cursor.partition: packed for cursor, _, packed in cursors}
                )
                for cursor, progress, _ in cursors:
                    cursor.committed = progress
            return room

    async def commit_or_say(self) -> bool:
        """``commit``, with a failure counted, and logged when it is the first of a row."""
        try:
            room = await self.commit()
        except CommitError as exc:
            self._metrics.commits.labels("failed").inc()
            if not self._failing:
                self._failing = True
                _log.warning(
                    events.COMMIT_FAILED,
                    cause=str(exc),
                    remedy="none needed: it is tried again with the next commit",
                )
            return False
        if self._failing:
            self._failing = False
            _log.info(events.CURSORS_COMMITTED)
        self._metrics.commits.labels("done").inc()
        return room

    def unsettled(self, endpoint: str) -> int:
        """How many events are read and not settled for an endpoint."""
        return sum(cursors[endpoint].unsettled for cursors in self.cursors.values() if endpoint in cursors)

    def _all(self) -> Iterable[Cursor]:
        return (cursor for cursors in self.cursors.values() for cursor in cursors.values())

    def _pack(self) -> tuple[dict[str, list], bool]:  # type: ignore[type-arg]
        changed: dict[str, list] = {}  # type: ignore[type-arg]
        room = False
        for by_endpoint in self.cursors.values():
            for endpoint, cursor in by_endpoint.items():
                progress = cursor.progress()
                if progress == cursor.committed:
                    continue
                text, fits = completion.encode(*progress)
                room = cursor.map_fits(fits) or room
                changed.setdefault(endpoint, []).append((cursor, progress, Committed(progress.offset, text)))
        return changed, room


def _begin(
    endpoint: str,
    policy: CursorPolicy,
    partition: Partition,
    first: int,
    following: int,
    committed: Committed | None,
) -> Cursor:
    """Where a cursor begins: where it was, or for a new endpoint where it is told to."""
    if committed is None:
        position = following if policy.start == "latest" else first
        _log.info(events.CURSOR_STARTED, endpoint=endpoint, partition=str(partition), next_offset=position)
        return Cursor(partition, position, window=policy.window, window_bytes=policy.window_bytes)
    if committed.offset > following:
        _log.error(
            events.RECORDS_DELETED, endpoint=endpoint, partition=str(partition), next_offset=committed.offset,
            log_end=following, cause="the topic is shorter than the cursor: it was made anew",
            remedy="none needed: everything in it is delivered",
        )  # fmt: skip
        return Cursor(partition, first, window=policy.window, window_bytes=policy.window_bytes)
    if committed.offset < first:
        report_deleted(endpoint, partition, committed.offset, first)
    try:
        done = completion.decode(committed.offset, committed.metadata)
    except completion.DamagedMapError as exc:
        _log.error(
            events.CURSOR_MAP_IGNORED, endpoint=endpoint, partition=str(partition), cause=str(exc),
            remedy="none needed: what was settled beyond the offset is delivered again",
        )  # fmt: skip
        done = completion.Completion(committed.offset, committed.offset)
    return Cursor(
        partition,
        max(committed.offset, first),
        window=policy.window,
        window_bytes=policy.window_bytes,
        settled_to=done.end,
        left_open=done.open_offsets,
    )


def report_deleted(endpoint: str, partition: Partition, position: int, first: int) -> None:
    """Say that retention took records which an endpoint had not got."""
    _log.error(
        events.RECORDS_DELETED, endpoint=endpoint, partition=str(partition), next_offset=position,
        log_start=first, offsets_lost=first - position, cause="retention deleted them undelivered",
        remedy="raise the topic's retention above the longest outage an endpoint may have",
    )  # fmt: skip
