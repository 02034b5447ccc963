"""The format of a record of ``<group>.attempts``: many attempts of one endpoint, in order. Pure.

    key      the endpoint
    headers  hookferry-first-ms, hookferry-last-ms: when the first request was sent, and the last one answered
    value    one line of JSON, a line feed, and then the bytes of headers and bodies, one after the other

The JSON has the names of the columns, and a list of values for each attempt. For a column of bytes, the
value is their number; the bytes follow the line, attempt by attempt, in the order of the columns. A lane is
its key (bytes as hexadecimal digits, anything else in a list) and its tenant.

Invariant: one attempt that cannot be encoded as it is never costs another one. A reader ignores columns that
it does not know, so columns can be added without a new format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from bridge.history.attempt import Attempt, AttemptId, Kept, Later
from bridge.model import Header, LaneKey, Record

FORMAT = 1
FIRST_MS, LAST_MS = "hookferry-first-ms", "hookferry-last-ms"
_BYTES = ("headers", "body", "answer_headers", "answer_body")
"""The columns of bytes: the last ones of ``Attempt``, before the id of the trace."""
_PLAIN = Attempt._fields.index("later")
"""The fields before it are stored as they are."""
_SENT_S, _ANSWERED_S = itemgetter(0), itemgetter(1)
COLUMNS = (*Attempt._fields[:_PLAIN], "trace_id", "next_s", "lane", *_BYTES)


class Writer(NamedTuple):
    """Who wrote a record, and its number there: a record that was written twice has the same ones."""

    process: str
    endpoint: str
    number: int


class WrittenBefore:
    """Recognizes batches that are in the topic twice: a writer that got no answer writes one again."""

    def __init__(self, most: int) -> None:
        """``most``: how many batches are remembered."""
        self._most = most
        self._first: dict[Writer, tuple[int, int]] = {}

    def has(self, writer: Writer, record: Record) -> bool:
        """Return True if another record has the same batch. A record that is read again is the same one."""
        here = record.partition.number, record.offset
        first = self._first.setdefault(writer, here)
        if len(self._first) > self._most:
            del self._first[next(iter(self._first))]
        return first != here


class UnreadableBatch(ValueError):
    """A record of the topic that is no batch of attempts of this format."""


def encode(writer: Writer, attempts: Sequence[Attempt]) -> bytes:
    """Return the value of a record."""
    rows: list[tuple[Any, ...]] = []
    parts: list[bytes] = []
    for attempt in attempts:
        end: tuple[Later | None, Any, bytes, bytes, bytes, bytes]
        end = attempt[_PLAIN:-1]  # type: ignore[assignment]  # None is looked for first
        later, lane, headers, body, answer_headers, answer_body = end
        plain: tuple[Any, ...] = attempt[:_PLAIN]
        next_s = None
        if later is not None:
            next_s = later.at_s
            if later.parked_for:
                plain = attempt._replace(verdict="park", reason=later.parked_for)[:_PLAIN]
        if lane is not None:  # topic and partition are those of the source
            part = lane[2]
            lane = part.hex() if type(part) is bytes else [part], lane[3]
        if None not in end[2:]:
            parts += (headers, body, answer_headers, answer_body)
            lengths = len(headers), len(body), len(answer_headers), len(answer_body)
            rows.append((*plain, attempt[-1], next_s, lane, *lengths))
        else:
            parts += [content for content in end[2:] if content is not None]
            rows.append((*plain, attempt[-1], next_s, lane, *map(_length, end[2:])))
    head = {
        "format": FORMAT,
        "process": writer.process,
        "number": writer.number,
        "endpoint": writer.endpoint,
        "columns": COLUMNS,
        "attempts": rows,
    }
    return b"".join((_json(head), b"\n", *parts))


def _length(content: bytes | None) -> int | None:
    return None if content is None else len(content)


def batch_headers(attempts: Sequence[Attempt]) -> tuple[Header, ...]:
    """Return the headers of a record: when its attempts were made."""
    first_s, last_s = min(map(_SENT_S, attempts)), max(map(_ANSWERED_S, attempts))
    return (FIRST_MS, b"%d" % int(first_s * 1000)), (LAST_MS, b"%d" % int(last_s * 1000 + 1))


def _json(head: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(head)
    except TypeError:  # a text with half of a surrogate pair, or a number that has more than 64 bits
        return orjson.dumps(
            {**head, "attempts": [[_plain(cell) for cell in row] for row in head["attempts"]]}
        )


def _plain(cell: Any) -> Any:
    """Return a value that JSON can contain."""
    if isinstance(cell, int) and not -(1 << 63) <= cell < 1 << 63:
        return str(cell)
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell


def covers(record: Record, since_ms: int | None, until_ms: int | None) -> bool:
    """Return True if a record may contain attempts of [since, until), by its headers alone."""
    first_ms, last_ms = _number(record, FIRST_MS), _number(record, LAST_MS)
    too_old = since_ms is not None and last_ms is not None and last_ms < since_ms
    too_new = until_ms is not None and first_ms is not None and first_ms >= until_ms
    return not (too_old or too_new)


def _number(record: Record, name: str) -> int | None:
    value = record.last_header(name)
    return int(value) if value is not None and value.isdigit() else None


class Head(NamedTuple):
    """The first line of a record: who wrote it, and the values of its attempts but for the bytes.

    Each of ``rows`` has one value per column. For a column of bytes, the value is their number.
    """

    writer: Writer
    columns: tuple[str, ...]
    rows: list[list[Any]]


def read_head(value: bytes | None) -> Head:
    """Return the first line of a record's value. Raises ``UnreadableBatch``."""
    try:
        head = orjson.loads((value or b"").partition(b"\n")[0])
        if head["format"] != FORMAT:
            raise UnreadableBatch(f"it has format {head['format']}, and this release reads format {FORMAT}")
        writer = Writer(str(head["process"]), str(head["endpoint"]), int(head["number"]))
        columns, rows = tuple(head["columns"]), head["attempts"]
        if any(len(row) != len(columns) for row in rows):
            raise UnreadableBatch("an attempt does not have one value per column")
    except UnreadableBatch:
        raise
    except (ValueError, TypeError, KeyError) as exc:
        raise UnreadableBatch("it is no batch of attempts") from exc
    return Head(writer, columns, rows)


def decode(record: Record) -> tuple[Writer, list[Kept]]:
    """Return who wrote a record of the topic, and its attempts. Raises ``UnreadableBatch``."""
    writer, columns, rows = read_head(record.value)
    content = (record.value or b"").partition(b"\n")[2]
    try:
        attempts = _attempts(columns, rows, content)
    except UnreadableBatch:
        raise
    except (ValueError, TypeError, KeyError) as exc:
        raise UnreadableBatch("it is no batch of attempts") from exc
    number, offset = record.partition.number, record.offset
    return writer, [
        Kept(AttemptId(number, offset, index), writer.endpoint, attempt)
        for index, attempt in enumerate(attempts)
    ]


def _lane(attempt: Attempt, part: str | list[str | int], tenant: str) -> LaneKey:
    """Return an ordering key: its part is bytes as hexadecimal digits, or a list of a text or a number."""
    key = part[0] if isinstance(part, list) else bytes.fromhex(part)
    return LaneKey(*attempt.source.partition, key, tenant)


def _attempts(columns: tuple[str, ...], rows: Sequence[Sequence[Any]], content: bytes) -> list[Attempt]:
    attempts, at = [], 0
    for row in rows:
        values = dict(zip(columns, row, strict=True))
        for name in columns:
            if name in _BYTES and (length := values[name]) is not None:
                values[name] = content[at : at + length]
                at += length
        next_s, verdict = values.get("next_s"), values.get("verdict")
        values["later"] = None if verdict == "delivered" else Later(next_s)
        lane = values.pop("lane", None)
        attempt = Attempt._make(map(values.get, Attempt._fields))
        attempts.append(attempt if lane is None else attempt._replace(lane=_lane(attempt, *lane)))
    if at != len(content):
        raise UnreadableBatch("its bytes do not have the length that it names")
    return attempts
