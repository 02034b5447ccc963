"""Decode events of Debezium's outbox event router.

The router writes the aggregate's id into the key and the event's id into the header ``id``. The user
configures where it writes the type. The value contains only the payload, in the format of the configured
converter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import require_value
from bridge.formats.event_reader import EventReader
from bridge.formats.exact_json import loads_text
from bridge.formats.payload_only import ValueReader
from bridge.model import Event, Record

HINTS = {
    "type": "have Debezium send it: transforms.outbox.table.fields.additional.placement=type:header:eventType"
    " or set sources.<name>.type to the field or header that contains it",
    "id": "check that the outbox event router writes this topic and that the header id is kept on the way",
}


class DebeziumDecoder:
    """Undoes what the converters add: a schema wrapper, JSON inside a string, and the envelope.

    With ``envelope`` the value has a field ``payload`` next to additional fields. It is configured and
    not guessed, because a payload may itself have a field of that name.
    """

    def __init__(
        self, source: str, values: ValueReader, reader: EventReader, *, envelope: bool, max_value_bytes: int
    ) -> None:
        self._source = source
        self.values = values
        self._reader = reader
        self._envelope = envelope
        self._max_value_bytes = max_value_bytes

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return one event. Raises ``DecodeError``, ``SchemaNeeded``."""
        if record.value is None:
            return (self._reader.event_without_value(record),)
        value = require_value(record, self._source, self._max_value_bytes)
        _, document, decode_again = self.values.read(record, value)
        document = self._unwrap(record, document)
        again = None if decode_again is None else partial(self._unwrap_again, record, decode_again)
        return (self._reader.event(record, document, again),)

    def _unwrap_again(self, record: Record, decode_again: Callable[[], Any]) -> Any:
        return self._unwrap(record, decode_again())

    def _unwrap(self, record: Record, document: Any) -> Any:
        document = expand_json(strip_schema_wrapper(document))
        if not self._envelope:
            return document
        if not isinstance(document, dict) or "payload" not in document:
            raise DecodeError(
                record.place,
                "the value has no field payload, so it is not an envelope",
                f"set sources.{self._source}.envelope to false if Debezium writes no additional fields",
            )
        return {**document, "payload": expand_json(document["payload"])}


def strip_schema_wrapper(document: Any) -> Any:
    """Return the payload of JsonConverter's ``{"schema": …, "payload": …}``; anything else unchanged."""
    if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
        schema = document["schema"]
        if schema is None or (isinstance(schema, dict) and "type" in schema):
            return document["payload"]
    return document


def expand_json(document: Any) -> Any:
    """Decode an object or a list that was encoded twice; leave any other text unchanged."""
    if isinstance(document, str) and document.lstrip()[:1] in ("{", "["):
        try:
            return loads_text(document)
        except orjson.JSONDecodeError:
            return document
    return document
