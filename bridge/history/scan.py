"""Read the history forwards: every attempt that matches a filter, and attempts by their ids, many at once.

Invariant: memory is bounded by what one read returns, never by the length of the topic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping

from bridge.history.attempt import AttemptId, Kept
from bridge.history.batch import UnreadableBatch, covers, decode
from bridge.history.selection import AttemptFilter
from bridge.kafka.side_reader import SideReader, read_stretch
from bridge.model import Partition, Record

CLOCKS_DIFFER_MS = 600_000
"""The time of a record is that of the broker or of another moment of the pod that wrote it."""
_NEAR = 16
"""Records that are no further apart are read at once, with what lies between them."""


class AttemptScan:
    """Reads attempts through ``reader``; methods raise ``KafkaUnavailable``."""

    def __init__(self, reader: SideReader, topic: str, partitions: int) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions = [Partition(topic, number) for number in range(partitions)]

    async def ends(self) -> dict[int, int]:
        """Return the next offset of each partition: the end of what the topic has now."""
        ends = await self._reader.ends(self._partitions)
        return {partition.number: end for partition, end in ends.items()}

    async def matching(self, wanted: AttemptFilter, ends: Mapping[int, int]) -> AsyncIterator[list[Kept]]:
        """Yield the attempts that match, in the order of the topic, up to these offsets. May yield none."""
        begins = await self._reader.begins(self._partitions)
        for partition in self._partitions:
            end = ends.get(partition.number, 0)
            begin = begins[partition]
            if wanted.since_ms is not None and begin < end:
                first = await self._reader.offset_at(partition, wanted.since_ms - CLOCKS_DIFFER_MS)
                begin = end if first is None else max(begin, first)
            if begin >= end:
                continue
            async for records in read_stretch(self._reader, partition, begin, end):
                for record in records:
                    yield _matching(record, wanted)

    async def fetch(self, ids: Collection[AttemptId]) -> dict[AttemptId, Kept]:
        """Return these attempts, without those that the topic does not have any more."""
        found: dict[AttemptId, Kept] = {}
        ids = frozenset(ids)
        begins, ends = await self._reader.begins(self._partitions), await self.ends()
        for number in sorted({id.number for id in ids} & {place.number for place in self._partitions}):
            partition = Partition(self._topic, number)
            offsets = {id.offset for id in ids if id.number == number}
            wanted = {offset for offset in offsets if begins[partition] <= offset < ends[number]}
            for start, end in runs(wanted):
                async for records in read_stretch(self._reader, partition, start, end):
                    for record in records:
                        if record.offset in wanted:
                            found |= _by_id(record, ids)
        return found


def runs(offsets: Iterable[int]) -> list[tuple[int, int]]:
    """Return the stretches [start, end) that contain these offsets, few and short."""
    runs: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if runs and offset - runs[-1][1] < _NEAR:
            runs[-1] = runs[-1][0], offset + 1
        else:
            runs.append((offset, offset + 1))
    return runs


def _matching(record: Record, wanted: AttemptFilter) -> list[Kept]:
    if record.damage is not None or not covers(record, wanted.since_ms, wanted.until_ms):
        return []
    if wanted.endpoint is not None and record.key != wanted.endpoint.encode():
        return []
    return [kept for kept in _decoded(record) if wanted.matches(kept)]


def _by_id(record: Record, ids: Collection[AttemptId]) -> dict[AttemptId, Kept]:
    return {kept.id: kept for kept in _decoded(record) if kept.id in ids}


def _decoded(record: Record) -> list[Kept]:
    """Return the attempts of a record; none of one that is no batch, which ``hookferry history`` reports."""
    try:
        return decode(record)[1]
    except UnreadableBatch:
        return []
