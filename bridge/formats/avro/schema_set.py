"""Writers' schemas, by the fingerprint that precedes the bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

from bridge.formats.avro.decoder import Named, Plan


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One layout of one record type, compiled. ``fingerprint`` is the CRC-64-AVRO in wire order."""

    name: str
    parsed: dict[str, Any]
    fingerprint: bytes
    named: Named
    plan: Plan


@dataclass
class SchemaSet:
    """The schemas of one source. Never looked up by name: one name has had 49 layouts in Fineract."""

    by_fingerprint: dict[bytes, Schema] = field(default_factory=dict)
    folder: str = "FOLDER"
    """The folder of the schema files, for the remedy when a schema is missing."""

    def find(self, fingerprint: bytes) -> Schema | None:
        """Return the schema with this fingerprint (in wire order), or None."""
        return self.by_fingerprint.get(fingerprint)

    def add(self, schema: Schema) -> None:
        """Add a schema. Adding the same layout again has no effect."""
        self.by_fingerprint.setdefault(schema.fingerprint, schema)

    def named(self, name: str) -> tuple[Schema, ...]:
        """Return all layouts of a full name, for listings and demos; not for decoding."""
        return tuple(schema for schema in self.by_fingerprint.values() if schema.name == name)


def compile_schema(definition: dict[str, Any]) -> Schema:
    """Compile a self-contained record definition.

    Raises what fastavro raises for an invalid definition (``SchemaParseException``, ``ValueError`` …).
    """
    named: Named = {}
    parsed = parse_schema(definition, named)
    assert isinstance(parsed, dict)
    wire = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
    return Schema(parsed["name"], parsed, wire, named, Plan(parsed, named))
