"""Encode records as Fineract does: a payload and its envelope, each in Avro single-object encoding. Pure.

The counterpart of ``bridge.formats.fineract``, for the demo, the benchmarks and the tests.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import schemaless_writer

from bridge.formats.avro.single_object import MARKER
from bridge.formats.fineract import ENVELOPE_HEADERS, Envelope

SCHEMAS = Path(__file__).parent / "schemas"
"""The schema files of the demo: small, in the style of Fineract's."""


def encode_single_object(schema_parsed: dict[str, Any], fingerprint: bytes, obj: dict[str, Any]) -> bytes:
    """Encode one value; ``fingerprint`` has the byte order of the records (``Schema.fingerprint``)."""
    stream = BytesIO()
    stream.write(MARKER + fingerprint)
    schemaless_writer(stream, schema_parsed, obj)
    return stream.getvalue()


def encode_envelope(envelope: Envelope, *, long_id: bool = True) -> bytes:
    """Encode ``MessageV1``; ``long_id`` selects the header of Fineract since January 2025."""
    parts = [ENVELOPE_HEADERS[long_id], encode_long(envelope.id)]
    for text in envelope[1:9]:
        raw = str(text).encode()
        parts += (encode_long(len(raw)), raw)
    parts += (encode_long(len(envelope.data)), envelope.data)
    return b"".join(parts)


def encode_key(aggregate_id: int) -> bytes:
    """Encode the record key: a big-endian long, -1 for an event without an aggregate."""
    return aggregate_id.to_bytes(8, "big", signed=True)


def encode_long(number: int) -> bytes:
    """Encode a zig-zag varint (Avro 1.11, "Binary Encoding")."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)
