"""JSON values of any shape: configured paths say where the id, the type and the rest are.

A format of step 2. Takes a record whose value is JSON, gives one event. Rule floor, pure.
"""

from __future__ import annotations

from typing import Any

import orjson

from bridge.decode import checked_value, lane_of, webhook_id
from bridge.decode.instant import from_millis, from_text
from bridge.errors import DecodeError
from bridge.model import Event, Record

Path = tuple[str, ...]

_ABSENT = object()


class PlainJsonDecoder:
    """Reads events by paths such as ``order.items.0.id``.

    An event without an id cannot be told from its duplicate, and one without a type cannot be routed:
    both are errors, never guesses. The value is parsed once and the payload is a part of it.
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
        self._id = _path(id)
        self._type = _path(type)
        self._entity = _path(entity)
        self._time = _path(time)
        self._data = _path(data)
        self._tenant = _path(tenant)

    def decode(self, record: Record) -> tuple[Event, ...]:
        """One event. Raises ``DecodeError``."""
        value = checked_value(record, self._source, self._max_value_bytes)
        document = self._parse(record, value)
        id_ = self._required(record, document, "id", self._id)
        type_ = self._required(record, document, "type", self._type)
        tenant = self._text(record, document, "tenant", self._tenant)
        entity = self._text(record, document, "entity", self._entity)
        data = _at(document, self._data)
        if data is _ABSENT:
            raise self._missing(record, "data", self._data)
        return (
            Event(
                record=record,
                source=self._source,
                id=id_,
                type=type_,
                time=self._instant(record, document),
                entity=entity,
                tenant=tenant,
                lane=lane_of(record, entity, tenant),
                decode_payload=lambda: data,
                webhook_id=webhook_id(self._source, tenant, id_, 0),
            ),
        )

    def _parse(self, record: Record, value: bytes) -> Any:
        try:
            document = orjson.loads(value)
        except orjson.JSONDecodeError as exc:
            raise DecodeError(
                record.place,
                f"the value is not JSON: {exc}",
                f"check sources.{self._source}.format, or what writes to this topic",
            ) from exc
        if isinstance(document, str):  # Debezium's outbox router does so unless told otherwise
            raise DecodeError(
                record.place,
                "the value is one JSON string, so the event was probably encoded twice",
                "with Debezium set transforms.outbox.table.expand.json.payload=true",
            )
        return document

    def _required(self, record: Record, document: Any, setting: str, path: Path) -> str:
        text = self._text(record, document, setting, path)
        if not text:
            raise self._missing(record, setting, path)
        return text

    def _text(self, record: Record, document: Any, setting: str, path: Path) -> str | None:
        """Return text, or an integer as text; None when absent or null.

        A float is refused: integers beyond 64 bits become floats, so two ids could look like one
        and the second event would be dropped as a duplicate.
        """
        found = _at(document, path) if path else None
        if found is None or found is _ABSENT:
            return None
        if isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        raise DecodeError(
            f"{record.place} {'.'.join(path)}",
            f"the {setting} is neither text nor an integer of at most 64 bits, but {_kind(found)}",
            f"point sources.{self._source}.{setting} at text or at an integer",
        )

    def _instant(self, record: Record, document: Any) -> str:
        found = _at(document, self._time) if self._time else None
        if found is None or found is _ABSENT:
            return from_millis(record.timestamp_ms)
        time = None
        if isinstance(found, str):
            time = from_text(found)
        elif isinstance(found, int) and not isinstance(found, bool):
            time = from_millis(found)
        if time is None:
            raise DecodeError(
                f"{record.place} {'.'.join(self._time)}",
                "the time is neither a date and time (RFC 3339) nor milliseconds since 1970",
                f"correct sources.{self._source}.time, or leave it out to use the record's timestamp",
            )
        return time

    def _missing(self, record: Record, setting: str, path: Path) -> DecodeError:
        return DecodeError(
            record.place,
            f"the value has no {setting} at {'.'.join(path)!r}",
            f"correct sources.{self._source}.{setting}, or what writes to this topic",
        )


def _path(text: str | None) -> Path:
    return tuple(text.split(".")) if text else ()


def _at(document: Any, path: Path) -> Any:
    """Find what stands at a path, or ``_ABSENT``; a part of digits indexes a list."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(part, _ABSENT)
        elif isinstance(document, list) and part.isascii() and part.isdigit() and len(part) < 10:
            index = int(part)
            document = document[index] if index < len(document) else _ABSENT
        else:
            return _ABSENT
    return document


def _kind(value: Any) -> str:
    names = {bool: "a boolean", float: "a fraction or larger", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
