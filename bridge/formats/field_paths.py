"""Find a value by its field path.

A field path is a dotted path into the parsed value such as ``order.items.0.id``, a record header
``header:NAME``, or a part of the record: ``record:key``, ``record:offset`` or ``record:topic``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bridge.errors import DecodeError
from bridge.model import Record

Find = Callable[[Record, Any], Any]

ABSENT = object()
"""Returned for a path that does not exist; null exists."""


@dataclass(frozen=True, slots=True)
class FieldPaths:
    """The field paths of one source, as in its settings; ``None`` if not configured."""

    id: str | None
    type: str | None = None
    entity: str | None = None
    time: str | None = None
    data: str | None = None
    tenant: str | None = None


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
