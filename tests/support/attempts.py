"""Attempts for tests of the history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.history.attempt import Attempt, Later
from bridge.history.batch import Writer
from bridge.history.encoding import batch_headers, encode
from bridge.history.pool import size_of
from bridge.history.row import OWN, Common, Entry, Row
from bridge.model import Partition, Record

BEGAN_S = 1_700_000_000.0


def attempt_at(second: float, **facts: Any) -> Attempt:
    """Return an attempt that was sent in this second, and answered a quarter of a second later."""
    usual: dict[str, Any] = {
        "sent_s": BEGAN_S + second, "answered_s": BEGAN_S + second + 0.25, "event_id": f"id-{second:g}",
        "webhook_id": f"msg_{second:g}", "type": "LoanApproved", "entity": "e1", "tenant": None,
        "topic": "orders", "partition": 3, "offset": 17, "event_index": 0,
        "event_time": "2026-06-29T08:15:30Z", "appended_ms": 1_700_000_000_000, "again_id": None,
        "attempt": 1, "method": "POST",
        "url": "https://crm.test:443/***", "status": 200, "verdict": "delivered", "reason": "",
        "body_bytes": 2, "body_sha256": None, "body_masked": False, "own_headers": 1, "repeats": None,
        "origin": None, "origin_ms": None, "later": None, "lane": ("orders", 3, b"e1", ""),
        "headers": b"content-type: application/json",
        "body": b"{}", "answer_headers": b"server: x", "answer_body": b"ok",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }  # fmt: skip
    if facts.get("verdict", "delivered") != "delivered":
        usual["later"] = Later()
    return Attempt(**(usual | facts))


def entry_of(attempt: Attempt) -> Entry:
    """Return an attempt as it waits for the topic."""
    own, common = ([getattr(attempt, name) for name in names] for names in (OWN, Common._fields))
    return Entry._make([*own, tuple(common), size_of(attempt)])


def attempt_of(row: Row) -> Attempt:
    """Return the attempt that waits for the topic."""
    return Attempt(**dict(zip(OWN, row, strict=False)), **Common(*Entry(*row).common)._asdict())


def encoded(writer: Writer, attempts: Iterable[Attempt]) -> bytes:
    """Return the value of a record with these attempts."""
    return encode(writer, [*map(entry_of, attempts)])


def batch_record(
    offset: int, *attempts: Attempt, endpoint: str = "crm", process: str = "p", partition: int = 0
) -> Record:
    """Return the record that a process writes with these attempts, as its number ``offset``."""
    value = encoded(Writer(process, endpoint, offset), attempts)
    headers = batch_headers([*map(entry_of, attempts)])
    return Record(
        Partition("g.attempts", partition), offset, int(attempts[-1].answered_s * 1000), endpoint.encode(),
        value, headers,
    )  # fmt: skip
