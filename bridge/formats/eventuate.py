"""Decode domain events of Eventuate Tram: values such as ``{"payload": "<JSON>", "headers": {…}}``."""

from __future__ import annotations

from functools import partial
from typing import Any

from bridge.errors import DecodeError
from bridge.formats import require_value
from bridge.formats.debezium import expand_json
from bridge.formats.event_reader import EventReader
from bridge.formats.field_paths import FieldPaths
from bridge.formats.plain_json import parse_json
from bridge.formats.timestamp import from_http_date
from bridge.model import Event, Record

_TIME = "hookferry time"  # no Eventuate header contains a space
_CONTEXT = ("event-aggregate-type", "PARTITION_ID", "DESTINATION")


class EventuateDecoder:
    """Decodes events. Commands and replies have the same form and are refused."""

    def __init__(self, source: str, *, tenant: str | None, max_value_bytes: int) -> None:
        self._source = source
        self._max_value_bytes = max_value_bytes
        paths = FieldPaths(
            "headers.ID", "headers.event-type", "headers.event-aggregate-id", _TIME, "payload", tenant
        )
        self._reader = EventReader(source, paths)

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return one event. Raises ``DecodeError``."""
        value = require_value(record, self._source, self._max_value_bytes)
        document = parse_json(record, value, self._source)
        again = partial(self._document_again, record, value)
        headers = document.get("headers") if isinstance(document, dict) else None
        if not isinstance(headers, dict) or "payload" not in document:
            raise DecodeError(
                record.place,
                "the value is not an Eventuate Tram message (an object with payload and headers)",
                f"check sources.{self._source}.format; `hookferry inspect` detects the format",
            )
        if "event-type" not in headers and ("command_type" in headers or "reply_type" in headers):
            raise DecodeError(
                record.place,
                "the message is a command or a reply, not a domain event",
                "read only topics with domain events (they are named after aggregate types)",
            )
        document = {
            "headers": headers,
            "payload": expand_json(document["payload"]),
            _TIME: _time(headers),
        }
        event = self._reader.event(record, document, again)
        event.context = {name: text for name in _CONTEXT if isinstance(text := headers.get(name), str)}
        return (event,)

    def _document_again(self, record: Record, value: bytes) -> Any:
        return {"payload": expand_json(parse_json(record, value, self._source)["payload"])}


def _time(headers: dict[str, Any]) -> Any:
    """Read the header DATE, an HTTP date; return anything else for the reader to judge."""
    date = headers.get("DATE")
    return (from_http_date(date) if isinstance(date, str) else None) or date
