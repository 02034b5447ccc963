"""JSON values of any shape: configured places say where the id, the type and the rest are.

A format of step 2. Takes a record whose value is JSON, gives one event. Rule floor, pure.
"""

from __future__ import annotations

from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import checked_value
from bridge.formats.exact_json import loads
from bridge.formats.field_paths import EventReader, Places
from bridge.model import Event, Record


class PlainJsonDecoder:
    """Reads events by places such as ``order.items.0.id`` or ``header:event-id``.

    The value is parsed once and the payload is a part of it.
    """

    def __init__(
        self,
        source: str,
        *,
        id: str,
        type: str,
        entity: str | None = None,
        time: str | None = None,
        data: str | None = None,
        tenant: str | None = None,
        max_value_bytes: int,
    ) -> None:
        self._source = source
        self._max_value_bytes = max_value_bytes
        self._reader = EventReader(source, Places(id, type, entity, time, data, tenant))

    def decode(self, record: Record) -> tuple[Event, ...]:
        """One event. Raises ``DecodeError``."""
        value = checked_value(record, self._source, self._max_value_bytes)
        document = parse_json(record, value, self._source)
        if isinstance(document, str):  # Debezium's outbox router does so unless told otherwise
            raise DecodeError(
                record.place,
                "the value is one JSON string, so the event was probably encoded twice",
                "with Debezium set transforms.outbox.table.expand.json.payload=true,"
                f" or sources.{self._source}.format: debezium",
            )
        return (self._reader.event(record, document),)


def parse_json(record: Record, value: bytes, source: str) -> Any:
    """The value as JSON, numbers exact. Raises ``DecodeError``."""
    try:
        return loads(value)
    except orjson.JSONDecodeError as exc:
        raise DecodeError(
            record.place,
            f"the value is not JSON: {exc}",
            f"check sources.{source}.format, or what writes to this topic",
        ) from exc
