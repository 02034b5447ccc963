"""Encode the payload of Fineract's bulk events, which only tests need."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.demo.fineract_wire import encode_long
from bridge.formats.fineract.bulk import BULK_HEADERS, Item


def encode_bulk(items: Iterable[Item], *, long_id: bool = True) -> bytes:
    """Encode ``BulkMessagePayloadV1``; ``long_id`` selects the header of Fineract since January 2025."""
    blocks = list(items)
    parts = [BULK_HEADERS[long_id], *([encode_long(len(blocks))] if blocks else [])]
    for item in blocks:
        parts.append(encode_long(item.id))
        for raw in (*(text.encode() for text in item[1:4]), item.data):
            parts += (encode_long(len(raw)), raw)
    return b"".join((*parts, encode_long(0)))
