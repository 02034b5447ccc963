"""Cache of registry schemas, by the key that a record contains in a prefix of its value or in a header.

Pure: a key that is not cached raises ``SchemaNeeded``. The pipeline then fetches the schema
(``bridge/schemas/registry``) and decodes the record again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from bridge.errors import DecodeError, SchemaNeeded

LIMIT = 1000  # more than one batch of records can name, so that one fetch never evicts another of its batch


class SchemaKey(NamedTuple):
    """A schema's key in a record: ``id`` or ``guid`` (Confluent), ``content`` or ``global`` (Apicurio)."""

    kind: str
    value: str

    def __str__(self) -> str:
        """Return the key for messages, such as ``content id 17``."""
        return f"{self.kind} {self.value}" if self.kind in ("id", "guid") else f"{self.kind} id {self.value}"


class Frame(NamedTuple):
    """A value split into its schema's key and the bytes after it.

    ``choose`` reads from these bytes which Protobuf message they are. It returns the message (indexes
    into the file, or a name) and the bytes of the message alone.
    """

    key: SchemaKey
    payload: bytes
    choose: Callable[[bytes], tuple[tuple[int, ...] | str, bytes]]


class DecodedValue(NamedTuple):
    """A decoded value, and the full name of its schema if it has one.

    ``again`` decodes the same value once more, with the same schema; value readers set it.
    """

    name: str | None
    document: Any
    again: Callable[[], Any] | None = None


class KnownSchema(Protocol):
    """A schema ready to decode with: Avro, JSON Schema or Protobuf."""

    @property
    def has_fractions(self) -> bool:
        """Return True if a decoded value may contain a float that is not finite."""
        ...

    def read(self, frame: Frame, place: str) -> DecodedValue:
        """Decode a value. Raises ``DecodeError``."""
        ...


class Refusal(NamedTuple):
    """Why a key has no usable schema, and the remedy."""

    cause: str
    remedy: str


class SchemaCache:
    """The schemas of one source's registry, bounded; the oldest is evicted first and fetched again."""

    def __init__(self, source: str, limit: int = LIMIT) -> None:
        self._source = source
        self._limit = limit
        self._schemas: dict[SchemaKey, KnownSchema | Refusal] = {}

    def get(self, key: SchemaKey, place: str) -> KnownSchema:
        """Return the schema. Raises ``SchemaNeeded``, or ``DecodeError`` if the registry has none to use."""
        schema = self._schemas.get(key)
        if schema is None:
            raise SchemaNeeded(self._source, key)
        if isinstance(schema, Refusal):
            raise DecodeError(place, schema.cause, schema.remedy)
        return schema

    def put(self, key: SchemaKey, schema: KnownSchema | Refusal) -> None:
        """Store the registry's result for a key."""
        self._schemas.pop(key, None)
        if len(self._schemas) >= self._limit:
            del self._schemas[next(iter(self._schemas))]
        self._schemas[key] = schema

    def forget(self, key: SchemaKey) -> None:
        """Remove a key, so that it is fetched again when a record next names it."""
        self._schemas.pop(key, None)
