"""Write and read one segment file of the journal.

A segment is a line of JSON with its number, then entries of 20 bytes, then zeros. The cursors that settle
something are declared between the entries, each with what was (about to be) committed for it. Segment 0, and
those of earlier releases, list the cursors in the first line instead. Invariant: an entry whose CRC does not
match ends the segment, so a torn write settles nothing that was not settled. The CRC begins with the number,
so an entry of another segment in the same file does not match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from bridge.model import Committed, Partition, Spot

ENTRY = Struct("<IIIq")
"""CRC-32 of the rest and the segment's number, number of the cursor, part, settled offset."""
CHECKED = Struct("<IIq")
"""The part of an entry that its CRC covers."""
DECLARED = 0xFFFFFFFF
"""The part of an entry that declares a cursor: its offset is the length of the JSON that follows it."""

CursorKey = tuple[str, Partition]
"""Endpoint and partition."""


class JournaledCursor(NamedTuple):
    """A cursor as a segment lists it. ``base`` is what was committed for it when the segment began.

    ``is_new``: it began anew. What the journal has under its key until here does not count for it.
    """

    endpoint: str
    partition: Partition
    base: Committed | None
    is_new: bool = False

    @property
    def key(self) -> CursorKey:
        """Return the endpoint and the partition."""
        return self.endpoint, self.partition


class SegmentRow(NamedTuple):
    """A cursor of a segment, with what settled for it."""

    cursor: JournaledCursor
    spots: set[Spot]


def encode_head(segment: int) -> bytes:
    """Return the first line of a segment whose cursors are declared."""
    return b"%d\n" % segment


def salt_of(segment: int) -> int:
    """Return what the CRCs of a segment begin with; 0 for one that lists its cursors in the first line."""
    return crc32(encode_head(segment)) if segment else 0


def encode_declaration(number: int, cursor: JournaledCursor, salt: int) -> bytes:
    """Return the entry that adds a cursor to a segment, with the next ``number``."""
    row = orjson.dumps(_fields(cursor))
    check = crc32(row, crc32(CHECKED.pack(number, DECLARED, len(row)), salt))
    return ENTRY.pack(check, number, DECLARED, len(row)) + row


def _fields(cursor: JournaledCursor) -> tuple[object, ...]:
    return (cursor.endpoint, *cursor.partition, cursor.base and [*cursor.base], cursor.is_new)


def _to_cursor(fields: Sequence[Any]) -> JournaledCursor:
    endpoint, topic, number, base, *is_new = fields  # earlier builds wrote four of them
    return JournaledCursor(
        endpoint, Partition(topic, number), Committed(*base) if base else None, any(is_new)
    )


def encode_entries(number: int, spots: Iterable[Spot], salt: int) -> bytes:
    """Return the entries of what settled for the cursor with this number."""
    return b"".join([
        ENTRY.pack(crc32(CHECKED.pack(number, part, offset), salt), number, part, offset)
        for offset, part in spots
    ])  # fmt: skip


def encode_segment(rows: Iterable[SegmentRow]) -> bytes:
    """Return segment 0 as a whole."""
    rows = list(rows)
    entries = [encode_entries(number, sorted(row.spots), 0) for number, row in enumerate(rows)]
    return orjson.dumps([_fields(row.cursor) for row in rows]) + b"\n" + b"".join(entries)


def read_segment(path: Path) -> list[SegmentRow]:
    """Return the cursors of a segment and what settled for each; nothing if the file is no segment."""
    try:
        data = path.read_bytes()
        head, _, _ = data.partition(b"\n")
        first = orjson.loads(head)
        listed, salt = ([], salt_of(first)) if isinstance(first, int) else (first, 0)
        rows = [SegmentRow(_to_cursor(fields), set()) for fields in listed]
    except (OSError, ValueError, TypeError):
        return []
    at = len(head) + 1
    while at + ENTRY.size <= len(data):
        check, number, part, offset = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        declared = data[at : at + offset] if part == DECLARED else b""
        if not check or check != crc32(declared, crc32(CHECKED.pack(number, part, offset), salt)):
            break
        if part == DECLARED:
            rows.append(SegmentRow(_to_cursor(orjson.loads(declared)), set()))
            at += offset
        else:
            rows[number].spots.add((offset, part))
    return rows
