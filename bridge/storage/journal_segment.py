"""Write and read one segment file of the journal.

A segment is a line of JSON that lists its cursors and what was (about to be) committed for each, then
entries of 20 bytes, then zeros. Invariant: an entry whose CRC does not match ends the segment, so a
torn write settles nothing that was not settled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import orjson

from bridge.model import Committed, Partition, Spot

ENTRY = Struct("<IIIq")
"""CRC-32 of the rest, number of the cursor, part, settled offset."""
CHECKED = Struct("<IIq")
"""The part of an entry that its CRC covers."""

CursorKey = tuple[str, Partition]
"""Endpoint and partition."""


class JournaledCursor(NamedTuple):
    """A cursor as a segment lists it. ``base`` is what was committed for it when the segment began."""

    endpoint: str
    partition: Partition
    base: Committed | None

    @property
    def key(self) -> CursorKey:
        """Return the endpoint and the partition."""
        return self.endpoint, self.partition


class SegmentRow(NamedTuple):
    """A cursor of a segment, with what settled for it."""

    cursor: JournaledCursor
    spots: set[Spot]


def encode_head(cursors: Iterable[JournaledCursor]) -> bytes:
    """Return the first line: the cursors, numbered by their order."""
    rows = [(cursor.endpoint, *cursor.partition, cursor.base and [*cursor.base]) for cursor in cursors]
    return orjson.dumps(rows) + b"\n"


def encode_segment(rows: Iterable[SegmentRow]) -> bytes:
    """Return a whole segment."""
    rows = list(rows)
    spots = [(number, spot) for number, row in enumerate(rows) for spot in sorted(row.spots)]
    entries = bytearray(ENTRY.size * len(spots))
    for index, (number, (offset, part)) in enumerate(spots):
        check = crc32(CHECKED.pack(number, part, offset))
        ENTRY.pack_into(entries, index * ENTRY.size, check, number, part, offset)
    return encode_head(row.cursor for row in rows) + bytes(entries)


def read_segment(path: Path) -> list[SegmentRow]:
    """Return the cursors of a segment and what settled for each; nothing if the file is no segment."""
    try:
        data = path.read_bytes()
        head, _, _ = data.partition(b"\n")
        cursors = [
            JournaledCursor(endpoint, Partition(topic, number), Committed(*base) if base else None)
            for endpoint, topic, number, base in orjson.loads(head)
        ]
    except (OSError, ValueError, TypeError):
        return []
    spots: defaultdict[int, set[Spot]] = defaultdict(set)
    for at in range(len(head) + 1, len(data) - ENTRY.size + 1, ENTRY.size):
        check, cursor, part, offset = ENTRY.unpack_from(data, at)
        if not check or check != crc32(CHECKED.pack(cursor, part, offset)):
            break
        spots[cursor].add((offset, part))
    return [SegmentRow(cursor, spots[number]) for number, cursor in enumerate(cursors)]
