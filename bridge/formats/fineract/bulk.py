"""Read the items of Fineract's bulk events: several events of one aggregate, in order, in one record.

The payloads of the items stay undecoded. The code is hand-written, like the envelope's. Both layouts of
``BulkMessagePayloadV1`` (the item's id was an int until January 2025) have the same encoding, so no
schema file is needed to split a record.
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.formats.avro.bounds import MalformedBytes, read_length, read_long
from bridge.formats.avro.single_object import HEADER_BYTES

BULK = "org.apache.fineract.avro.BulkMessagePayloadV1"
BULK_HEADERS = (bytes.fromhex("c301c4defed1e3cc0ac9"), bytes.fromhex("c3017687991b5b8764f2"))
MAX_ITEMS = 10_000
"""Each item becomes an event of about 1 kB; Fineract writes a few hundred at most."""


class Item(NamedTuple):
    """``org.apache.fineract.avro.BulkMessageItemV1``, in wire order; ids count from 1."""

    id: int
    type: str
    category: str
    dataschema: str
    data: bytes


def read_items(data: bytes) -> list[Item]:
    """Read the items that follow one of ``BULK_HEADERS``, to the last byte. Raises ``MalformedBytes``."""
    items = list[Item]()
    at = HEADER_BYTES
    while True:
        count, at = read_long(data, at)
        if count == 0:
            break
        if count < 0:  # a negative count is followed by the block's size in bytes
            count = -count
            _, at = read_long(data, at)
        if count > min(MAX_ITEMS - len(items), len(data) - at):
            raise MalformedBytes(f"{len(items) + count} items in {len(data)} bytes; the limit is {MAX_ITEMS}")
        for _ in range(count):
            item, at = _read_item(data, at)
            items.append(item)
    if at != len(data):
        raise MalformedBytes(f"{len(data) - at} bytes are left over after the items")
    return items


def _read_item(data: bytes, at: int) -> tuple[Item, int]:
    number, at = read_long(data, at)
    parts: list[bytes] = []
    for _ in range(4):
        length, at = read_length(data, at)
        parts.append(data[at : at + length])
        at += length
    try:
        type_, category, dataschema = map(bytes.decode, parts[:3])
    except UnicodeDecodeError as exc:
        raise MalformedBytes(f"a text is not UTF-8 ({exc.reason})") from exc
    return Item(number, type_, category, dataschema, parts[3]), at
