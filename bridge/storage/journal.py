"""Store which offsets settled since the last commit, for the next process on this disk.

A commit every 200 ms leaves up to 200 ms of deliveries that a SIGKILL would repeat. Each settled
offset is therefore also written at once to a memory-mapped file: no system call, no fsync. It
survives the death of the process, not of the machine.

The journal is a chain of segments (``journal_segment.py``), each in a file (``segment_file.py``). A segment
begins when all that settled before is about to be committed, and the older ones are deleted once the broker
has accepted it. What those contain about cursors of other assignments is copied to segment 0, in case these
partitions return. While the broker accepts no commit, all of them stay, because it may have accepted one
without an answer; so they are kept small and few.

Invariant: a cursor's entries count only if the broker has exactly the commit that a segment recorded
for it, and none counts for a cursor that began anew since: after a rewind, or in a recreated topic.
"""

from __future__ import annotations

import mmap
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import structlog

from bridge.model import Committed, Partition, Spot
from bridge.storage.journal_segment import (
    CHECKED,
    ENTRY,
    CursorKey,
    JournaledCursor,
    SegmentRow,
    encode_declaration,
    encode_entries,
    encode_head,
    encode_segment,
    read_segment,
    salt_of,
)
from bridge.storage.private_files import replace_file
from bridge.storage.segment_file import SegmentFile
from bridge.telemetry import events

_log = structlog.get_logger()
_ENTRY_BYTES, _write_entry, _checked = ENTRY.size, ENTRY.pack_into, CHECKED.pack
_SEGMENT_BYTES = 16_384 * _ENTRY_BYTES
"""320 KiB; a full segment is followed by another."""
_MOST_SEGMENTS = 256
"""With as many, the current one goes on."""
_KEPT_S = 600.0
"""Partitions return within a rebalance or two. Older entries might match a cursor that was rewound to the
same commit."""


class JournaledOffsets:
    """What all segments contain, by cursor: the commits they recorded, and what settled since."""

    def __init__(self) -> None:
        self._bases: defaultdict[CursorKey, list[Committed | None]] = defaultdict(list)
        self._spots: defaultdict[CursorKey, set[Spot]] = defaultdict(set)

    def add(self, cursor: JournaledCursor, spots: set[Spot]) -> None:
        """Add what one segment contains about a cursor. Segments and their cursors come in order."""
        if cursor.is_new:
            self._bases.pop(cursor.key, None)
            self._spots.pop(cursor.key, None)
        self._bases[cursor.key].append(cursor.base)
        self._spots[cursor.key] |= spots

    def settled(self, endpoint: str, partition: Partition, committed: Committed | None) -> set[Spot]:
        """Return what settled since ``committed``; nothing if no segment recorded that commit."""
        key = (endpoint, partition)
        return self._spots[key] if committed in self._bases.get(key, ()) else set()


class Journal:
    """Keeps settled offsets between commits, for the next process on the same disk.

    After a rewind, a deleted group, or commits of another pod, the broker's commit matches no
    segment, and the journal is ignored for that cursor.

    If the journal cannot be written, a kill repeats up to one commit interval of deliveries. The first
    failure is logged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: SegmentFile | None = None
        self._map: mmap.mmap | None = None
        self._at = 0
        self._end = 0
        self._salt = 0
        self._ended: tuple[int, SegmentFile, int] | None = None
        """The segment before the current one while it is needed, still mapped: number, file, bytes used."""
        self._spare: SegmentFile | None = None
        """A file that is no segment any more. The next segment takes it."""
        self._numbers = sorted(map(_number, folder.glob("journal.*")))
        self.segment = max(self._numbers, default=0)
        """The number of the current segment, in which ``declare`` numbers the cursors."""
        self._declared = 0
        self._keys: dict[int, set[CursorKey]] = {}
        """The cursors of each segment. Those of segments from an earlier process are read when needed."""
        self._failing = False

    def begin_segment(self) -> int:
        """Begin a segment, unless the current one is empty. Return the number of the segment.

        If too many have gathered because the broker accepts no commit, the current one is kept as well.
        """
        if self._map is None or (self._declared and len(self._keys) < _MOST_SEGMENTS):
            self._open()
        return self.segment

    def declare(self, cursor: JournaledCursor) -> int:
        """Add a cursor, or another base of it, and return its number in the current segment.

        Call it before the first ``record_settled`` of a cursor in a segment, and after each commit: only
        cursors that settle something cost anything here.
        """
        declaration = encode_declaration(self._declared, cursor, self._salt)
        if self._map is not None and self._at + len(declaration) + _ENTRY_BYTES > self._end:
            self._open()
            declaration = encode_declaration(0, cursor, self._salt)
        if self._map is None:
            return 0
        self._map[self._at : self._at + len(declaration)] = declaration
        self._at += len(declaration)
        self._keys[self.segment].add(cursor.key)
        self._declared += 1
        return self._declared - 1

    def record_settled(self, cursor: int, offset: int, part: int = 0) -> bool:
        """Store that an event settled, for the cursor with this number in the current segment.

        Part 0 is the whole offset. Return False if the segment is full: declare the cursor again, which
        begins another one.
        """
        file = self._map
        if file is None:
            return True
        at = self._at
        end = at + _ENTRY_BYTES
        if end > self._end:
            return False
        check = crc32(_checked(cursor, part, offset), self._salt)
        _write_entry(file, at, check, cursor, part, offset)
        self._at = end
        return True

    def record_all(self, cursor: int, spots: Sequence[Spot]) -> int:
        """Store that events settled; see ``record_settled``. Return for how many there was room."""
        file = self._map
        if file is None:
            return len(spots)
        at = self._at
        fitting = spots[: (self._end - at) // _ENTRY_BYTES]
        entries = encode_entries(cursor, fitting, self._salt)
        self._at = at + len(entries)
        file[at : self._at] = entries
        return len(fitting)

    def delete_before(self, segment: int, is_ours: Callable[[CursorKey], bool]) -> None:
        """Delete the segments before this one: the broker has committed what they contain.

        What they contain about cursors of other assignments is kept, in segment 0.
        """
        older = [number for number in self._numbers if number < segment]
        others = [number for number in older if not all(map(is_ours, self._keys_of(number)))]
        if others == [0] and not any(map(is_ours, self._keys_of(0))):
            older.remove(0)  # segment 0 already contains just that
        elif others and self._keep(self._rows_of(others), is_ours):
            older = [number for number in older if number]
        for number in older:
            self._delete(number)

    def _rows_of(self, numbers: Iterable[int]) -> list[SegmentRow]:
        return [row for number in numbers for row in read_segment(self._path_of(number))]

    def _keys_of(self, number: int) -> set[CursorKey]:
        if number not in self._keys:
            self._keys[number] = {row.cursor.key for row in self._rows_of([number])}
        return self._keys[number]

    def _keep(self, rows: Sequence[SegmentRow], is_ours: Callable[[CursorKey], bool]) -> bool:
        """Replace segment 0 atomically with the rows of other cursors. Return True if there is one now."""
        settled = {row.cursor.key for row in rows if row.spots}
        kept = [row for row in rows if row.cursor.key in settled and not is_ours(row.cursor.key)]
        if not kept:
            return False
        path, new = self._path_of(0), self._folder / "left.new"
        try:
            replace_file(path, new, encode_segment(kept))
        except OSError as exc:
            self._log_failure(path, exc)
            return False
        self._keys[0] = {row.cursor.key for row in kept}
        if 0 not in self._numbers:
            self._numbers.insert(0, 0)
        return True

    def read(self) -> JournaledOffsets:
        """Return what all segments contain together."""
        journaled = JournaledOffsets()
        if 0 in self._numbers and self._is_old(self._path_of(0)):
            self._delete(0)
        for row in self._rows_of(self._numbers):
            journaled.add(row.cursor, row.spots)
        return journaled

    def close(self) -> None:
        """Unmap the files. What the segments contain stays on the disk, without the rest of their space."""
        self._end_segment()
        self._release_ended()
        if self._spare is not None:
            with suppress(OSError):
                self._spare.delete()
            self._spare = None

    def _end_segment(self) -> None:
        """End the current segment, and keep its file mapped: mostly, it is soon no longer needed."""
        if self._file is not None:
            self._release_ended()
            self._ended = self.segment, self._file, self._at
        self._file = self._map = None

    def _release_ended(self) -> None:
        if self._ended is not None:
            _, file, used = self._ended
            file.close(used)
            self._ended = None

    def _is_old(self, path: Path) -> bool:
        try:
            return time.time() - path.stat().st_mtime > _KEPT_S
        except OSError:
            return True

    def _delete(self, number: int) -> None:
        """Delete a segment. The next one takes its file if that is still mapped."""
        self._keys.pop(number, None)
        self._numbers.remove(number)
        if self._ended is not None and self._ended[0] == number:
            _, self._spare, used = self._ended
            self._spare.clear(used)
            self._ended = None
            return
        path = self._path_of(number)
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            self._log_failure(path, exc)

    def _path_of(self, number: int) -> Path:
        return self._folder / f"journal.{number}"

    def _open(self) -> None:
        self._end_segment()
        self.segment += 1
        self._numbers.append(self.segment)
        self._keys[self.segment], self._declared = set(), 0
        path = self._path_of(self.segment)
        try:
            self._file = self._take_spare(path) or SegmentFile(path, _SEGMENT_BYTES)
        except OSError as exc:
            path.unlink(missing_ok=True)
            self._log_failure(path, exc)
            return
        self._failing = False
        self._map, self._salt = self._file.map, salt_of(self.segment)
        head = encode_head(self.segment)
        self._map[: len(head)] = head
        self._at, self._end = len(head), self._file.size

    def _take_spare(self, path: Path) -> SegmentFile | None:
        file, self._spare = self._spare, None
        if file is not None:
            file.rename(path)
        return file

    def _log_failure(self, path: Path, exc: OSError) -> None:
        """Log the first failure of several in a row."""
        if not self._failing:
            self._failing = True
            _log.error(
                events.JOURNAL_FAILED,
                file=str(path),
                cause=str(exc),
                remedy="free disk space or fix the path; until then a kill repeats one commit interval",
            )


def delete_segments(folder: Path) -> None:
    """Delete all segments of a directory: they belong to another group or cluster."""
    with suppress(OSError):
        for path in folder.glob("journal.*"):
            path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    suffix = path.suffix[1:]
    return int(suffix) if suffix.isdecimal() else 0
