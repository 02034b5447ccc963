"""Where the parts of an event stand: dotted paths into the value, record headers, the record itself.

What the formats share whose value is only a payload. A part is named by a path such as ``order.items.0.id``,
by ``header:NAME``, or by ``record:key``, ``record:offset`` or ``record:topic``. Takes a parsed value, gives
one event. Rule floor, pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import lane_of, webhook_id
from bridge.formats.timestamp import from_millis, from_text
from bridge.model import Event, Record

Find = Callable[[Record, Any], Any]

ABSENT = object()
"""What is found where nothing stands; null is something else."""
RECORD_PARTS = ("key", "offset", "topic")


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one source, as its settings name them; ``None``: there is none."""

    id: str | None
    type: str | None = None
    entity: str | None = None
    time: str | None = None
    data: str | None = None
    tenant: str | None = None


class EventReader:
    """Makes the event of a record and its parsed value.

    An event without an id cannot be told from its duplicate, and one without a type cannot be routed:
    both are errors, never guesses.
    """

    def __init__(self, source: str, places: Places, hints: Mapping[str, str] | None = None) -> None:
        """``hints`` are remedies of a format's own for a part that is missing."""
        self._hints = hints or {}
        self._source = source
        self._places = places
        self._id = finder(places.id)
        self._type = finder(places.type)
        self._entity = finder(places.entity)
        self._time = finder(places.time)
        self._data = finder(places.data)
        self._tenant = finder(places.tenant)

    def event(self, record: Record, document: Any, *, type_name: str | None = None) -> Event:
        """The event. ``type_name`` is its type where no place is configured. Raises ``DecodeError``."""
        id_ = self._required(record, document, "id", self._id)
        type_ = type_name if self._type is None and type_name else None
        if type_ is None:
            type_ = self._required(record, document, "type", self._type)
        tenant = self.text(record, document, "tenant", self._tenant)
        entity = self.text(record, document, "entity", self._entity)
        data = document if self._data is None else self._data(record, document)
        if data is ABSENT:
            raise self._missing(record, "data")
        return Event(
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
        )

    def _required(self, record: Record, document: Any, setting: str, find: Find | None) -> str:
        text = self.text(record, document, setting, find)
        if not text:
            raise self._missing(record, setting)
        return text

    def text(self, record: Record, document: Any, setting: str, find: Find | None) -> str | None:
        """Text, or an integer as text; None when absent or null. Raises ``DecodeError``.

        A float is refused: integers beyond 64 bits become floats, so two ids could look like one
        and the second event would be dropped as a duplicate.
        """
        found = ABSENT if find is None else find(record, document)
        if found is None or found is ABSENT:
            return None
        if isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        raise DecodeError(
            f"{record.place} {getattr(self._places, setting)}",
            f"the {setting} is neither text nor an integer of at most 64 bits, but {_kind(found)}",
            f"point sources.{self._source}.{setting} at text or at an integer",
        )

    def _instant(self, record: Record, document: Any) -> str:
        found = ABSENT if self._time is None else self._time(record, document)
        if found is None or found is ABSENT:
            return from_millis(record.timestamp_ms)
        time = None
        if isinstance(found, str):
            time = from_text(found)
        elif isinstance(found, int) and not isinstance(found, bool):
            time = from_millis(found)
        if time is None:
            raise DecodeError(
                f"{record.place} {self._places.time}",
                "the time is neither a date and time (RFC 3339) nor milliseconds since 1970",
                f"correct sources.{self._source}.time, or leave it out to use the record's timestamp",
            )
        return time

    def _missing(self, record: Record, setting: str) -> DecodeError:
        place = getattr(self._places, setting)
        if place is None:
            return DecodeError(
                record.place,
                f"nothing says what the {setting} is",
                f"set sources.{self._source}.{setting} to a path, or to header:NAME",
            )
        what = "record" if place.startswith(("header:", "record:")) else "value"
        return DecodeError(
            record.place,
            f"the {what} has no {setting} at {place!r}",
            self._hints.get(
                setting, f"correct sources.{self._source}.{setting}, or what writes to this topic"
            ),
        )


def finder(place: str | None) -> Find | None:
    """What finds the part at a place; None for None."""
    if place is None:
        return None
    kind, colon, name = place.partition(":")
    if colon and kind == "header":
        return lambda record, document: header(record, name)
    if colon and kind == "record":
        return {"key": _key, "offset": _offset, "topic": _topic}[name]
    path = tuple(place.split("."))
    if len(path) == 1 and not place.isdigit():  # most places are, and every event has five
        return lambda record, document: document.get(place, ABSENT) if isinstance(document, dict) else ABSENT
    return lambda record, document: at(document, path)


def at(document: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path, or ``ABSENT``; a part of digits indexes a list."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(part, ABSENT)
        elif isinstance(document, list) and part.isascii() and part.isdigit() and len(part) < 10:
            index = int(part)
            document = document[index] if index < len(document) else ABSENT
        else:
            return ABSENT
    return document


def header(record: Record, name: str) -> Any:
    """The text of the first header of this name, ``ABSENT`` where there is none. Raises ``DecodeError``."""
    for key, raw in record.headers:
        if key == name:
            return plain_text(record, f"header {name[:80]}", raw)
    return ABSENT


def plain_text(record: Record, what: str, raw: bytes) -> Any:
    """A header's or key's text, out of the JSON that Kafka Connect's converters wrap around it.

    ``17``, ``"17"`` and ``{"schema": …, "payload": 17}`` are all 17. Raises ``DecodeError``.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise DecodeError(
            f"{record.place} {what}", "it is not UTF-8", "name a place that holds text"
        ) from exc
    if text[:1] not in ('"', "{"):
        return text
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(found, dict) and found.keys() == {"schema", "payload"}:
        found = found["payload"]
    return found if isinstance(found, str | int) else text


def _key(record: Record, document: Any) -> Any:
    return ABSENT if record.key is None else plain_text(record, "key", record.key)


def _offset(record: Record, document: Any) -> str:
    return f"{record.partition.topic}-{record.partition.number}-{record.offset}"


def _topic(record: Record, document: Any) -> str:
    return record.partition.topic


def _kind(value: Any) -> str:
    names = {bool: "a boolean", float: "a fraction or larger", list: "a list", dict: "an object"}
    return names.get(
        type(value), "a fraction or larger" if isinstance(value, float) else type(value).__name__
    )
