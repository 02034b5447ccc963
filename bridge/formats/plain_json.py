"""Decode JSON values of any shape; configured field paths locate the id, the type and the other parts."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import require_value
from bridge.formats.event_reader import EventReader
from bridge.formats.exact_json import loads
from bridge.formats.field_paths import FieldPaths
from bridge.formats.timestamp import TimeUnit
from bridge.model import Event, Record


class PlainJsonDecoder:
    """Decodes events by field paths such as ``order.items.0.id`` or ``header:event-id``.

    The value is parsed once, and the payload is a part of the parsed value.
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
        time_unit: TimeUnit | None = None,
        max_value_bytes: int,
    ) -> None:
        self._source = source
        self._max_value_bytes = max_value_bytes
        self._reader = EventReader(
            source, FieldPaths(id, type, entity, time, data, tenant), time_unit=time_unit
        )

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return one event. Raises ``DecodeError``."""
        if record.value is None:
            return (self._reader.event_without_value(record),)
        value = require_value(record, self._source, self._max_value_bytes)
        document = parse_json(record, value, self._source)
        if isinstance(document, str):  # the default of Debezium's outbox router
            raise DecodeError(
                record.place,
                "the value is one JSON string, so the event was probably encoded twice",
                "for Debezium, set transforms.outbox.table.expand.json.payload=true,"
                f" or sources.{self._source}.format: debezium",
            )
        again = partial(parse_json, record, value, self._source)
        return (self._reader.event(record, document, again),)


def parse_json(record: Record, value: bytes, source: str) -> Any:
    """Parse the value as JSON with exact numbers. Raises ``DecodeError``."""
    try:
        return loads(value)
    except orjson.JSONDecodeError as exc:
        raise DecodeError(
            record.place,
            f"the value is not JSON: {exc}",
            f"check sources.{source}.format, or the producer of this topic",
        ) from exc
