"""Build an event from a parsed value by field paths. Shared by the formats whose value is only a payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import repeat
from typing import Any

from bridge.errors import DecodeError, Tombstone
from bridge.formats import derive_lane, digest_of_document, webhook_id
from bridge.formats.event_time import EventTimes
from bridge.formats.field_paths import ABSENT, FieldPaths, Find, compile_path
from bridge.formats.scalars import kind_of, refused_entity, scalar_text
from bridge.formats.timestamp import TimeUnit, from_millis
from bridge.model import NO_CONTEXT, Event, IdKind, Record, RefusedField, TimeSource

_ALL_ABSENT = (ABSENT,) * 6


class EventReader:
    """Builds the event of a record from its parsed value.

    An event without an id cannot be deduplicated, and one without a type cannot be routed: both are
    errors, and neither is guessed. The tenant is part of the id, so a tenant that is no scalar is an error
    as well: without it, two tenants' events would be duplicates. A time or entity never is an error.
    """

    def __init__(
        self,
        source: str,
        paths: FieldPaths,
        hints: Mapping[str, str] | None = None,
        *,
        time_unit: TimeUnit | None = None,
    ) -> None:
        """``hints`` holds the format's own remedies for a missing part, by setting.

        ``time_unit`` is the one of numeric times; None to infer it.
        """
        self._times = EventTimes(time_unit)
        self._hints = hints or {}
        self._source = source
        self._paths = paths
        self._id = compile_path(paths.id)
        self._type = compile_path(paths.type)
        self._entity = compile_path(paths.entity)
        self._time = compile_path(paths.time)
        self._data = compile_path(paths.data)
        self._tenant = compile_path(paths.tenant)
        self._names = tuple(
            _name_at(path)
            for path in (paths.id, paths.type, paths.tenant, paths.data, paths.time, paths.entity)
        )
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
        id_kind: IdKind = "text"
        if type(document) is dict:  # the usual places are looked at together, and have the usual types
            id_, type_, tenant, data, at, entity = map(document.get, self._names, _ALL_ABSENT)
        else:
            id_, type_, tenant, data, at, entity = _ALL_ABSENT
        if type(id_) is not str or not id_:
            id_, id_kind = self._id_and_kind(record, document)
        if type(type_) is not str or not type_:
            type_ = self._type_of(record, document, type_name)
        if type(tenant) is not str:
            tenant = self._tenant and self._text(record, document, "tenant", self._tenant)
        if self._data is None and document is not ABSENT:
            data = document
        else:
            data, decode_again = self._part(record, document, data, decode_again)
        time_source: TimeSource
        refused: tuple[RefusedField, ...]
        if self._time is None and record.timestamp_ms in self._times.believed_ms:
            time, time_source, refused = from_millis(record.timestamp_ms), "record", ()
        else:
            if type(at) is not str:
                at = self._own_time(record, document)
            time, time_source, refused = self._times.read(record, at)
        if type(entity) is not str:
            entity = None
            if self._entity is not None:
                entity, refused = self._optional(self._entity, record, document, refused)
        return Event(  # by position: by name it takes three times as long, a microsecond more
            record,
            self._source,
            id_,
            type_,
            time,
            entity,
            tenant,
            derive_lane(record, entity, tenant),
            repeat(data).__next__,  # a function that returns the data, without a call of Python code
            NO_CONTEXT,
            0,
            webhook_id(self._source, record.partition.topic, tenant, id_, 0, id_kind),
            None,
            None,
            id_kind,
            time_source,
            digest_of_document(type_, data),
            refused,
            decode_again,
        )

    def _id_and_kind(self, record: Record, document: Any) -> tuple[str, IdKind]:
        """Return the id as text, and its JSON type. Raises ``DecodeError``."""
        value = ABSENT if self._id is None else self._id(record, document)
        if type(value) is str and value:
            return value, "text"
        if value is None or value is ABSENT or value == "":
            raise self._missing(record, "id")
        text, cause = scalar_text(value)
        if text is None:
            raise self._no_text(record, "id", cause)
        return text, kind_of(value)

    def _type_of(self, record: Record, document: Any, type_name: str | None) -> str:
        """Return the type; the name if no path is configured. Raises ``DecodeError``."""
        if self._type is None and type_name:
            return type_name
        return self._required(record, document, "type", self._type)

    def _part(
        self, record: Record, document: Any, data: Any, decode_again: Callable[[], Any] | None
    ) -> tuple[Any, Callable[[], Any] | None]:
        """Return the data, looked for unless it is ``data``, and what decodes it again; null without a value.

        Raises ``DecodeError``.
        """
        if self._data is None:
            return None, decode_again
        if data is ABSENT:
            data = self._data(record, document)
        if data is ABSENT:
            if document is not ABSENT:
                raise self._missing(record, "data")
            data = None
        return data, None if decode_again is None else partial(self._data_again, record, decode_again)

    def _data_again(self, record: Record, decode_again: Callable[[], Any]) -> Any:
        assert self._data is not None, "else the document is the data"
        return self._data(record, decode_again())

    def _required(self, record: Record, document: Any, setting: str, find: Find | None) -> str:
        text = self._text(record, document, setting, find)
        if not text:
            raise self._missing(record, setting)
        return text

    def _text(self, record: Record, document: Any, setting: str, find: Find | None) -> str | None:
        """Return text, or a number or boolean as in JSON; None if absent or null. Raises ``DecodeError``."""
        value = ABSENT if find is None else find(record, document)
        if value is None or value is ABSENT:
            return None
        if isinstance(value, str):
            return value
        text, cause = scalar_text(value)
        if text is None:
            raise self._no_text(record, setting, cause)
        return text

    def _optional(
        self, find: Find, record: Record, document: Any, refused: tuple[RefusedField, ...]
    ) -> tuple[str | None, tuple[RefusedField, ...]]:
        """Return the entity, and the refused fields with the entity's if it is no scalar."""
        try:
            value = find(record, document)
        except DecodeError as exc:  # a key or header that is not UTF-8
            return None, (*refused, RefusedField("entity", "bytes", exc.cause, "no entity"))
        if isinstance(value, str):
            return value, refused
        if value is None or value is ABSENT:
            return None, refused
        text, cause = scalar_text(value)
        return text, refused if cause is None else (*refused, refused_entity(value, cause))

    def _own_time(self, record: Record, document: Any) -> Any:
        """Return the event's time; None if it has none. A header that is not UTF-8 is refused later."""
        if self._time is None:
            return None
        try:
            value = self._time(record, document)
        except DecodeError:
            return b""
        return None if value is ABSENT else value

    def _no_text(self, record: Record, setting: str, cause: str | None) -> DecodeError:
        return DecodeError(
            f"{record.place} {getattr(self._paths, setting)}",
            f"the {setting} cannot be used: {cause}",
            f"point sources.{self._source}.{setting} at text, a number or a boolean",
        )

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


def _name_at(path: str | None) -> str | None:
    """Return the member of the value that a path names; None if it names anything else."""
    return None if path is None or "." in path or ":" in path or path.isdigit() else path
