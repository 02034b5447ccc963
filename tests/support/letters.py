"""Records of a dead-letter topic, and the letters read from them."""

from __future__ import annotations

from bridge.dead_letters.letter import Letter, to_letter
from bridge.model import Partition, Record

FACTS = {
    "cause": "status 400: No such order", "remedy": "fix it", "topic": "orders", "partition": "3",
    "offset": "17", "timestamp-ms": "1700000000123", "parked-at-ms": "1700000500000", "endpoint": "crm",
    "event-id": "a", "event-type": "LoanApproved", "webhook-id": "w", "attempts": "2",
}  # fmt: skip


def letter_record(
    at: int = 5, key: bytes | None = b"e1", value: bytes | None = b"{}", **facts: str | None
) -> Record:
    """Return the record at g.parked-1@(at); a fact that is None is left out."""
    given = {**FACTS, **{name.replace("_", "-"): fact for name, fact in facts.items()}}
    headers = tuple((f"hookferry-{name}", fact.encode()) for name, fact in given.items() if fact is not None)
    return Record(Partition("g.parked", 1), at, 1_700_000_500_001, key, value, (("trace", b"\xff"), *headers))


def letter_at(at: int = 5, **facts: str | None) -> Letter:
    """Return the letter in that record."""
    letter = to_letter(letter_record(at, **facts))
    assert letter is not None
    return letter
