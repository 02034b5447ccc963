"""Fakes of the parts that a member of the group reads and commits with: readers, offsets, journal.

``FakeOffsets`` and ``FakeJournal`` outlive a process; each process gets new readers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from bridge.core.share import share
from bridge.errors import CommitError, PlaceLostError, RecordsDeleted
from bridge.model import Batch, Committed, Partition, Spot
from bridge.storage.journal import JournaledOffsets
from bridge.storage.journal_segment import CursorKey, JournaledCursor
from tests.support.fakes import P0, Log


class FakeReader:
    """A member of the group (``pipeline.Reads`` and ``checkpoint.Fence``) over a ``Log``."""

    def __init__(self, log: Log, *, max_batch: int = 1000) -> None:
        self._log = log
        self._max_batch = max_batch
        self._positions: dict[Partition, int] = {}
        self.assigned: frozenset[Partition] = frozenset()
        self.epoch = 0
        self.trouble: deque[Exception] = deque()
        """Exceptions that the next calls raise, one each."""
        self.lost_place = False
        self.unanswered = 0
        """How many of the next fences get no answer."""
        self.fenced: list[dict[Partition, int]] = []
        self.reads_of_full: list[Collection[Partition]] = []

    def assign(self, *partitions: Partition) -> None:
        self.epoch += 1
        self.assigned = frozenset(partitions)

    async def revoke(self, drain: Callable[[], Awaitable[None]]) -> None:
        await drain()
        self.assigned = frozenset()
        self._positions.clear()

    @property
    def unprepared(self) -> frozenset[Partition]:
        return self.assigned - self._positions.keys()

    @property
    def share(self) -> float:
        return share(len(self.assigned), len(self._log.records))

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        self._positions.update(positions)

    def begin_again(self) -> None:
        self._positions.clear()

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        self.reads_of_full.append(full)
        if self.trouble:
            raise self.trouble.popleft()
        batches: list[Batch] = []
        for partition, position in self._positions.items():
            if partition in full:
                continue
            first, following = self._log.bounds(partition)
            if not first <= position <= following:
                raise RecordsDeleted({partition: position})
            if records := self._log.readable(partition, position):
                batches.append((partition, records[: self._max_batch]))
            else:
                self._positions[partition] = following
        # The real one returns when a record comes.
        await asyncio.sleep(0 if batches else min(timeout_s, 0.25))
        mine = [(one, records) for one, records in batches if one in self._positions]
        self._positions.update({one: records[-1].end for one, records in mine})
        return mine

    def passed(self) -> Mapping[Partition, int]:
        return dict(self._positions)

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        if self.trouble:
            raise self.trouble.popleft()
        await asyncio.sleep(0)
        return {one: self._log.bounds(one) for one in partitions}

    def holds_lease(self) -> bool:
        return True

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        await asyncio.sleep(0)
        if self.lost_place:
            raise PlaceLostError("the group has moved on")
        if self.unanswered:
            self.unanswered -= 1
            raise CommitError("no answer")
        self.fenced.append(dict(lowest))


class FakeSideReader:
    """A reader outside the group (``catch_up.SideReads``) over a ``Log``."""

    def __init__(self, log: Log, *, max_batch: int = 1000) -> None:
        self._log = log
        self._max_batch = max_batch
        self._positions: dict[Partition, int] = {}

    async def __aenter__(self) -> FakeSideReader:
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        self._positions = dict(positions)
        batches: list[Batch] = []
        for partition, position in self._positions.items():
            if position < self._log.first[partition]:
                self._positions = {}
                raise RecordsDeleted({partition: position})
            if records := self._log.readable(partition, position):
                batches.append((partition, records[: self._max_batch]))
            else:
                self._positions[partition] = self._log.bounds(partition)[1]
        await asyncio.sleep(0 if batches else timeout_s)
        self._positions.update({one: records[-1].end for one, records in batches})
        return batches, dict(self._positions)

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        await asyncio.sleep(0)
        return {one: self._log.first[one] for one in partitions}


class FakeJournal:
    """A journal on a disk that outlives every process (``bridge.storage.journal.Journal``)."""

    def __init__(self) -> None:
        self._segments: dict[int, list[tuple[JournaledCursor, set[tuple[int, int]]]]] = {}
        self._number = 0

    @property
    def segment(self) -> int:
        return self._number

    def begin_segment(self) -> int:
        self._number += 1
        self._segments[self._number] = []
        return self._number

    def declare(self, cursor: JournaledCursor) -> int:
        declared = self._segments.setdefault(self._number, [])
        declared.append((cursor, set()))
        return len(declared) - 1

    def record_settled(self, cursor: int, offset: int, part: int = 0) -> bool:
        self._segments[self._number][cursor][1].add((offset, part))
        return True

    def record_all(self, cursor: int, spots: Sequence[Spot]) -> int:
        self._segments[self._number][cursor][1].update(spots)
        return len(spots)

    def delete_before(self, segment: int, is_ours: Callable[[CursorKey], bool]) -> None:
        for number in [number for number in self._segments if number < segment]:
            self._segments[number] = [row for row in self._segments[number] if not is_ours(row[0].key)]

    def read(self) -> JournaledOffsets:
        journaled = JournaledOffsets()
        for segment in self._segments.values():
            for one, spots in segment:
                journaled.add(one, spots)
        return journaled


class FakeOffsets:
    """The offsets at the broker, which outlive every process (``checkpoint.Offsets``)."""

    def __init__(self) -> None:
        self.committed: dict[tuple[str, Partition], Committed] = {}
        self.trouble: deque[str | None] = deque()
        """The outcome of the next commits: None accepts one, a text refuses it."""
        self.refused: set[Partition] = set()
        """Partitions of topics that the login may not read."""
        self.on_commit: Callable[[str, Mapping[Partition, Committed]], None] = lambda group, offsets: None

    def at(self, endpoint: str, partition: Partition = P0) -> int | None:
        committed = self.committed.get((f"g.{endpoint}", partition))
        return committed.offset if committed else None

    def map_of(self, endpoint: str, partition: Partition = P0) -> str:
        committed = self.committed.get((f"g.{endpoint}", partition))
        return committed.metadata if committed else ""

    def expire(self, *partitions: Partition) -> None:
        """Delete the commits of these partitions, of every group; of all partitions without an argument."""
        for group, partition in list(self.committed):
            if not partitions or partition in partitions:
                del self.committed[group, partition]

    async def fetch(self, group: str, partitions: Collection[Partition] | None) -> dict[Partition, Committed]:
        await asyncio.sleep(0)
        return {
            one: committed
            for (of, one), committed in self.committed.items()
            if of == group and (partitions is None or one in partitions)
        }

    async def fetch_all(
        self, groups: Sequence[str], partitions: Collection[Partition] | None
    ) -> dict[str, dict[Partition, Committed]]:
        return {group: await self.fetch(group, partitions) for group in groups}

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        await asyncio.sleep(0)
        refusal = self.trouble.popleft() if self.trouble else None
        if refusal is not None:
            raise CommitError(refusal)
        self.on_commit(group, offsets)
        refused = [one for one in offsets if one in self.refused]
        accepted = {one: committed for one, committed in offsets.items() if one not in refused}
        self.committed.update({(group, one): committed for one, committed in accepted.items()})
        await asyncio.sleep(0)
        return refused
