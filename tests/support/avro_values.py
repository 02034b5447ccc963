"""Generate values of a schema: with every field set, or with every nullable field null."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_LEAVES = {
    "null": None, "string": "2026-06-29", "int": 7, "long": 42, "boolean": True, "bytes": b"\0\1",
    "double": 1.5, "float": 1.5,
}  # fmt: skip


def filled(schema: Any, named: dict[str, Any], full: bool, depth: int = 0) -> Any:
    """Return a value of a parsed schema. Recursive types and lists end at a depth."""
    if isinstance(schema, list):
        if "null" in schema and (not full or depth > 4):
            return None
        return filled(next(one for one in schema if one != "null"), named, full, depth)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return {one["name"]: filled(one["type"], named, full, depth + 1) for one in schema["fields"]}
    if kind == "array":
        return [filled(schema["items"], named, full, depth + 1)] if full and depth < 3 else []
    if kind == "map":
        return {"a": filled(schema["values"], named, full, depth + 1)} if full else {}
    if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
        return Decimal("-1234.56000001")
    return _LEAVES[kind] if kind in _LEAVES else filled(named[kind], named, full, depth + 1)
