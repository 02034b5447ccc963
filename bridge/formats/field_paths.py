"""Build an event from a parsed value by field paths. Shared by the formats whose value is only a payload.

A field path is a dotted path into the value such as ``order.items.0.id``, a record header
``header:NAME``, or a part of the record: ``record:key``, ``record:offset`` or ``record:topic``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from bridge.errors import DecodeError, Tombstone
from bridge.formats import derive_lane, webhook_id
from bridge.formats.timestamp import from_millis, from_text
from bridge.model import Event, Record

Find = Callable[[Record, Any], Any]

ABSENT = object()
"""Returned for a path that does not exist; null exists."""
RECORD_PARTS = ("key", "offset", "topic")


@dataclass(frozen=True, slots=True)
class FieldPaths:
    """The field paths of one source, as in its settings; ``None`` if not configured."""

    id: str | None
    type: str | None = None
    entity: str | None = None
    time: str | None = None
    data: str | None = None
    tenant: str | None = None


class EventReader:
    """Builds the event of a record from its parsed value.

    An event without an id cannot be deduplicated, and one without a type cannot be routed: both are
    errors, and neither is guessed.
    """

    def __init__(self, source: str, paths: FieldPaths, hints: Mapping[str, str] | None = None) -> None:
        """``hints`` holds the format's own remedies for a missing part, by setting."""
        self._hints = hints or {}
        self._source = source
        self._paths = paths
        self._id = compile_path(paths.id)
        self._type = compile_path(paths.type)
        self._entity = compile_path(paths.entity)
        self._time = compile_path(paths.time)
        self._data = compile_path(paths.data)
        self._tenant = compile_path(paths.tenant)
        self._identifying = _identifying_headers(paths)

    def event_without_value(self, record: Record) -> Event:
        """Return the event of a record whose value is null. Its data is null.

        It is an event only if its id and its type are outside of the value, at least one of them in a
        header, and the record has such a header: deletions in a compacted topic have a key as well.
        Raises ``Tombstone`` for any other, and ``DecodeError``.
        """
        if not any(name in self._identifying for name, _ in record.headers):
            raise Tombstone(record.place, self._source)
        return self.event(record, ABSENT)

    def event(
        self,
        record: Record,
        document: Any,
        decode_again: Callable[[], Any] | None = None,
        *,
        type_name: str | None = None,
    ) -> Event:
        """Return the event. ``type_name`` is its type if no path is configured. Raises ``DecodeError``.

        ``decode_again`` returns the document once more, for an event that waits; it is not needed for a
        document that keeps nothing alive.
        """
        id_ = self._required(record, document, "id", self._id)
        type_ = type_name if self._type is None and type_name else None
        if type_ is None:
            type_ = self._required(record, document, "type", self._type)
        tenant = None if self._tenant is None else self._text(record, document, "tenant", self._tenant)
        entity = self._text(record, document, "entity", self._entity)
        data = document if self._data is None else self._data(record, document)
        if data is ABSENT:
            if document is not ABSENT:
                raise self._missing(record, "data")
            data = None
        return Event(
            record=record,
            source=self._source,
            id=id_,
            type=type_,
            time=from_millis(record.timestamp_ms) if self._time is None else self._instant(record, document),
            entity=entity,
            tenant=tenant,
            lane=derive_lane(record, entity, tenant),
            payload=lambda: data,
            webhook_id=webhook_id(self._source, tenant, id_, 0),
            decode_again=(
                decode_again
                if decode_again is None or self._data is None
                else partial(self._data_again, record, decode_again)
            ),
        )

    def _data_again(self, record: Record, decode_again: Callable[[], Any]) -> Any:
        assert self._data is not None, "else the document is the data"
        return self._data(record, decode_again())

    def _required(self, record: Record, document: Any, setting: str, find: Find | None) -> str:
        text = self._text(record, document, setting, find)
        if not text:
            raise self._missing(record, setting)
        return text

    def _text(self, record: Record, document: Any, setting: str, find: Find | None) -> str | None:
        """Return text, or an integer as text; None if absent or null. Raises ``DecodeError``.

        A float is refused. Integers beyond 64 bits become floats, so two ids could become equal, and
        the second event would be dropped as a duplicate.
        """
        value = ABSENT if find is None else find(record, document)
        if value is None or value is ABSENT:
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise DecodeError(
            f"{record.place} {getattr(self._paths, setting)}",
            f"the {setting} is neither text nor an integer of at most 64 bits, but {_kind(value)}",
            f"point sources.{self._source}.{setting} at text or at an integer",
        )

    def _instant(self, record: Record, document: Any) -> str:
        value = ABSENT if self._time is None else self._time(record, document)
        if value is None or value is ABSENT:
            return from_millis(record.timestamp_ms)
        time = None
        if isinstance(value, str):
            time = from_text(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            time = from_millis(value)
        if time is None:
            raise DecodeError(
                f"{record.place} {self._paths.time}",
                "the time is neither a date and time (RFC 3339) nor milliseconds since 1970",
                f"correct sources.{self._source}.time, or leave it out to use the record's timestamp",
            )
        return time

    def _missing(self, record: Record, setting: str) -> DecodeError:
        path = getattr(self._paths, setting)
        if path is None:
            return DecodeError(
                record.place,
                f"no field path is configured for the {setting}",
                f"set sources.{self._source}.{setting} to a path, or to header:NAME",
            )
        holder = "record" if path.startswith(("header:", "record:")) else "value"
        return DecodeError(
            record.place,
            f"the {holder} has no {setting} at {path!r}",
            self._hints.get(
                setting, f"correct sources.{self._source}.{setting}, or the producer of this topic"
            ),
        )


def _identifying_headers(paths: FieldPaths) -> frozenset[str]:
    """Return the headers that contain the id and the type; none if one of the two is in the value."""
    places = [(path or "").partition(":") for path in (paths.id, paths.type)]
    if not all(colon and kind in ("header", "record") for kind, colon, _ in places):
        return frozenset()
    return frozenset(name for kind, _, name in places if kind == "header")


def compile_path(path: str | None) -> Find | None:
    """Return a function that finds the value at a field path; None for None."""
    if path is None:
        return None
    kind, colon, name = path.partition(":")
    if colon and kind == "header":
        return lambda record, document: read_header(record, name)
    if colon and kind == "record":
        return {"key": _key, "offset": _offset, "topic": _topic}[name]
    parts = tuple(path.split("."))
    if len(parts) == 1 and not path.isdigit():  # the usual case, five times per event
        return lambda record, document: document.get(path, ABSENT) if isinstance(document, dict) else ABSENT
    return lambda record, document: value_at(document, parts)


def value_at(document: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path, or ``ABSENT``. A part of digits indexes a list."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(part, ABSENT)
        elif isinstance(document, list) and part.isascii() and part.isdigit() and len(part) < 10:
            index = int(part)
            document = document[index] if index < len(document) else ABSENT
        else:
            return ABSENT
    return document


def read_header(record: Record, name: str) -> Any:
    """Return the text of the last header of this name, or ``ABSENT``. Null has no text.

    Raises ``DecodeError``.
    """
    raw = record.last_header(name)
    return ABSENT if raw is None else decode_text(record, f"header {name[:80]}", raw)


def decode_text(record: Record, part: str, raw: bytes) -> Any:
    """Decode the text of a header or key, without the JSON that Kafka Connect's converters wrap around it.

    ``17``, ``"17"`` and ``{"schema": …, "payload": 17}`` are all 17. ``part`` names the header or key in
    messages. Raises ``DecodeError``.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise DecodeError(
            f"{record.place} {part}", "the bytes are not UTF-8", "configure a field path that holds text"
        ) from exc
    if text[:1] not in ('"', "{"):
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(value, dict) and value.keys() == {"schema", "payload"}:
        value = value["payload"]
    return value if isinstance(value, str | int) else text


def _key(record: Record, document: Any) -> Any:
    return ABSENT if record.key is None else decode_text(record, "key", record.key)


def _offset(record: Record, document: Any) -> str:
    return f"{record.partition.topic}-{record.partition.number}-{record.offset}"


def _topic(record: Record, document: Any) -> str:
    return record.partition.topic


def _kind(value: Any) -> str:
    names = {bool: "a boolean", float: "a fraction or larger", list: "a list", dict: "an object"}
    return names.get(
        type(value), "a fraction or larger" if isinstance(value, float) else type(value).__name__
    )
