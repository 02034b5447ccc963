"""The journal: which offsets settled since the last commit, for the next process on this disk.

A commit every 200 ms leaves 200 ms of deliveries that a SIGKILL would repeat. Each settled offset
is therefore also stored, at once, in a file mapped into memory: no system call, no fsync. It
survives the death of the process, not of the machine. Edge floor.

The file is a chain of segments. A segment begins with a line of JSON that names its cursors and
what was (about to be) committed for them; entries of 20 bytes follow, zeros after the last. A
commit begins a new segment, and deletes the older ones when the broker has it. What they tell of
cursors that are not ours just now goes into segment 0, for the case that they come back.
"""

from __future__ import annotations

import mmap
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import orjson
import structlog

from bridge.model import Committed, Partition
from bridge.telemetry import events

_log = structlog.get_logger()
_ENTRY = Struct("<IIIq")
"""Check (CRC-32 of the rest), number of the cursor, part, settled offset."""
_REST = Struct("<IIq")
_CAPACITY = 16_384
"""Entries of one segment, 320 KiB; one that is full is followed by another."""

Spot = tuple[int, int]
"""Offset and part: which event of its record settled, 0 for all of them."""

_LEFT_FOR_S = 600.0
"""Cursors come back within a rebalance or two; what is older might meet a rewind to the same place."""


class Journaled(NamedTuple):
    """A cursor as the journal names it: who, where, and what is being committed for it."""

    endpoint: str
    partition: Partition
    base: Committed | None


_Key = tuple[str, Partition]


def _key(one: Journaled) -> _Key:
    return one.endpoint, one.partition


class Recollection:
    """What a journal tells of each cursor: the commits it saw, and what settled beside them."""

    def __init__(self) -> None:
        self._bases: defaultdict[tuple[str, Partition], list[Committed | None]] = defaultdict(list)
        self._spots: defaultdict[tuple[str, Partition], set[Spot]] = defaultdict(set)

    def add(self, one: Journaled, spots: set[Spot]) -> None:
        """Take in what one segment tells of a cursor."""
        key = (one.endpoint, one.partition)
        self._bases[key].append(one.base)
        self._spots[key] |= spots

    def settled(self, endpoint: str, partition: Partition, committed: Committed | None) -> set[Spot]:
        """What settled, if ``committed`` is a commit that the journal saw; else nothing."""
        key = (endpoint, partition)
        return self._spots[key] if committed in self._bases[key] else set()


class Journal:
    """Remembers settled offsets between commits, for whoever starts next on the same disk.

    It is believed for a cursor only if the broker has just what this journal saw committed for it:
    after a rewind, a deleted group, or the work of another pod in between, it says nothing.

    A journal that cannot be written does no harm but repeats after a kill; it says so once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._map: mmap.mmap | None = None
        self._at = 0
        self._end = 0
        self._number = max((_number(path) for path in self._segments()), default=0)
        self._cursors: list[Journaled] = []
        self._about: dict[int, frozenset[_Key]] = {}
        """Which cursors each segment tells of; those of another life are looked up."""
        self._failing = False

    def begin(self, cursors: Iterable[Journaled]) -> int:
        """Begin a segment for these cursors, numbered in their order; the number of the segment."""
        self._cursors = list(cursors)
        self._open()
        return self._number

    def settled(self, cursor: int, offset: int, part: int = 0) -> None:
        """Store what settled for the cursor with this number in the current segment: part 0 is all."""
        if self._map is None:
            return
        if self._at + _ENTRY.size > self._end:
            self._open()
            if self._map is None:
                return
        check = crc32(_REST.pack(cursor, part, offset))
        _ENTRY.pack_into(self._map, self._at, check, cursor, part, offset)
        self._at += _ENTRY.size

    def forget_before(self, segment: int) -> None:
        """The broker has what segments before this one tell of its cursors: delete them.

        What they tell of other cursors, which were ours before, stays.
        """
        ours = self._about.get(segment, frozenset())
        older = [path for path in self._segments() if _number(path) < segment]
        others = [path for path in older if self._about_in(path) - ours]
        left = next((path for path in others if not _number(path)), None)
        if left is not None and others == [left] and not self._about_in(left) & ours:
            older.remove(left)  # segment 0 is as it should be
        elif others and self._keep([told for path in others for told in _read(path)], ours):
            older = [path for path in older if _number(path)]
        for path in older:
            self._about.pop(_number(path), None)
            self._delete(path)

    def _about_in(self, path: Path) -> frozenset[_Key]:
        number = _number(path)
        if number not in self._about:
            self._about[number] = frozenset(_key(one) for one, _ in _read(path))
        return self._about[number]

    def _keep(self, told: Sequence[tuple[Journaled, set[Spot]]], ours: frozenset[_Key]) -> bool:
        """Write segment 0 anew, in one step, with what is told of others; whether there is one now."""
        left = [(one, spots) for one, spots in told if spots and _key(one) not in ours]
        if not left:
            return False
        entries = [
            _ENTRY.pack(crc32(_REST.pack(number, part, offset)), number, part, offset)
            for number, (_, spots) in enumerate(left)
            for offset, part in sorted(spots)
        ]
        path, new = self._folder / "journal.0", self._folder / "left.new"
        try:
            new.write_bytes(_head(one for one, _ in left) + b"".join(entries))
            new.rename(path)
        except OSError as exc:
            self._say(path, exc)
            return False
        self._about[0] = frozenset(_key(one) for one, _ in left)
        return True

    def recall(self) -> Recollection:
        """What all segments tell together."""
        recollection = Recollection()
        for path in self._segments():
            if not _number(path) and self._is_old(path):
                self._delete(path)
                continue
            for one, spots in _read(path):
                recollection.add(one, spots)
        return recollection

    def close(self) -> None:
        """Unmap the file; what it tells stays."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _is_old(self, path: Path) -> bool:
        try:
            return time.time() - path.stat().st_mtime > _LEFT_FOR_S
        except OSError:
            return True

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            self._say(path, exc)

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("journal.*"), key=_number)

    def _open(self) -> None:
        self.close()
        self._number += 1
        self._about[self._number] = frozenset(_key(one) for one in self._cursors)
        head = _head(self._cursors)
        size = len(head) + _CAPACITY * _ENTRY.size
        path = self._folder / f"journal.{self._number}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                # reserved, not sparse: a full disk must be an error here and not a SIGBUS later
                os.posix_fallocate(handle, 0, size)
                self._map = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError as exc:
            path.unlink(missing_ok=True)
            self._say(path, exc)
            return
        self._failing = False
        self._map[: len(head)] = head
        self._at, self._end = len(head), size

    def _say(self, path: Path, exc: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.error(
                events.JOURNAL_FAILED,
                file=str(path),
                cause=str(exc),
                remedy="free the disk or mend the path; until then a kill repeats a commit interval",
            )


def delete_segments(folder: Path) -> None:
    """Delete all segments in a folder: they are of another group or cluster."""
    with suppress(OSError):
        for path in folder.glob("journal.*"):
            path.unlink(missing_ok=True)


def _head(cursors: Iterable[Journaled]) -> bytes:
    named = [(one.endpoint, *one.partition, one.base and [*one.base]) for one in cursors]
    return orjson.dumps(named) + b"\n"


def _number(path: Path) -> int:
    suffix = path.suffix[1:]
    return int(suffix) if suffix.isdecimal() else 0


def _read(path: Path) -> list[tuple[Journaled, set[Spot]]]:
    """The cursors of a segment with what settled for them; nothing of a file that is not one."""
    try:
        data = path.read_bytes()
        head, _, _ = data.partition(b"\n")
        cursors = [
            Journaled(endpoint, Partition(topic, number), Committed(*base) if base else None)
            for endpoint, topic, number, base in orjson.loads(head)
        ]
    except (OSError, ValueError, TypeError):
        return []
    spots: defaultdict[int, set[Spot]] = defaultdict(set)
    for at in range(len(head) + 1, len(data) - _ENTRY.size + 1, _ENTRY.size):
        check, cursor, part, offset = _ENTRY.unpack_from(data, at)
        if not check or check != crc32(_REST.pack(cursor, part, offset)):
            break
        spots[cursor].add((offset, part))
    return [(one, spots[number]) for number, one in enumerate(cursors)]
