"""The cursors of an assignment: read from the broker when it begins, committed on the beat.

Takes an assignment and the bounds of its logs, gives one ``Cursor`` per endpoint and partition;
later packs their progress and commits it. Between the path and the edges.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import structlog

from bridge.clock import Clock
from bridge.core import completion_map
from bridge.errors import CommitError, PlaceLostError
from bridge.model import Committed, Partition
from bridge.pipeline.cursor_start import Bounds, CursorPolicy, EndpointCursor, begin
from bridge.storage.journal import Journal, Journaled
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()

REFRESH_S = 3600.0
"""Every cursor is committed at least this often: offsets of a group without members expire."""
_LAST_COMMIT_S = 3.0
"""What the last commit of an assignment has at least, be the drain's deadline over."""
_AGAIN_S = 0.1


class Offsets(Protocol):
    """Where the cursors are kept: groups without members."""

    async def fetch(self, group: str, partitions: Collection[Partition]) -> dict[Partition, Committed]:
        """What is committed; raises ``CommitError``."""
        ...

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        """Commit; raises ``CommitError``."""
        ...


OffsetsAt = Callable[[Collection[Partition], int], Awaitable[dict[Partition, int]]]
"""The first offset at or after an instant (Unix milliseconds), of the partitions that have one."""


class Fence(Protocol):
    """The member group's own commit, which only a present member can make."""

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit; raises ``CommitError``, and ``PlaceLostError`` where this process is no member any more."""
        ...

    def holds_lease(self) -> bool:
        """Whether the group cannot have given our partitions away yet."""
        ...


class _Packed(NamedTuple):
    """A cursor, its version, and the offset and text that the broker shall keep for that."""

    cursor: EndpointCursor
    version: int
    committed: Committed


class Checkpoints:
    """All cursors of the current assignment, by endpoint and partition.

    A cursor is committed as offset and completion map, and read back with both, so a restart or a
    rebalance repeats nothing that had settled by the last commit; what settled after it, the
    journal tells to a process on the same disk. The order of a commit: what settled is noted, the
    history of it is written, the member group's fence is passed, the cursors move.
    """

    def __init__(
        self,
        group: str,
        policies: Mapping[str, CursorPolicy],
        *,
        offsets: Offsets,
        fence: Fence,
        offsets_at: OffsetsAt,
        flush: Callable[[], Awaitable[None]],
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
        whole_topics: Collection[str] = (),
    ) -> None:
        """``whole_topics`` are read from their first record on, wherever an endpoint starts otherwise."""
        self._group = group
        self._whole_topics = frozenset(whole_topics)
        self._policies = policies
        self._offsets = offsets
        self._fence = fence
        self._offsets_at = offsets_at
        self._flush = flush
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._fenced: dict[Partition, int] = {}
        self._refreshed_at = clock.monotonic()
        self._failing = False
        self._committing = asyncio.Lock()
        self.room = asyncio.Event()
        """Set when a full cursor has room again; the reader clears it before it waits."""
        self.room_behind = {endpoint: asyncio.Event() for endpoint in policies}
        """By endpoint: set when a full cursor that is detached has room again. ``CatchUp`` clears it."""
        self.cursors: dict[Partition, dict[str, EndpointCursor]] = {}

    async def load(self, bounds: Bounds) -> dict[Partition, dict[str, EndpointCursor]]:
        """Fresh cursors for these partitions, as far as their endpoints had come.

        Raises ``CommitError``; ``KafkaUnavailable`` where an instant's offset is not to be had.
        """
        loaded: dict[Partition, dict[str, EndpointCursor]] = {partition: {} for partition in bounds}
        recollection = self._journal.recall()
        for endpoint, policy in self._policies.items():
            committed = await self._offsets.fetch(f"{self._group}.{endpoint}", list(bounds))
            starts = await self._starts(
                policy, {one: bounds[one] for one in bounds.keys() - committed.keys()}
            )
            for partition, (first, following) in bounds.items():
                base = committed.get(partition)
                journaled = recollection.settled(endpoint, partition, base)
                begins = first if partition.topic in self._whole_topics else starts.get(partition, first)
                cursor = begin(endpoint, policy, partition, (first, following), base or begins, journaled)
                cursor.committed = (-1, base)
                loaded[partition][endpoint] = cursor
        return loaded

    async def _starts(self, policy: CursorPolicy, bounds: Bounds) -> dict[Partition, int]:
        """Where new cursors begin in these partitions."""
        match policy.start:
            case "earliest":
                return {partition: first for partition, (first, _) in bounds.items()}
            case "latest":
                return {partition: following for partition, (_, following) in bounds.items()}
            case instant_ms:
                found = await self._offsets_at(bounds.keys(), instant_ms) if bounds else {}
                return {
                    partition: found.get(partition, following) for partition, (_, following) in bounds.items()
                }

    def install(self, cursors: dict[Partition, dict[str, EndpointCursor]]) -> None:
        """These cursors are live now and will be committed; those they replace are not."""
        for partition in cursors:
            for replaced in self.cursors.get(partition, {}).values():
                replaced.live = False
        self.cursors.update(cursors)
        self._begin_segment({})

    def clear(self) -> None:
        """The assignment is over: what settles from here on is not committed by this process."""
        for cursor in self.all():
            cursor.live = False
        self.cursors = {}
        self._fenced = {}

    def all(self) -> Iterator[EndpointCursor]:
        """Every cursor of the assignment."""
        return (cursor for cursors in self.cursors.values() for cursor in cursors.values())

    def of(self, endpoint: str) -> list[EndpointCursor]:
        """The cursors of an endpoint, one per partition."""
        return [cursors[endpoint] for cursors in self.cursors.values() if endpoint in cursors]

    def settle(self, cursor: EndpointCursor, offset: int, size_bytes: int, part: int = 0) -> None:
        """One event at this offset needs nothing more; without effect where the assignment is over."""
        if not cursor.live:
            return
        if cursor.settle(offset, size_bytes, part):
            self._journal.settled(cursor.number, offset)
        elif part:
            self._journal.settled(cursor.number, offset, part)
        self._look_for_room(cursor)

    def _look_for_room(self, cursor: EndpointCursor) -> None:
        """Wake the reader of a cursor that was full and has room again."""
        if cursor.found_room():
            self.room.set()
            if not cursor.attached:
                self.room_behind[cursor.endpoint].set()

    async def commit(self) -> None:
        """Commit what moved since the last time.

        Raises ``CommitError``; nothing is lost by it, and the next call commits what this did not.
        """
        async with self._committing:
            changed = self._pack()
            if not changed:
                await self._flush()  # failed attempts move no cursor; their history is written all the same
                return
            segment = self._begin_segment({packed.cursor: packed.committed for packed in changed})
            lowest = {
                partition: min(cursor.lowest for cursor in by_endpoint.values())
                for partition, by_endpoint in self.cursors.items()
            }
            await self._flush()
            moved = {one: offset for one, offset in lowest.items() if self._fenced.get(one) != offset}
            await self._fence.fence(moved or lowest)
            if not self._fence.holds_lease():
                raise CommitError("this process stood still for longer than the session timeout")
            self._fenced.update(moved)
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
            self._journal.forget_before(segment)

    async def _commit_group(self, group: str, all_packed: Sequence[_Packed]) -> None:
        await self._offsets.commit(
            group, {packed.cursor.partition: packed.committed for packed in all_packed}
        )
        for packed in all_packed:
            packed.cursor.committed = (packed.version, packed.committed)

    async def commit_or_say(self) -> bool:
        """``commit``, with a failure counted, and logged when it is the first of a row.

        False when another try may succeed: nothing was refused for good.
        """
        try:
            await self.commit()
        except CommitError as exc:
            self._metrics.commits.labels("failed").inc()
            if not self._failing:
                self._failing = True
                _log.warning(
                    events.COMMIT_FAILED,
                    cause=str(exc),
                    remedy="none needed: it is tried again with the next commit",
                )
            return isinstance(exc, PlaceLostError)
        if self._failing:
            self._failing = False
            _log.info(events.CURSORS_COMMITTED)
        self._metrics.commits.labels("done").inc()
        return True

    async def commit_last(self, deadline: float) -> None:
        """The last commit of an assignment: tried until it is taken, or refused for good, or it is time.

        What it does not tell, the next owner sends again. The fence goes first each time, so no try
        comes after the group has moved on.
        """
        at_least = asyncio.get_running_loop().time() + _LAST_COMMIT_S
        try:
            async with asyncio.timeout_at(max(deadline, at_least)):
                while not await self.commit_or_say():  # noqa: ASYNC110 - it asks the broker
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            _log.warning(
                events.COMMIT_FAILED,
                cause="the broker did not take the last commit in time",
                remedy="what was delivered since the commit before may be sent again",
            )

    def unsettled(self, endpoint: str) -> int:
        """How many events are read and not settled for an endpoint."""
        return sum(cursor.unsettled for cursor in self.of(endpoint))

    def _pack(self) -> list[_Packed]:
        refresh = self._clock.monotonic() - self._refreshed_at >= REFRESH_S
        if refresh:
            self._refreshed_at = self._clock.monotonic()
        changed = []
        for cursor in self.all():
            if cursor.version == _last(cursor)[0] and not refresh:
                continue
            progress = cursor.progress()
            text, fits = completion_map.encode(
                progress.offset, progress.open_offsets, progress.end, progress.failures, progress.parts
            )
            cursor.map_fits(fits)
            self._look_for_room(cursor)
            changed.append(_Packed(cursor, cursor.version, Committed(progress.offset, text)))
        return changed

    def _begin_segment(self, coming: Mapping[EndpointCursor, Committed]) -> int:
        """A new segment of the journal, in one step with the packing: what settles from here on is in it."""
        named = []
        for number, cursor in enumerate(self.all()):
            cursor.number = number
            base = coming.get(cursor) or _last(cursor)[1]
            named.append(Journaled(cursor.endpoint, cursor.partition, base))
        return self._journal.begin(named)


def _last(cursor: EndpointCursor) -> tuple[int, Committed | None]:
    """The version of a cursor that this process last committed, and what the broker has for it."""
    return cursor.committed  # type: ignore[return-value]
