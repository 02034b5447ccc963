"""Generates a payload from an Avro schema. Pure.

Every field is present and none is null, so that a template with a misspelled name fails. Values are
plausible for the field's name; realistic values replace them where there are some.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bridge.formats.avro.schema_set import Schema

_DEEPEST = 8
_AMOUNT = Decimal("1250.50000000")
_NUMBERS = {"int": 3, "long": 1001, "float": 1.5, "double": 1.5}


def generate(schema: Schema, known: Mapping[str, Any]) -> Any:
    """Return a payload of this schema, with the values of ``known`` where it has some."""
    return _overlay(_value(schema.parsed, schema, "", 0), known)


def _value(kind: Any, schema: Schema, name: str, depth: int) -> Any:  # noqa: PLR0911 - one per kind of type
    if isinstance(kind, list):
        members = [member for member in kind if member != "null"]
        return _value(members[0], schema, name, depth) if members else None
    if isinstance(kind, dict):
        if kind.get("logicalType") == "decimal":
            return _AMOUNT
        return _complex(kind, schema, name, depth)
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    if kind == "string":
        return _text(name)
    if kind == "boolean":
        return True
    if kind == "bytes":
        return b"sample"
    if kind == "null" or depth > _DEEPEST:
        return None
    return _complex(schema.named[kind], schema, name, depth) if kind in schema.named else None


def _complex(kind: dict[str, Any], schema: Schema, name: str, depth: int) -> Any:
    what = kind["type"]
    if what == "record":
        return {
            field["name"]: _value(field["type"], schema, field["name"], depth + 1) for field in kind["fields"]
        }
    if what == "array":
        return [] if depth >= _DEEPEST else [_value(kind["items"], schema, name, depth + 1)]
    if what == "map":
        return {"sample": _value(kind["values"], schema, name, depth + 1)}
    if what == "enum":
        return kind["symbols"][0]
    return b"\0" * kind["size"] if what == "fixed" else _value(what, schema, name, depth)


def _text(name: str) -> str:
    lowered = name.lower()
    if "date" in lowered:
        return "2026-06-29"
    if lowered.endswith("accountno"):
        return "000001001"
    if "currency" in lowered or lowered == "code":
        return "KES"
    return f"sample {name}" if name else "sample"


def _overlay(generated: Any, known: Any) -> Any:
    if isinstance(generated, dict) and isinstance(known, Mapping):
        return {
            name: _overlay(value, known[name]) if known.get(name) else value
            for name, value in generated.items()
        }
    return known
