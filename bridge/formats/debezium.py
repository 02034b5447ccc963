"""Events of Debezium's outbox event router.

A format of step 2. Takes a record, gives one event. Rule floor, pure. The router puts the aggregate's id into
the key and the event's id into the header ``id``; where the type goes is its user's choice, and the value is
the payload alone, in the clothes of whatever converter is configured.
"""

from __future__ import annotations

from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import checked_value
from bridge.formats.exact_json import loads
from bridge.formats.field_paths import EventReader
from bridge.formats.payload_only import Values
from bridge.model import Event, Record

HINTS = {
    "type": "have Debezium send it: transforms.outbox.table.fields.additional.placement=type:header:eventType"
    " or point sources.<name>.type at where it is",
    "id": "this is not from the outbox event router, or its header was dropped on the way",
}


class DebeziumDecoder:
    """Undoes the converters: a wrapper with a schema, a string that holds JSON, and the envelope.

    ``envelope`` says that additional fields stand beside the payload; it is configured and not guessed,
    because a payload may itself have a field of that name.
    """

    def __init__(
        self, source: str, values: Values, reader: EventReader, *, envelope: bool, max_value_bytes: int
    ) -> None:
        self._source = source
        self.values = values
        self._reader = reader
        self._envelope = envelope
        self._max_value_bytes = max_value_bytes

    def decode(self, record: Record) -> tuple[Event, ...]:
        """One event. Raises ``DecodeError``, ``SchemaNeeded``."""
        value = checked_value(record, self._source, self._max_value_bytes)
        document = without_schema(self.values.read(record, value).document)
        if not self._envelope:
            return (self._reader.event(record, expanded(document)),)
        document = expanded(document)
        if not isinstance(document, dict) or "payload" not in document:
            raise DecodeError(
                record.place,
                "the value has no payload field, so it is no envelope",
                f"set sources.{self._source}.envelope to false where no additional field is placed in it",
            )
        return (self._reader.event(record, {**document, "payload": expanded(document["payload"])}),)


def without_schema(document: Any) -> Any:
    """What JsonConverter wrapped as ``{"schema": …, "payload": …}``; anything else as it is."""
    if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
        schema = document["schema"]
        if schema is None or (isinstance(schema, dict) and "type" in schema):
            return document["payload"]
    return document


def expanded(document: Any) -> Any:
    """An object or a list that was encoded twice, decoded; any other text stays text."""
    if isinstance(document, str) and document.lstrip()[:1] in ("{", "["):
        try:
            return loads(document)
        except orjson.JSONDecodeError:
            return document
    return document
