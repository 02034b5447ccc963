"""Print dead letters as a table, in full, or as JSON, without the secrets of the configuration.

Answers of receivers and record headers come from outside, so every text is searched for these secrets before
it is cut and printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.cli.output import cut
from bridge.dead_letters import stub
from bridge.dead_letters.letter import EVERYONE, Fate, Letter
from bridge.telemetry.scrub import MASK, in_force, scrub

_TELLING = re.compile(
    r"authorization|cookie|token|secret|password|passwd|api[-_]?key|credential", re.IGNORECASE
)
_COLUMNS = ("ADDRESS", "PARKED AT", "ENDPOINT", "ENTITY", "TYPE", "TRIES", "WHY")
_WIDEST = {"ENDPOINT": 24, "ENTITY": 28, "TYPE": 40}


def instant(at_ms: int) -> str:
    """Return an instant as text in UTC, to the second."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


def table(letters: Sequence[Letter], width: int | None) -> Iterator[str]:
    """Yield aligned columns, one line per letter; with a STATE column if any letter is settled.

    Without a ``width`` nothing is cut.
    """
    with_fate = any(letter.fate is not Fate.WAITING for letter in letters)
    columns = (*_COLUMNS[:1], "STATE", *_COLUMNS[1:]) if with_fate else _COLUMNS
    rows = [dict(_row(letter)) for letter in letters]
    for row in rows if width is not None else ():
        row |= {name: cut(row[name], widest) for name, widest in _WIDEST.items()}
    widths = {name: max([len(name), *(len(row[name]) for row in rows)]) for name in columns}
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        line = "  ".join(row[name].ljust(widths[name]) for name in columns[:-1])
        room = None if width is None else max(20, width - len(line) - 2)
        yield f"{line}  {cut(row[columns[-1]], room)}".rstrip()


def _row(letter: Letter) -> Iterator[tuple[str, str]]:
    yield "ADDRESS", str(letter.address)
    yield "STATE", letter.state
    yield "PARKED AT", instant(letter.parked_at_ms)
    yield "ENDPOINT", letter.endpoint or EVERYONE
    yield "ENTITY", one_line(letter.entity or "-")
    yield "TYPE", one_line(letter.facts.get("event-type", "-"))
    yield "TRIES", letter.facts.get("attempts", "0")
    yield "WHY", one_line(scrub(letter.facts["cause"]))


def one_line(text: str) -> str:
    """Return a text from outside on one line, without terminal control characters."""
    return "".join(char if char.isprintable() else " " for char in text)


def document(letter: Letter) -> dict[str, Any]:
    """Return a letter as JSON values, without its value."""
    facts, origin = letter.facts, letter.origin
    return {
        "address": str(letter.address),
        "state": letter.state,
        "cause": scrub(facts["cause"]),
        "remedy": scrub(facts.get("remedy", "")),
        "endpoint": letter.endpoint,
        "entity": letter.entity,
        "tenant": facts.get("tenant"),
        "event_id": facts.get("event-id"),
        "event_type": facts.get("event-type"),
        "event_index": letter.index or None,
        "event_time": facts.get("event-time"),
        "time_source": facts.get("time-source"),
        "webhook_id": facts.get("webhook-id"),
        "held_behind": letter.held_behind,
        "attempts": int(facts["attempts"]) if facts.get("attempts", "").isdecimal() else 0,
        "parked_at": instant(letter.parked_at_ms),
        "from": {
            "topic": origin.partition.topic,
            "partition": origin.partition.number,
            "offset": origin.offset,
            **({"last_offset": letter.last_offset} if letter.last_offset != origin.offset else {}),
            "timestamp": instant(origin.timestamp_ms),
        },
        "size_bytes": letter.size_bytes,
        **({"value_is": f"bytes of a {letter.raw_of}"} if letter.raw_of else {}),
        "stub": _stub(letter),
        "settlements": [
            {
                "state": settlement.fate.value,
                "at": instant(settlement.at_ms),
                "by": settlement.by,
                "reason": settlement.reason,
            }
            for settlement in letter.settlements
        ],
    }


def _stub(letter: Letter) -> dict[str, Any] | None:
    """Return what a stub has of the whole record; None for a letter that is whole."""
    if not letter.is_stub:
        return None
    facts = letter.facts
    return {
        "value_sha256": facts.get(stub.VALUE_SHA256),
        "record_sha256": facts.get(stub.RECORD_SHA256),
        "key_bytes_left_out": int(facts.get(stub.KEY_BYTES, "0")),
        "headers_left_out": int(facts.get(stub.HEADERS_LEFT_OUT, "0")),
    }


def whole(letter: Letter, bodies: Sequence[bytes], most_bytes: int) -> dict[str, Any]:
    """Return a letter as JSON values, with key, headers, value, and the bodies of its requests."""
    origin = letter.origin
    return document(letter) | {
        "key": _shown(origin.key, most_bytes),
        "headers": [
            [name, MASK if value is not None and _TELLING.search(name) else _shown(value, most_bytes)]
            for name, value in origin.headers
        ],
        "value": _shown(origin.value, most_bytes),
        "requests": [_bytes(body, most_bytes) for body in bodies],
    }


def _shown(raw: bytes | None, most_bytes: int) -> str | None:
    return None if raw is None else _bytes(raw, most_bytes)


def _bytes(raw: bytes, most_bytes: int) -> str:
    """Return the bytes as text if printable, else as ``hex:``; note how many bytes were cut off."""
    shown, left = in_force.head(raw, most_bytes), max(0, len(raw) - most_bytes)
    more = f" … and {left} bytes more (--max-bytes)" if left else ""
    try:
        text = shown.decode()
    except UnicodeDecodeError as exc:
        if not (left and exc.reason == "unexpected end of data"):
            return f"hex:{shown.hex()}{more}"
        text = shown[: exc.start].decode()
    if all(char.isprintable() or char in "\n\r\t" for char in text):
        return text + more
    return f"hex:{shown.hex()}{more}"


def page(shown: dict[str, Any]) -> Iterator[str]:
    """Yield a letter for people: one line per fact, then the value, then the requests."""
    came = shown["from"]
    facts = {
        "address": shown["address"],
        "state": shown["state"],
        "why": shown["cause"],
        "what to do": shown["remedy"],
        "endpoint": shown["endpoint"] or "all: it was rejected before routing",
        "attempts": shown["attempts"],
        "event": " ".join(filter(None, (shown["event_type"], shown["event_id"]))) or "not decoded",
        "number": shown["event_index"] and f"{shown['event_index']} of the events of its record",
        "entity": shown["entity"],
        "tenant": shown["tenant"],
        "time": shown["event_time"] and f"{shown['event_time']} ({shown['time_source']})",
        "webhook-id": shown["webhook_id"],
        "came from": f"{came['topic']}-{came['partition']}@{_offsets(came)}, written {came['timestamp']}",
        "parked at": shown["parked_at"],
        "key": shown["key"] if shown["key"] is not None else "none",
    }
    if shown["stub"]:
        facts["stub"] = (
            f"the record has {shown['size_bytes']} bytes; only their beginning is parked. A redrive reads it"
            " where it came from, if its SHA-256 is still the same. SHA-256 of the value:"
            f" {shown['stub']['value_sha256']}"
        )
    for name, fact in facts.items():
        if fact is not None:
            yield f"{name:<12}{one_line(str(fact))}"
    for done in shown["settlements"]:
        yield f"{done['state']:<12}{done['at']} by {one_line(done['by'])} {one_line(done['reason'])}".rstrip()
    for name, value in shown["headers"]:
        yield f"{'header':<12}{one_line(name)}" + (" (null)" if value is None else f": {one_line(value)}")
    kind = shown.get("value_is", "bytes")
    yield f"{'value':<12}" + ("null" if shown["value"] is None else f"{shown['size_bytes']} {kind}")
    yield from _block(shown["value"] or "")
    for body in shown["requests"]:
        yield "request body, as the bridge renders it from this value"
        yield from _block(body)


def _offsets(came: dict[str, Any]) -> str:
    last = came.get("last_offset")
    return str(came["offset"]) if last is None else f"{came['offset']} to {last}"


def _block(text: str) -> Iterable[str]:
    return (f"  {one_line(line)}" for line in text.splitlines())
