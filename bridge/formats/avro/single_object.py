"""Decode Avro single-object encoding: ``C3 01``, a fingerprint of 8 bytes, the value, nothing after it.

Source: Avro 1.11, "Single-object encoding".
"""

from __future__ import annotations

from typing import Any

from bridge.errors import DecodeError
from bridge.formats import CHECK_PRODUCER
from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.avro.schema_set import Schema, SchemaSet

MARKER = b"\xc3\x01"
HEADER_BYTES = 10


def writer_schema(data: bytes, schemas: SchemaSet, place: str, dataschema: str, source: str) -> Schema:
    """Return the schema the bytes were written with, strictly by fingerprint. Raises ``DecodeError``."""
    if len(data) < HEADER_BYTES or data[:2] != MARKER:
        raise DecodeError(
            place, f"{dataschema}: there is no Avro single-object header (c301 and 8 bytes)", CHECK_PRODUCER
        )
    schema = schemas.find(data[2:HEADER_BYTES])
    if schema is None:
        raise DecodeError(
            place,
            f"no schema with fingerprint {data[2:HEADER_BYTES].hex()} is known for {dataschema}",
            "import it from the jar of the server that wrote this (`hookferry schemas import JAR --into "
            f"{schemas.folder}`, the folder of sources.{source}.schemas), then `hookferry parked redrive "
            f"--reason {data[2:HEADER_BYTES].hex()}`; no restart is needed",
        )
    return schema


def read(data: bytes, schema: Schema, place: str, *, start: int = HEADER_BYTES) -> Any:
    """Decode the value from ``start`` on; every byte must belong to it. Raises ``DecodeError``.

    With a wrong layout Avro often decodes *something*; only left-over bytes show the mistake.
    """
    try:
        return schema.plan.read(data, start)
    except MalformedBytes as exc:
        raise DecodeError(place, f"{schema.name}: {exc}", CHECK_PRODUCER) from exc
