"""Writers' schemas, found by the fingerprint that stands in front of the bytes.

Below ``single_object`` in step 2. Rule floor, pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

from bridge.formats.avro.decoder import Named, Plan


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One layout of one record type, ready to decode with.

    ``fingerprint`` is the CRC-64-AVRO in the order of the wire.
    """

    name: str
    parsed: dict[str, Any]
    fingerprint: bytes
    named: Named
    plan: Plan


@dataclass
class SchemaSet:
    """The schemas of one source. Never asked by name: one name has had 49 layouts in Fineract."""

    by_fingerprint: dict[bytes, Schema] = field(default_factory=dict)
    folder: str = "FOLDER"
    """Where its files lie, for the message that says what to do when one is missing."""

    def find(self, fingerprint: bytes) -> Schema | None:
        """The schema with a fingerprint, in the order of the wire."""
        return self.by_fingerprint.get(fingerprint)

    def add(self, schema: Schema) -> None:
        """Keep a schema; the same layout a second time changes nothing."""
        self.by_fingerprint.setdefault(schema.fingerprint, schema)

    def named(self, name: str) -> tuple[Schema, ...]:
        """All layouts of a full name, for listings and demos; not for decoding."""
        return tuple(schema for schema in self.by_fingerprint.values() if schema.name == name)


def compiled(definition: dict[str, Any]) -> Schema:
    """Make a ``Schema`` of a self-contained record definition.

    Raises what fastavro raises on a definition that is not Avro (``SchemaParseException``, ``ValueError`` …).
    """
    named: Named = {}
    parsed = parse_schema(definition, named)
    assert isinstance(parsed, dict)
    wire = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
    return Schema(parsed["name"], parsed, wire, named, Plan(parsed, named))
