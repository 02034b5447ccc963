"""Schemas that a registry gave, by the key that stands in front of a value or in a header.

Below the registry formats in step 2. Rule floor, pure: a key that is not known is an exception, and whoever
reads has it learnt (``bridge/schemas/registry``) and decodes again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from bridge.errors import DecodeError, SchemaNeeded

LIMIT = 1000  # more than a batch of records can name, so that learning one never forgets its neighbour


class SchemaKey(NamedTuple):
    """What a record names its schema by: ``id``, ``guid`` (Confluent), ``content``, ``global`` (Apicurio)."""

    kind: str
    value: str

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{self.kind} {self.value}" if self.kind in ("id", "guid") else f"{self.kind} id {self.value}"


class Frame(NamedTuple):
    """A value taken apart: its schema's key, the bytes behind, and how those choose a Protobuf message.

    ``choose`` gives the message (indexes into the file, or a name) and the bytes of the message alone.
    """

    key: SchemaKey
    payload: bytes
    choose: Callable[[bytes], tuple[tuple[int, ...] | str, bytes]]


class Reading(NamedTuple):
    """A decoded value, and the full name of its schema where it has one."""

    name: str | None
    document: Any


class KnownSchema(Protocol):
    """A schema ready to decode with: Avro, JSON Schema or Protobuf."""

    def read(self, frame: Frame, place: str) -> Reading:
        """Decode a value. Raises ``DecodeError``."""
        ...


class Refusal(NamedTuple):
    """Why a key has no schema to decode with, and what a person does about it."""

    cause: str
    remedy: str


class SchemaStore:
    """The schemas of one source's registry, bounded; the oldest is forgotten first and learnt again."""

    def __init__(self, source: str, limit: int = LIMIT) -> None:
        self._source = source
        self._limit = limit
        self._known: dict[SchemaKey, KnownSchema | Refusal] = {}

    def get(self, key: SchemaKey, place: str) -> KnownSchema:
        """The schema. Raises ``SchemaNeeded``, and ``DecodeError`` where the registry has none."""
        found = self._known.get(key)
        if found is None:
            raise SchemaNeeded(self._source, key)
        if isinstance(found, Refusal):
            raise DecodeError(place, found.cause, found.remedy)
        return found

    def put(self, key: SchemaKey, schema: KnownSchema | Refusal) -> None:
        """Keep what was learnt."""
        self._known.pop(key, None)
        if len(self._known) >= self._limit:
            del self._known[next(iter(self._known))]
        self._known[key] = schema

    def forget(self, key: SchemaKey) -> None:
        """Have the key asked for again, when a record next names it."""
        self._known.pop(key, None)
