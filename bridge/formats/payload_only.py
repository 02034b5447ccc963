"""Decode formats whose value is only the payload: ``confluent``, ``apicurio``, ``avro`` and ``modulith``.

A value reader decodes the value; configured field paths locate the parts of the event.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from bridge.formats import require_value
from bridge.formats.avro.schema import AvroSchema
from bridge.formats.event_reader import EventReader
from bridge.formats.non_finite import Mode, replace_non_finite
from bridge.formats.plain_json import parse_json
from bridge.formats.schema_cache import DecodedValue, Frame, KnownSchema, SchemaCache
from bridge.model import Event, Record


class ValueReader(Protocol):
    """Decodes the bytes of a value."""

    def read(self, record: Record, value: bytes) -> DecodedValue:
        """Return the value as plain objects. Raises ``DecodeError``, ``SchemaNeeded``."""
        ...


class JsonValueReader:
    """Reads values in JSON."""

    def __init__(self, source: str) -> None:
        self._source = source

    def read(self, record: Record, value: bytes) -> DecodedValue:
        """Parse the value. Raises ``DecodeError``."""
        again = partial(parse_json, record, value, self._source)
        return DecodedValue(None, again(), again)


class RegistryValueReader:
    """Reads values that name a schema in a registry."""

    def __init__(
        self, schemas: SchemaCache, frame: Callable[[Record, bytes], Frame], non_finite: Mode = "park"
    ) -> None:
        self.schemas = schemas
        self._frame = frame
        self._non_finite: Mode = non_finite

    def read(self, record: Record, value: bytes) -> DecodedValue:
        """Decode with the named schema. Raises ``DecodeError``, ``SchemaNeeded``."""
        frame = self._frame(record, value)
        schema = self.schemas.get(frame.key, record.place)
        name, document, _ = self._read_with(schema, frame, record)
        return DecodedValue(name, document, partial(self._document_again, schema, record, value))

    def _read_with(self, schema: KnownSchema, frame: Frame, record: Record) -> DecodedValue:
        decoded = schema.read(frame, record.place)
        if not schema.has_fractions:
            return decoded
        document = replace_non_finite(decoded.document, self._non_finite, record.place)
        return DecodedValue(decoded.name, document)

    def _document_again(self, schema: KnownSchema, record: Record, value: bytes) -> Any:
        """Decode without the cache, which may have evicted the schema meanwhile."""
        return self._read_with(schema, self._frame(record, value), record).document


class AvroValueReader:
    """Reads bare Avro, all of one schema. The bytes do not name it, so only a wrong length is detected."""

    def __init__(self, schema: AvroSchema, non_finite: Mode = "park") -> None:
        self._schema = schema
        self._non_finite: Mode = non_finite

    def read(self, record: Record, value: bytes) -> DecodedValue:
        """Decode the value. Raises ``DecodeError``."""
        name, document = self._read(record, value)
        return DecodedValue(name, document, lambda: self._read(record, value)[1])

    def _read(self, record: Record, value: bytes) -> tuple[str | None, Any]:
        name, document, _ = self._schema.read_bytes(value, record.place)
        if self._schema.has_fractions:
            document = replace_non_finite(document, self._non_finite, record.place)
        return name, document


class PayloadDecoder:
    """Reads the value, then finds the event's parts. Without a path for the type, it is the schema's name."""

    def __init__(
        self, source: str, values: ValueReader, reader: EventReader, *, max_value_bytes: int
    ) -> None:
        self._source = source
        self.values = values
        self._reader = reader
        self._max_value_bytes = max_value_bytes

    def with_values(self, values: ValueReader) -> PayloadDecoder:
        """Return the same decoder over another value reader, for example one that has its schemas already."""
        return PayloadDecoder(self._source, values, self._reader, max_value_bytes=self._max_value_bytes)

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return one event. Raises ``DecodeError``, ``SchemaNeeded``."""
        value = require_value(record, self._source, self._max_value_bytes)
        name, document, again = self.values.read(record, value)
        return (self._reader.event(record, document, again, type_name=name),)
