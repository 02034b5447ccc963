"""Valid values with the framing of schema registries: Avro, Protobuf, JSON Schema and a GUID."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

from fastavro import schemaless_writer

from tests.support.sample_records import AVRO, UUID

TREE = {"type": "record", "name": "Tree", "fields": [
    {"name": "id", "type": "string"}, {"name": "kids", "type": {"type": "array", "items": "Tree"}},
    {"name": "props", "type": {"type": "map", "values": ["null", "Tree"]}}]}  # fmt: skip

NOTHING = {"type": "record", "name": "Nothing", "fields": [
    {"name": "n", "type": {"type": "array", "items": "null"}}]}  # fmt: skip


def avro(schema: Any, value: Any) -> bytes:
    """Encode a value without framing."""
    stream = io.BytesIO()
    schemaless_writer(stream, schema, value)
    return stream.getvalue()


LEAF = {"id": "l", "kids": [], "props": {}}

NODE = b"\x0a\x01a\x12\x05\x0a\x03abc\x2a\x02\x08\x05\xa2\x01\x08" + bytes(8) + b"\xa8\x01\x07"

FRAMED = [
    b"\0\0\0\0\1" + avro(AVRO, {"id": UUID, "total": Decimal(1), "fee": Decimal(2), "kind": None}),
    b"\0\0\0\0\2" + avro(TREE, {"id": "r", "kids": [LEAF], "props": {"a": LEAF, "b": None}}),
    b"\0\0\0\0\3" + avro(NOTHING, {"n": [None]}),
    b"\0\0\0\0\4\0" + NODE,
    b"\0\0\0\0\4\x06\x0a\x04Node" + NODE,
    b'\0\0\0\0\5{"id":"1","a":[1.10000000000000000001]}',
    b"\0\0\0\0\6",
    b"\1" + bytes(16),
]
