"""Find attempts in the topic: the newest ones that match a filter, or one by its id.

The topic is read from its end, in stretches, until enough is found. Invariant: memory is bounded by the
number and the bytes of what is found, never by the length of the topic.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from bridge.history.attempt import AttemptId, Kept
from bridge.history.batch import UnreadableBatch, WrittenBefore, covers, decode
from bridge.history.pool import size_of
from bridge.history.scan import CLOCKS_DIFFER_MS
from bridge.history.selection import AttemptFilter
from bridge.kafka.side_reader import SideReader, read_stretch
from bridge.model import Partition, Record

MOST_BYTES = 64 * 1024 * 1024
"""What the attempts that are found may use together."""
_FIRST_STRETCH, _LONGEST_STRETCH = 64, 1024
_REMEMBERED = 100_000


@dataclass(slots=True)
class Found:
    """Attempts, oldest first.

    ``cut`` is True if their bytes were the limit, and not their number: older ones may match as well.
    ``unreadable`` are the records of the topic that are no attempts, by place, with the reason.
    """

    attempts: list[Kept] = field(default_factory=list)
    cut: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)


class AttemptReader:
    """Reads attempts through ``reader``; methods raise ``KafkaUnavailable``."""

    def __init__(self, reader: SideReader, topic: str, partitions: int, most_bytes: int = MOST_BYTES) -> None:
        self._reader = reader
        self._partitions = [Partition(topic, number) for number in range(partitions)]
        self._most_bytes = most_bytes
        self._before = WrittenBefore(_REMEMBERED)

    async def newest(self, wanted: AttemptFilter, limit: int, *, bodies: bool) -> Found:
        """Return the newest attempts that match, at most ``limit``, with or without ``bodies``."""
        found = Found()
        if not self._partitions:
            return found
        begins, ends = await self._reader.begins(self._partitions), await self._reader.ends(self._partitions)
        share = self._most_bytes // len(self._partitions)
        for partition in self._partitions:
            begin = await self._first_since(partition, wanted.since_ms, begins[partition], ends[partition])
            search = _Search(wanted, limit, bodies, share, found)
            await self._search(partition, begin, ends[partition], search)
            found.attempts += search.kept
        found.attempts.sort(key=lambda kept: (kept.attempt.sent_s, kept.id))
        found.attempts = found.attempts[-limit:]
        return found

    async def fetch(self, wanted: AttemptId) -> Kept | None:
        """Return one attempt; None if the topic does not have it, or not any more."""
        partition = Partition(self._partitions[0].topic, wanted.number) if self._partitions else None
        if partition not in self._partitions or partition is None:
            return None
        begin = (await self._reader.begins([partition]))[partition]
        end = (await self._reader.ends([partition]))[partition]
        if not begin <= wanted.offset < end:
            return None
        async for records in read_stretch(self._reader, partition, wanted.offset, wanted.offset + 1):
            for record in records:
                try:
                    _, attempts = decode(record)
                except UnreadableBatch:
                    return None
                return attempts[wanted.entry] if wanted.entry < len(attempts) else None
        return None

    async def _first_since(self, partition: Partition, since_ms: int | None, begin: int, end: int) -> int:
        """Return the first offset whose record may have attempts that were made since then."""
        if since_ms is None or begin == end:
            return begin
        offset = await self._reader.offset_at(partition, since_ms - CLOCKS_DIFFER_MS)
        return end if offset is None else max(begin, offset)

    async def _search(self, partition: Partition, begin: int, end: int, search: _Search) -> None:
        """Search [begin, end) backwards, in stretches that grow, until enough is found."""
        length = _FIRST_STRETCH
        while end > begin and not search.is_done:
            start = max(begin, end - length)
            async for records in read_stretch(self._reader, partition, start, end):
                for record in records:
                    for kept in self._matching(record, search):
                        search.add(kept)
            search.end_stretch()
            end, length = start, min(2 * length, _LONGEST_STRETCH)

    def _matching(self, record: Record, search: _Search) -> list[Kept]:
        """Return the attempts of a record that match; none of a record that was written twice."""
        wanted = search.wanted
        if record.damage is None and not covers(record, wanted.since_ms, wanted.until_ms):
            return []
        if wanted.endpoint is not None and record.key != wanted.endpoint.encode():
            return []
        try:
            writer, attempts = decode(record)
        except UnreadableBatch as exc:
            search.found.unreadable[record.place] = str(exc)
            return []
        if self._before.has(writer, record):
            return []
        return [search.slim(kept) for kept in attempts if wanted.matches(kept)]


class _Search:
    """What a search of one partition has found so far, within its part of the memory.

    The newest stretch is read first, and each stretch forwards. So the newest of what a stretch has is known
    only at its end.
    """

    def __init__(
        self, wanted: AttemptFilter, limit: int, bodies: bool, most_bytes: int, found: Found
    ) -> None:
        self.wanted = wanted
        self.found = found
        self.kept: list[Kept] = []
        self._limit = limit
        self._bodies = bodies
        self._free_bytes = most_bytes
        self._stretch: deque[Kept] = deque()
        self._stretch_bytes = 0
        self._is_full = False

    @property
    def is_done(self) -> bool:
        """Return True if nothing more is to be found."""
        return self._is_full or len(self.kept) >= self._limit

    def slim(self, kept: Kept) -> Kept:
        """Return an attempt without what is not asked for."""
        if self._bodies:
            return kept
        attempt = kept.attempt._replace(headers=b"", body=None, answer_headers=None, answer_body=None)
        return kept._replace(attempt=attempt)

    def add(self, kept: Kept) -> None:
        """Add the next attempt of a stretch; the oldest ones of the stretch give way to it."""
        self._stretch.append(kept)
        self._stretch_bytes += size_of(kept.attempt)
        while self._stretch_bytes > self._free_bytes and len(self._stretch) > 1:
            self._is_full = self.found.cut = True
            self._forget_oldest()
        if len(self._stretch) + len(self.kept) > self._limit:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._stretch_bytes -= size_of(self._stretch.popleft().attempt)

    def end_stretch(self) -> None:
        """Keep what the stretch has; an older one follows."""
        self.kept += self._stretch
        self._free_bytes -= self._stretch_bytes
        self._stretch.clear()
        self._stretch_bytes = 0
