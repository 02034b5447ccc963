"""Domain events of Eventuate Tram.

A format of step 2. Takes a record whose value is ``{"payload": "<JSON>", "headers": {…}}``, gives one event.
Rule floor, pure.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from bridge.errors import DecodeError
from bridge.formats import checked_value
from bridge.formats.debezium import expanded
from bridge.formats.field_paths import EventReader, Places
from bridge.formats.plain_json import parse_json
from bridge.formats.timestamp import from_millis
from bridge.model import Event, Record

_TIME = "hookferry time"  # no header of Eventuate's has a space
_CONTEXT = ("event-aggregate-type", "PARTITION_ID", "DESTINATION")


class EventuateDecoder:
    """Reads events; commands and replies, which travel in the same form, are refused."""

    def __init__(self, source: str, *, tenant: str | None, max_value_bytes: int) -> None:
        self._source = source
        self._max_value_bytes = max_value_bytes
        places = Places(
            "headers.ID", "headers.event-type", "headers.event-aggregate-id", _TIME, "payload", tenant
        )
        self._reader = EventReader(source, places)

    def decode(self, record: Record) -> tuple[Event, ...]:
        """One event. Raises ``DecodeError``."""
        value = checked_value(record, self._source, self._max_value_bytes)
        document = parse_json(record, value, self._source)
        headers = document.get("headers") if isinstance(document, dict) else None
        if not isinstance(headers, dict) or "payload" not in document:
            raise DecodeError(
                record.place,
                "the value is no message of Eventuate Tram (an object with payload and headers)",
                f"check sources.{self._source}.format; hookferry inspect tells formats apart",
            )
        if "event-type" not in headers and ("command_type" in headers or "reply_type" in headers):
            raise DecodeError(
                record.place,
                "the message is a command or a reply, not a domain event",
                "read topics with domain events only (their names are aggregate types)",
            )
        ready = {
            "headers": headers,
            "payload": expanded(document["payload"]),
            _TIME: _instant(record, headers),
        }
        event = self._reader.event(record, ready)
        event.context = {name: text for name in _CONTEXT if isinstance(text := headers.get(name), str)}
        return (event,)


def _instant(record: Record, headers: dict[str, Any]) -> Any:
    """The header DATE, which is written as in HTTP (RFC 9110 5.6.7); anything else is left to the reader."""
    date = headers.get("DATE")
    if not isinstance(date, str):
        return from_millis(record.timestamp_ms)
    try:
        at = parsedate_to_datetime(date[:64])
        return from_millis(int(at.timestamp() * 1000))
    except (ValueError, TypeError, OverflowError, IndexError):
        return date
