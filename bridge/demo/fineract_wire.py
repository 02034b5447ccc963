"""Writes what Fineract writes: a payload and its envelope, each in Avro single-object encoding.

For the demo, the benchmarks and the tests; the counterpart of ``bridge.formats.fineract``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import schemaless_writer

from bridge.formats.avro.single_object import MARKER
from bridge.formats.fineract import ENVELOPE_HEADERS, Envelope
from bridge.formats.fineract.bulk import BULK_HEADERS, Item

SCHEMAS = Path(__file__).parent / "schemas"
"""The demo's own schema files, small ones of the shapes that Fineract uses."""


def encode_single_object(schema_parsed: dict[str, Any], fingerprint: bytes, obj: dict[str, Any]) -> bytes:
    """Frame one value; ``fingerprint`` is in the order of the wire (``Schema.fingerprint``)."""
    stream = BytesIO()
    stream.write(MARKER + fingerprint)
    schemaless_writer(stream, schema_parsed, obj)
    return stream.getvalue()


def encode_envelope(envelope: Envelope, *, long_id: bool = True) -> bytes:
    """Write ``MessageV1``; ``long_id`` chooses the header of Fineract since January 2025."""
    parts = [ENVELOPE_HEADERS[long_id], _long(envelope.id)]
    for text in envelope[1:9]:
        raw = str(text).encode()
        parts += (_long(len(raw)), raw)
    parts += (_long(len(envelope.data)), envelope.data)
    return b"".join(parts)


def encode_bulk(items: Iterable[Item], *, long_id: bool = True) -> bytes:
    """Write ``BulkMessagePayloadV1``, the payload of a bulk event."""
    blocks = list(items)
    parts = [BULK_HEADERS[long_id], *([_long(len(blocks))] if blocks else [])]
    for item in blocks:
        parts.append(_long(item.id))
        for raw in (*(text.encode() for text in item[1:4]), item.data):
            parts += (_long(len(raw)), raw)
    return b"".join((*parts, _long(0)))


def encode_key(aggregate_id: int) -> bytes:
    """Write the record key: a big-endian long, -1 for an event without an aggregate."""
    return aggregate_id.to_bytes(8, "big", signed=True)


def _long(number: int) -> bytes:
    """Write a zig-zag varint (Avro 1.11, "Binary Encoding")."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)
