"""Avro values without a header of their own: the schema comes from a registry or from a file.

Below the registry formats and ``plain_avro`` in step 2. Takes parsed definitions, gives an ``AvroSchema``.
Rule floor, pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastavro import parse_schema

from bridge.decode import careful
from bridge.decode.definitions import DECIMAL_DIGITS, DefinitionError, Scope
from bridge.decode.known_schemas import Frame, Reading
from bridge.decode.schema_set import Schema
from bridge.decode.single_object import read

_WRAPPER = "hookferry.Value"


class AvroSchema:
    """One writer's schema of any Avro type. Decimals come out exact, whatever precision they declare."""

    def __init__(self, schema: Schema, *, wrapped: bool) -> None:
        """``wrapped``: the value is the field of a record of ours, as fastavro prepares records alone."""
        self._schema = schema
        self._wrapped = wrapped

    @property
    def name(self) -> str:
        """The full name of a record, else the type's."""
        return self._schema.name

    def read(self, frame: Frame, place: str) -> Reading:
        """Decode a value; every byte must belong to it. Raises ``DecodeError``."""
        return self.read_bytes(frame.payload, place)

    def read_bytes(self, data: bytes, place: str) -> Reading:
        """The same for bytes that have no frame."""
        value = read(data, self._schema, place, start=0)
        return Reading(self._schema.name, value["value"] if self._wrapped else value)


def avro_schema(definition: Any, references: Iterable[Any], origin: str) -> AvroSchema:
    """Make a schema of a definition and those it refers to, innermost first.

    Raises ``DefinitionError``.
    """
    scope = Scope(origin)
    named: careful.Named = {}
    try:
        for number, reference in enumerate(references, 1):
            scope.add(reference, f"{origin}, reference {number}")
        whole = scope.complete(definition, origin)
        wrapped = not (isinstance(whole, dict) and whole.get("type") == "record")
        root = {"type": "record", "name": _WRAPPER, "fields": [{"name": "value", "type": whole}]}
        parsed: Any = parse_schema(root if wrapped else whole, named)
        for one in named.values():
            if (
                one.get("logicalType") == "decimal"
            ):  # fastavro allows no more digits than ever fit, one too few
                one["precision"] = DECIMAL_DIGITS
        if careful.expands(named):
            raise DefinitionError(origin, "a few bytes of a value would become thousands of parts")
        safe = careful.safe_bytes(parsed, named)
    except DefinitionError:
        raise
    except Exception as exc:  # fastavro's parser promises no type for what it refuses
        raise DefinitionError(origin, f"not an Avro schema: {type(exc).__name__}: {str(exc)[:300]}") from exc
    return AvroSchema(Schema(_name(whole), parsed, b"", named, safe), wrapped=wrapped)


def _name(whole: Any) -> str:
    if isinstance(whole, dict):
        return str(whole.get("name") or whole["type"])
    return whole if isinstance(whole, str) else "union"
