"""Decode CloudEvents 1.0 on Kafka, in structured and binary mode.

The rules are those of the "Kafka Protocol Binding" and the "JSON Event Format" of CloudEvents 1.0.2.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.formats import derive_lane, digest_of_bytes, digest_of_document, require_value, webhook_id
from bridge.formats.event_time import EventTimes
from bridge.formats.exact_json import loads
from bridge.formats.scalars import refused_entity, scalar_text
from bridge.model import Event, ExactNumber, Record, RefusedField

_NOT_CONTEXT = frozenset({"specversion", "id", "type", "time", "data", "data_base64"})
_TEXTS = frozenset({"source", "subject", "dataschema", "datacontenttype"})
"""Attributes that are text by the standard; extensions keep the type that they have in JSON."""
_PREFIXES = ("ce_", "CE_", "Ce_")
_FIX_PRODUCER = "correct the producer of this topic"


class CloudEventsDecoder:
    """Decodes both modes; the ``content-type`` header decides which, as the binding requires.

    CloudEvents identifies an event by its source *and* its id, so the idempotency key joins both.
    No two pairs join to the same key.
    """

    def __init__(self, source: str, *, max_value_bytes: int) -> None:
        self._source = source
        self._max_value_bytes = max_value_bytes
        self._times = EventTimes()

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return one event; in binary mode the value may be null.

        Raises ``DecodeError``, also for a batch.
        """
        content_type = _content_type(record)
        media = content_type.partition(";")[0].strip().lower()
        is_structured = media.startswith("application/cloudevents")
        if record.value is None and not is_structured and _has_attributes(record):
            value = b""  # an event without data
        else:
            value = require_value(record, self._source, self._max_value_bytes)
        if is_structured:
            attributes = _structured(record, value, media)
            payload = partial(_structured_data, record, attributes)
            again = partial(_structured_data_again, record, value, media)
            data = attributes.get("data_base64") or attributes.get("data")
            return (
                self._event(record, attributes, payload, again, partial(digest_of_document, document=data)),
            )
        attributes = _binary(record, content_type)
        payload = partial(_binary_data, record, value, media)
        return (self._event(record, attributes, payload, payload, partial(digest_of_bytes, data=value)),)

    def _event(
        self,
        record: Record,
        attributes: dict[str, Any],
        payload: partial[Any],
        again: partial[Any],
        digest: Callable[[str], int],
    ) -> Event:
        version = _required(record, attributes, "specversion")
        if version.partition(".")[0] != "1":
            raise DecodeError(
                record.place, f"CloudEvents {version[:20]!r} is not supported", "send CloudEvents 1.0"
            )
        origin = _required(record, attributes, "source")
        id_ = join_id(origin, _required(record, attributes, "id"))
        type_ = _required(record, attributes, "type")
        time, time_source, refused = self._times.read(record, attributes.get("time"))
        entity, refused = _entity(attributes, refused)
        return Event(
            record=record,
            source=self._source,
            id=id_,
            type=type_,
            time=time,
            entity=entity,
            tenant=None,
            lane=derive_lane(record, entity, None),
            payload=cache(payload),
            context={
                name: (_text if name in _TEXTS else _scalar)(record, name, value)
                for name, value in attributes.items()
                if name not in _NOT_CONTEXT and value is not None
            },
            webhook_id=webhook_id(self._source, record.partition.topic, None, id_),
            time_source=time_source,
            digest=digest(type_),
            refused=refused,
            decode_again=again,
        )


def join_id(source: str, id: str) -> str:
    r"""Join as ``source id``. A space in the source (no URI has one) becomes ``\ ``, a ``\`` becomes two."""
    return source.replace("\\", "\\\\").replace(" ", "\\ ") + " " + id


def _content_type(record: Record) -> str:
    for name, raw in reversed(record.headers):
        if name.lower() == "content-type":
            return _header(record, name, raw) or ""
    return ""


def _has_attributes(record: Record) -> bool:
    return any(name[:3] in _PREFIXES for name, _ in record.headers)


def _structured(record: Record, value: bytes, media: str) -> dict[str, Any]:
    if media.startswith("application/cloudevents-batch"):
        raise DecodeError(
            record.place, "a batch of CloudEvents in one record is not supported", "send one event per record"
        )
    if media not in ("application/cloudevents", "application/cloudevents+json"):
        raise DecodeError(
            record.place,
            f"the media type {media[:80]!r} is not supported",
            "send application/cloudevents+json",
        )
    attributes = _json(record, value)
    if not isinstance(attributes, dict):
        raise DecodeError(record.place, "the CloudEvent is not a JSON object", _FIX_PRODUCER)
    if "data" in attributes and "data_base64" in attributes:
        raise DecodeError(record.place, "the CloudEvent has both data and data_base64", _FIX_PRODUCER)
    return attributes


def _binary(record: Record, content_type: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name[3:].lower(): _header_or_bytes(record, name, raw)
        for name, raw in record.headers
        if name[:3] in _PREFIXES
    }
    if content_type:
        attributes["datacontenttype"] = content_type
    return attributes


def _structured_data(record: Record, attributes: dict[str, Any]) -> Any:
    encoded = attributes.get("data_base64")
    if encoded is None:
        return attributes.get("data")
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError, TypeError) as exc:
        raise DecodeError(f"{record.place} data_base64", "the data is not base64", _FIX_PRODUCER) from exc


def _structured_data_again(record: Record, value: bytes, media: str) -> Any:
    return _structured_data(record, _structured(record, value, media))


def _binary_data(record: Record, value: bytes, media: str) -> Any:
    """Decode as JSON (the default of CloudEvents) or text by the content type, else return the bytes."""
    if not value:
        return None
    if not media or media in ("application/json", "text/json") or media.endswith("+json"):
        return _json(record, value)
    if media.startswith("text/"):
        try:
            return value.decode()
        except UnicodeDecodeError as exc:
            raise DecodeError(record.place, f"the data is {media[:80]} but not UTF-8", _FIX_PRODUCER) from exc
    return value


def _json(record: Record, value: bytes) -> Any:
    try:
        return loads(value)
    except orjson.JSONDecodeError as exc:
        raise DecodeError(record.place, f"the value is not JSON: {exc}", _FIX_PRODUCER) from exc


def _required(record: Record, attributes: dict[str, Any], name: str) -> str:
    value = attributes.get(name)
    if isinstance(value, str) and value:
        return value
    raise DecodeError(
        record.place,
        f"the CloudEvent has no text in {name!r} (header ce_{name} in binary mode)",
        f"{_FIX_PRODUCER}; in structured mode the header content-type must be application/cloudevents+json",
    )


def _entity(
    attributes: dict[str, Any], refused: tuple[RefusedField, ...]
) -> tuple[str | None, tuple[RefusedField, ...]]:
    """Return the subject as text, and the refused fields. A subject that is none is left out everywhere."""
    subject = attributes.get("subject")
    text, cause = scalar_text(subject)
    if cause is None:
        return text, refused
    del attributes["subject"]
    return None, (*refused, refused_entity(subject, cause))


def _header_or_bytes(record: Record, name: str, raw: bytes | None) -> Any:
    """Return a header's text. The bytes of a time or subject that is not UTF-8: those park no event."""
    try:
        return _header(record, name, raw)
    except DecodeError:
        if name[3:].lower() not in ("time", "subject"):
            raise
        return raw


def _header(record: Record, name: str, raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError as exc:
        raise DecodeError(
            f"{record.place} header {name[:80]!r}", "the header is not UTF-8", _FIX_PRODUCER
        ) from exc


def _text(record: Record, name: str, value: Any) -> str:
    """Return an attribute as text; a boolean or a number is written as in JSON."""
    scalar = _scalar(record, name, value)
    if isinstance(scalar, str):
        return scalar
    return str(scalar) if isinstance(scalar, ExactNumber) else orjson.dumps(scalar).decode()


def _scalar(record: Record, name: str, value: Any) -> str | bool | int | float:
    if isinstance(value, str | bool | int | float):
        return value
    raise DecodeError(
        f"{record.place} {name[:80]!r}",
        "the attribute is neither text nor an integer nor a boolean",
        _FIX_PRODUCER,
    )
