"""Avro schemas from a registry or a file, for values that do not contain a fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastavro import parse_schema

from bridge.formats.avro.decoder import Named, Plan
from bridge.formats.avro.definitions import DefinitionError, Scope
from bridge.formats.avro.schema_set import Schema
from bridge.formats.avro.single_object import read
from bridge.formats.schema_cache import DecodedValue, Frame

_WRAPPER = "hookferry.Value"
_MOST_PARTS = 16
"""Values per byte of a type's shortest encoding; nested records have 2 or 3."""
_CAP = 1 << 30
_WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class AvroSchema:
    """One writer's schema of any Avro type. Decimals are decoded exactly, whatever precision they declare."""

    def __init__(self, schema: Schema, *, wrapped: bool) -> None:
        """``wrapped``: the value is the field of an added record, because fastavro prepares only records."""
        self._schema = schema
        self._wrapped = wrapped

    @property
    def name(self) -> str:
        """The full name of a record, else the name of the type."""
        return self._schema.name

    @property
    def has_fractions(self) -> bool:
        """See ``KnownSchema``."""
        return self._schema.plan.has_fractions

    @property
    def layout(self) -> tuple[Any, Named]:
        """The type of the value as parsed by fastavro, and the named types that it uses."""
        parsed = self._schema.parsed
        return (parsed["fields"][0]["type"] if self._wrapped else parsed), self._schema.named

    def read(self, frame: Frame, place: str) -> DecodedValue:
        """Decode a value; every byte must belong to it. Raises ``DecodeError``."""
        return self.read_bytes(frame.payload, place)

    def read_bytes(self, data: bytes, place: str) -> DecodedValue:
        """Decode bytes that have no frame. Raises ``DecodeError``."""
        value = read(data, self._schema, place, start=0)
        return DecodedValue(self._schema.name, value["value"] if self._wrapped else value)


def avro_schema(definition: Any, references: Iterable[Any], origin: str) -> AvroSchema:
    """Compile a definition and the definitions it refers to, innermost first. Raises ``DefinitionError``."""
    scope = Scope(origin)
    named: Named = {}
    try:
        for number, reference in enumerate(references, 1):
            scope.add(reference, f"{origin}, reference {number}")
        whole = scope.complete(definition, origin)
        wrapped = not (isinstance(whole, dict) and whole.get("type") == "record")
        root = {"type": "record", "name": _WRAPPER, "fields": [{"name": "value", "type": whole}]}
        parsed: Any = parse_schema(root if wrapped else whole, named)
        if _expands(named):
            raise DefinitionError(origin, "a few bytes would decode into thousands of nested values")
        plan = Plan(parsed, named)
    except DefinitionError:
        raise
    except Exception as exc:  # fastavro's parser promises no type for what it refuses
        raise DefinitionError(origin, f"not an Avro schema: {type(exc).__name__}: {str(exc)[:300]}") from exc
    return AvroSchema(Schema(_name(whole), parsed, b"", named, plan), wrapped=wrapped)


def _name(whole: Any) -> str:
    if isinstance(whole, dict):
        return str(whole.get("name") or whole["type"])
    return whole if isinstance(whole, str) else "union"


def _expands(named: Named) -> bool:
    """Return True if a type decodes into far more values than it has bytes.

    A few nested types could otherwise require 2^30 records.
    """
    fewest, parts = _fewest_bytes(named), dict.fromkeys(named, 1)
    for _ in range(len(named) + 1):
        before = dict(parts)
        for name, definition in named.items():
            inner = sum(_parts(field["type"], parts) for field in definition.get("fields", ()))
            parts[name] = min(1 + inner, _CAP)
        if parts == before:
            break
    return any(parts[name] > _MOST_PARTS * max(1, fewest[name]) for name in named if fewest[name] < _CAP)


def _parts(schema: Any, parts: Mapping[str, int]) -> int:
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list):
        return 1
    return parts.get(schema["name"] if kind in ("record", "fixed", "enum") else kind, 1)


def _fewest_bytes(named: Named) -> dict[str, int]:
    """Return the fewest bytes each named type takes, by raising a lower bound until it no longer changes.

    A record that contains itself has no finite value and would grow without end. The number of rounds
    and the cap stop that.
    """
    fewest = dict.fromkeys(named, 0)
    for _ in range(len(named) + 1):
        before = dict(fewest)
        for name, definition in named.items():
            if definition["type"] == "record":
                total = sum(_least_bytes(field["type"], fewest) for field in definition["fields"])
                fewest[name] = min(total, _CAP)
            else:
                fewest[name] = int(definition["size"]) if definition["type"] == "fixed" else 1
        if fewest == before:
            break
    return fewest


def _least_bytes(schema: Any, fewest: Mapping[str, int]) -> int:
    """Return the fewest bytes a value takes."""
    if isinstance(schema, list):
        return 1
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("record", "fixed", "enum"):
        kind = schema["name"]
    return _WIDTHS[kind] if kind in _WIDTHS else fewest.get(kind, 1)
