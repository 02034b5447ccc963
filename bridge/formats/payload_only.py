"""Formats whose value is only the payload: something reads the value, configured places say the rest.

``confluent``, ``apicurio``, ``avro`` and ``modulith`` of step 2. Takes a record, gives one event. Rule floor,
pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bridge.formats import checked_value
from bridge.formats.avro.schema import AvroSchema
from bridge.formats.field_paths import EventReader
from bridge.formats.plain_json import parse_json
from bridge.formats.schema_cache import Frame, Reading, SchemaStore
from bridge.model import Event, Record


class Values(Protocol):
    """How the bytes of a value are read."""

    def read(self, record: Record, value: bytes) -> Reading:
        """The value as plain objects. Raises ``DecodeError``, ``SchemaNeeded``."""
        ...


class JsonValues:
    """Values in JSON."""

    def __init__(self, source: str) -> None:
        self._source = source

    def read(self, record: Record, value: bytes) -> Reading:
        """Parse. Raises ``DecodeError``."""
        return Reading(None, parse_json(record, value, self._source))


class RegistryValues:
    """Values that name a schema in a registry."""

    def __init__(self, schemas: SchemaStore, frame: Callable[[Record, bytes], Frame]) -> None:
        self.schemas = schemas
        self._frame = frame

    def read(self, record: Record, value: bytes) -> Reading:
        """Decode with the schema that is named. Raises ``DecodeError``, ``SchemaNeeded``."""
        frame = self._frame(record, value)
        return self.schemas.get(frame.key, record.place).read(frame, record.place)


class AvroValues:
    """Values in bare Avro, all by one schema. Nothing in them tells it, so only the length can disagree."""

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema

    def read(self, record: Record, value: bytes) -> Reading:
        """Decode. Raises ``DecodeError``."""
        return self._schema.read_bytes(value, record.place)


class PlacedDecoder:
    """Reads the value, then finds the event's parts; the type is the schema's name where no place says it."""

    def __init__(self, source: str, values: Values, reader: EventReader, *, max_value_bytes: int) -> None:
        self._source = source
        self.values = values
        self._reader = reader
        self._max_value_bytes = max_value_bytes

    def decode(self, record: Record) -> tuple[Event, ...]:
        """One event. Raises ``DecodeError``, ``SchemaNeeded``."""
        value = checked_value(record, self._source, self._max_value_bytes)
        name, document = self.values.read(record, value)
        return (self._reader.event(record, document, type_name=name),)
