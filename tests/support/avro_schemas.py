"""An Avro schema with a field of every type, and a value of it."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from bridge.formats.avro.definitions import Scope
from bridge.formats.avro.schema_set import Schema


def schema_of(*types: Any, name: str = "X") -> Schema:
    """Return a record schema with fields ``f0``, ``f1`` … of these types."""
    scope = Scope("test")
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(types)]
    scope.add({"type": "record", "name": name, "fields": fields}, "test.avsc")
    return next(schema for schema in scope.schemas() if schema.name == name)


EVERYTHING = schema_of(
    "null",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "bytes",
    "string",
    "bigdecimal",
    ["null", "string", "long"],
    {"type": "array", "items": ["null", "X"]},
    {"type": "map", "values": "bytes"},
    {"type": "enum", "name": "E", "symbols": ["A", "B"]},
    {"type": "fixed", "name": "F", "size": 3},
)


def everything(depth: int = 1) -> dict[str, Any]:
    """Return a value of ``EVERYTHING``."""
    return {
        "f0": None,
        "f1": True,
        "f2": -5,
        "f3": 2**62,
        "f4": 1.5,
        "f5": -2.5,
        "f6": b"\0\1",
        "f7": "né",
        "f8": Decimal("7.5"),
        "f9": "x",
        "f10": [None, everything(depth - 1)] if depth else [],
        "f11": {"k": b"v"},
        "f12": "B",
        "f13": b"abc",
    }


def encoded() -> bytes:
    """Return ``everything()`` as Avro."""
    stream = BytesIO()
    schemaless_writer(stream, EVERYTHING.parsed, everything())
    return stream.getvalue()
