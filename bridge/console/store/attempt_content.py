"""The content of stored attempts: request and answer as text, and the search for a text in them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.console.event_views import AttemptDetail, AttemptRow
from bridge.console.store.intake import unpacked
from bridge.history.attempt import Attempt
from bridge.history.batch import UnreadableBatch, decode


def detail_of(row: AttemptRow, attempt: Attempt) -> AttemptDetail:
    """Return an attempt as it is shown, with headers and bodies as text."""
    body, cut = _text(attempt.body)
    answer, answer_cut = _text(attempt.answer_body)
    return AttemptDetail(
        row=row,
        method=attempt.method,
        url=attempt.url,
        headers=headers_of(attempt.headers),
        body=body,
        body_sha256=attempt.body_sha256,
        answer_headers=headers_of(attempt.answer_headers),
        answer_body=answer,
        event_time=attempt.event_time,
        copied=cut or answer_cut,
    )


def headers_of(lines: bytes | None) -> list[tuple[str, str]]:
    """Return the headers of an attempt as pairs."""
    pairs = [line.partition(": ") for line in (lines or b"").decode("utf-8", "replace").split("\n")]
    return [(name, value) for name, colon, value in pairs if colon]


def _text(content: bytes | None) -> tuple[str | None, bool]:
    """Return bytes as text, and True if they are not UTF-8."""
    if content is None:
        return None, False
    try:
        return content.decode(), False
    except UnicodeDecodeError:
        return content.decode("utf-8", "replace"), True


def attempts_in(value: bytes, topic: str, number: int, offset: int) -> list[Attempt]:
    """Return the attempts of a compressed record; none if it is damaged."""
    try:
        return [kept.attempt for kept in decode(unpacked(value, topic, number, offset))[1]]
    except UnreadableBatch:
        return []


def matching(rows: Sequence[Sequence[Any]], values: Mapping[int, bytes], text: str) -> set[int]:
    """Return the ids of the rows whose attempts contain a text in lower case."""
    wanted = text.encode("utf-8", "replace")
    by_batch: dict[int, list[tuple[int, int]]] = {}
    for number, batch, entry in rows:
        by_batch.setdefault(batch, []).append((number, entry))
    found: set[int] = set()
    for batch, entries in by_batch.items():
        record = unpacked(values[batch], "", 0, 0)
        value = record.value or b""
        if text.isalnum() and value.isascii() and wanted not in value.lower():
            continue  # JSON writes letters and digits as they are, so none of its attempts has them
        attempts = decode(record)[1]
        found.update(number for number, entry in entries if _contains(attempts[entry].attempt, text))
    return found


def _contains(attempt: Attempt, text: str) -> bool:
    texts = (
        attempt.reason,
        attempt.url,
        attempt.event_id,
        attempt.webhook_id,
        attempt.entity or "",
        attempt.type,
    )
    if any(text in part.casefold() for part in texts):
        return True
    parts = (attempt.headers, attempt.body, attempt.answer_headers, attempt.answer_body)
    return any(text in part.decode("utf-8", "replace").casefold() for part in parts if part)
