"""The format of a record of ``<group>.attempts``, and how it is read. ``encoding.py`` writes it. Pure.

    key      the endpoint
    headers  hookferry-first-ms, hookferry-last-ms: when the first request was sent, and the last one answered
    value    one line of JSON, a line feed, and then the bytes of headers and bodies, one after the other

A record has many attempts of one endpoint, in order. The JSON has by column the values of all attempts, and
in ``same`` the values that are the same in all of them. For a column of bytes, the value is their number. The
bytes follow the line, column by column (``BYTES``), and those of ``same`` once. A lane is its key (bytes as
hexadecimal digits, anything else in a list) and its tenant.

Records of format 1, which earlier releases wrote, have the names of the columns, and a list of values for
each attempt; their bytes follow attempt by attempt.

Invariant: a reader ignores columns that it does not know, so columns can be added without a new format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import orjson

from bridge.history.attempt import Attempt, AttemptId, Kept, Later
from bridge.model import LaneKey, Record

FORMAT, ROWS_FORMAT = 2, 1
FIRST_MS, LAST_MS = "hookferry-first-ms", "hookferry-last-ms"
BYTES = ("headers", "body", "answer_headers", "answer_body")
"""The columns of bytes."""
NUMBERED_BY = "sent_s"
"""This column always has a value for each attempt."""


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

    Each of ``rows`` has one value per column. For a column of bytes, the value is their number. The bytes of
    the columns of ``same`` are in the record once.
    """

    writer: Writer
    format: int
    columns: tuple[str, ...]
    rows: list[Sequence[Any]]
    same: frozenset[str]


def read_head(value: bytes | None) -> Head:
    """Return the first line of a record's value. Raises ``UnreadableBatch``."""
    try:
        head = orjson.loads((value or b"").partition(b"\n")[0])
        number = head["format"]
        if number not in (FORMAT, ROWS_FORMAT):
            raise UnreadableBatch(f"it has format {number}, and this release reads up to format {FORMAT}")
        writer = Writer(str(head["process"]), str(head["endpoint"]), int(head["number"]))
        columns, rows = _rows(head) if number == ROWS_FORMAT else _transposed(head)
        same = frozenset(head.get("same", ()))
    except UnreadableBatch:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise UnreadableBatch("it is no batch of attempts") from exc
    return Head(writer, number, columns, rows, same)


def _rows(head: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    """Return the columns and the rows of a record of format 1."""
    columns, rows = tuple(head["columns"]), head["attempts"]
    if any(len(row) != len(columns) for row in rows):
        raise UnreadableBatch("an attempt does not have one value per column")
    return columns, rows


def _transposed(head: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    """Return the columns and the rows of a record of format 2."""
    same, varying = head["same"], head["columns"]
    attempts = len(varying[NUMBERED_BY])
    if any(type(values) is not list or len(values) != attempts for values in varying.values()):
        raise UnreadableBatch("a column does not have one value per attempt")
    rows = zip(*(repeat(value, attempts) for value in same.values()), *varying.values(), strict=True)
    return (*same, *varying), list(rows)


def decode(record: Record) -> tuple[Writer, list[Kept]]:
    """Return who wrote a record of the topic, and its attempts. Raises ``UnreadableBatch``."""
    head = read_head(record.value)
    content = (record.value or b"").partition(b"\n")[2]
    try:
        rows = [dict(zip(head.columns, row, strict=True)) for row in head.rows]
        at = (
            _add_bytes_by_row(rows, content)
            if head.format == ROWS_FORMAT
            else _add_bytes(rows, head.same, content)
        )
        if at != len(content):
            raise UnreadableBatch("its bytes do not have the length that it names")
        attempts = [_attempt(row) for row in rows]
    except UnreadableBatch:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        raise UnreadableBatch("it is no batch of attempts") from exc
    number, offset, endpoint = record.partition.number, record.offset, head.writer.endpoint
    return head.writer, [
        Kept(AttemptId(number, offset, index), endpoint, attempt) for index, attempt in enumerate(attempts)
    ]


def _add_bytes_by_row(rows: Sequence[dict[str, Any]], content: bytes) -> int:
    """Replace the lengths by the bytes, in the order of format 1; return where these end."""
    at = 0
    for row in rows:
        for name in row:
            if name in BYTES and (length := row[name]) is not None:
                row[name] = content[at : at + length]
                at += length
    return at


def _add_bytes(rows: Sequence[dict[str, Any]], same: frozenset[str], content: bytes) -> int:
    """Replace the lengths by the bytes, in the order of format 2; return where these end."""
    at = 0
    for name in BYTES:
        is_same = name in same
        for row in rows[:1] if is_same else rows:
            if (length := row.get(name)) is not None:
                row[name] = content[at : at + length]
                at += length
        if is_same:
            for row in rows[1:]:
                row[name] = rows[0][name]
    return at


def _attempt(row: dict[str, Any]) -> Attempt:
    """Return the attempt with these values by column."""
    row["later"] = None if row.get("verdict") == "delivered" else Later(row.get("next_s"))
    lane = row.pop("lane", None)
    attempt = Attempt._make(map(row.get, Attempt._fields))
    return attempt if lane is None else attempt._replace(lane=_lane(attempt, *lane))


def _lane(attempt: Attempt, part: str | list[str | int], tenant: str) -> LaneKey:
    """Return an ordering key: its part is bytes as hexadecimal digits, or a list of a text or a number."""
    key = part[0] if isinstance(part, list) else bytes.fromhex(part)
    return LaneKey(*attempt.source.partition, key, tenant)
