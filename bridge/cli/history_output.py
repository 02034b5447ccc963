"""Lay attempts out as a table, in full, or as JSON values."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.cli.output import cut
from bridge.cli.parked_output import one_line
from bridge.core.replay import MARK
from bridge.history.attempt import Attempt, Kept

_COLUMNS = ("ATTEMPT", "SENT AT", "ENDPOINT", "TYPE", "ENTITY", "TRY", "STATUS", "VERDICT", "MS", "WHY")
_WIDEST = {"ENDPOINT": 24, "TYPE": 40, "ENTITY": 28}


def instant(at_s: float | None) -> str | None:
    """Return an instant as text in UTC, to the millisecond."""
    if at_s is None:
        return None
    try:
        return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{at_s} s"


def table(attempts: Sequence[Kept], width: int | None) -> Iterator[str]:
    """Yield aligned columns, one line per attempt. Without a ``width`` nothing is cut."""
    rows: list[dict[str, str]] = [dict(zip(_COLUMNS, _cells(kept), strict=True)) for kept in attempts]
    for row in rows if width is not None else ():
        row |= {name: cut(row[name], widest) for name, widest in _WIDEST.items()}
    widths = {name: max([len(name), *(len(row[name]) for row in rows)]) for name in _COLUMNS}
    for row in [dict(zip(_COLUMNS, _COLUMNS, strict=True)), *rows]:
        line = "  ".join(row[name].ljust(widths[name]) for name in _COLUMNS[:-1])
        room = None if width is None else max(20, width - len(line) - 2)
        yield f"{line}  {cut(row['WHY'], room)}".rstrip()


def _cells(kept: Kept) -> tuple[str, ...]:
    attempt = kept.attempt
    return (
        str(kept.id),
        instant(attempt.sent_s) or "",
        kept.endpoint,
        one_line(attempt.type),
        one_line(attempt.entity or "-"),
        str(attempt.attempt),
        str(attempt.status or "-"),
        attempt.verdict,
        f"{_duration_ms(attempt):.0f}",
        one_line(attempt.reason),
    )


def _duration_ms(attempt: Attempt) -> float:
    return round((attempt.answered_s - attempt.sent_s) * 1000, 3)


def document(kept: Kept, *, bodies: bool) -> dict[str, Any]:
    """Return an attempt as JSON values; with ``bodies``, with headers and bodies."""
    attempt = kept.attempt
    return {
        "id": str(kept.id),
        "endpoint": kept.endpoint,
        "event_id": attempt.event_id,
        "webhook_id": attempt.webhook_id,
        "type": attempt.type,
        "entity": attempt.entity,
        "tenant": attempt.tenant,
        "event_time": attempt.event_time,
        "from": {
            "topic": attempt.topic,
            "partition": attempt.partition,
            "offset": attempt.offset,
            "index": attempt.event_index or None,
            "timestamp": instant(attempt.appended_ms / 1000),
        },
        "again_id": attempt.again_id,
        "repeats": attempt.repeats,
        "origin": attempt.origin,
        "attempt": attempt.attempt,
        "sent_at": instant(attempt.sent_s),
        "answered_at": instant(attempt.answered_s),
        "duration_ms": _duration_ms(attempt),
        "method": attempt.method,
        "url": attempt.url,
        "status": attempt.status,
        "verdict": attempt.verdict,
        "reason": attempt.reason,
        "next_attempt_at": instant(attempt.next_s),
        "body_bytes": attempt.body_bytes,
        "body_sha256": attempt.body_sha256,
        "body_masked": attempt.body_masked,
        "trace_id": attempt.trace_id,
        "batch_id": attempt.batch_id,
        **(_parts(attempt) if bodies else {}),
    }


def _parts(attempt: Attempt) -> dict[str, Any]:
    """Return headers and bodies. A body that is no text is Base64, under ``body_base64``."""
    return {
        "request_headers": _header_pairs(attempt.headers),
        **_body("request_body", attempt.body),
        "answer_headers": _header_pairs(attempt.answer_headers),
        **_body("answer_body", attempt.answer_body),
    }


def _header_pairs(lines: bytes | None) -> list[list[str]] | None:
    if lines is None:
        return None
    pairs = (line.partition(": ") for line in lines.decode("latin-1").split("\n") if line)
    return [[name, value] for name, _, value in pairs]


def _body(name: str, body: bytes | None) -> dict[str, str | None]:
    if body is None:
        return {name: None}
    try:
        return {name: body.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(body).decode()}


def page(kept: Kept) -> Iterator[str]:
    """Yield an attempt for people: one line per fact, then the request, then the answer."""
    shown, attempt = document(kept, bodies=False), kept.attempt
    came = shown["from"]
    place = (
        f"{attempt.place} (event {attempt.event_index} of its record)"
        if attempt.event_index
        else attempt.place
    )
    facts = {
        "attempt": f"{shown['id']}, try {attempt.attempt}",
        "endpoint": kept.endpoint,
        "event": f"{attempt.type} {attempt.event_id}",
        "webhook-id": attempt.webhook_id,
        "batch": attempt.batch_id,
        "entity": attempt.entity,
        "tenant": attempt.tenant,
        "time": attempt.event_time,
        "came from": f"{place}, written {came['timestamp']}",
        "sent again": _sent_again(attempt),
        "repeats": attempt.repeats and f"attempt {attempt.repeats}",
        "sent at": f"{shown['sent_at']}, answered after {shown['duration_ms']:g} ms",
        "verdict": f"{attempt.verdict}{': ' if attempt.reason else ''}{shown['reason']}",
        "next try": shown["next_attempt_at"],
    }
    for name, fact in facts.items():
        if fact is not None:
            yield f"{name:<12}{one_line(str(fact))}"
    yield ""
    yield one_line(f"{attempt.method} {attempt.url}")
    yield from _message(attempt.headers, attempt.body, _no_body(attempt))
    yield ""
    if attempt.status is None:
        yield "no answer"
        return
    yield f"status {attempt.status}"
    yield from _message(attempt.answer_headers or b"", attempt.answer_body, "")


def _no_body(attempt: Attempt) -> str:
    if attempt.body_sha256 is not None:
        return f"({attempt.body_bytes} bytes, not kept; SHA-256 {attempt.body_sha256})"
    return f"({attempt.body_bytes} bytes, not kept: see history.bodies)"


def _message(headers: bytes, body: bytes | None, without: str) -> Iterator[str]:
    """Yield headers and body of a request or an answer, without terminal control characters."""
    for line in headers.decode("latin-1").split("\n"):
        if line:
            yield one_line(line)
    if body is None:
        if without:
            yield ""
            yield without
    elif body:
        yield ""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = f"hex:{body.hex()}"
        yield from (one_line(line) for line in text.splitlines())


def _sent_again(attempt: Attempt) -> str | None:
    """Return what sent an event again, and where it was first read."""
    again_id = attempt.again_id
    if again_id is None:
        return None
    if again_id.startswith(MARK):
        return f"by {again_id.replace('-', ' ', 1)}"
    return f"by request {again_id}, first read from {attempt.origin}"
