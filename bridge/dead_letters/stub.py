"""A dead letter for a record that is too large: what is kept of it, and how the record is recognized. Pure.

Invariant: ``mismatch`` accepts exactly the record that the stub was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from bridge.model import Header, Record

VALUE_BYTES = "stub-value-bytes"
"""The size of the value; also how a stub is recognized. The other facts of a stub follow."""
VALUE_SHA256 = "stub-value-sha256"
RECORD_SHA256 = "stub-record-sha256"
KEY_BYTES = "stub-key-bytes"
HEADERS_LEFT_OUT = "stub-headers-left-out"
NULL = "null"
_FACT_CHARS = 500
"""An event's id, type or entity comes from the record, and may be as large as it."""


class Budget(NamedTuple):
    """The bytes that a stub may keep of the value, and of the key and the headers each."""

    value: int
    others: int


BUDGETS = (Budget(65_536, 32_768), Budget(1_024, 1_024), Budget(0, 0))
"""Tried in this order: the first suits every topic with Kafka's default limit of 1 MiB."""


def cut(record: Record, budget: Budget) -> Record:
    """Return the record with the beginning of its value, its key if it fits, and the headers that fit."""
    value = None if record.value is None else record.value[: budget.value]
    key = record.key if len(record.key or b"") <= budget.others else None
    return record._replace(key=key, value=value, headers=_fitting(record.headers, budget.others))


def stub_facts(record: Record, kept: Record) -> dict[str, str]:
    """Return what a stub records about the whole record; ``kept`` is what it contains of it."""
    value = record.value
    left_out = len(record.headers) - len(kept.headers)
    return {
        VALUE_BYTES: NULL if value is None else str(len(value)),
        VALUE_SHA256: sha256(value or b"").hexdigest(),
        RECORD_SHA256: digest(record),
        **({KEY_BYTES: str(len(record.key))} if record.key is not None and kept.key is None else {}),
        **({HEADERS_LEFT_OUT: str(left_out)} if left_out else {}),
    }


def shorten_facts(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of a letter with long values cut."""
    return {name: fact[:_FACT_CHARS] for name, fact in facts.items()}


def digest(record: Record) -> str:
    """Return the SHA-256 of timestamp, key, value and headers, each with its length: 64 hex digits."""
    sha = sha256(str(record.timestamp_ms).encode())
    names_and_values = (part for name, value in record.headers for part in (_raw(name), value))
    for part in (record.key, record.value, *names_and_values):
        sha.update(b"-;" if part is None else b"%d;" % len(part))
        sha.update(part or b"")
    return sha.hexdigest()


def mismatch(facts: Mapping[str, str], source: Record | None) -> tuple[str, str] | None:
    """Return why a stub cannot be sent again (cause and remedy); None if ``source`` is its whole record.

    ``source`` is the record that is now at its place, if there is one.
    """
    remedy = "write the event again at its producer, then discard this one"
    place = f"{facts['topic']}-{facts['partition']}@{facts['offset']}"
    if source is None:
        return f"it is a stub, and its record is no longer at {place}", remedy
    if digest(source) != facts.get(RECORD_SHA256):
        return f"it is a stub, and another record is at {place}: the SHA-256 differs", remedy
    return None


def _fitting(headers: Iterable[Header], budget: int) -> tuple[Header, ...]:
    kept: list[Header] = []
    for name, value in headers:
        size = len(_raw(name)) + len(value or b"")
        if size <= budget:
            kept.append((name, value))
            budget -= size
    return tuple(kept)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
