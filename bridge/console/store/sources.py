"""Turn records of ``<group>.parked`` and ``<group>.control`` into rows. Pure.

Invariant: applying a record twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from bridge.console.store.database import Change, Row, Run
from bridge.core import changes
from bridge.dead_letters.letter import Fate, Letter, to_letter, to_settlement
from bridge.model import Record
from bridge.telemetry.scrub import scrub

WAITING = "parked"
"""The state of a parked event that was neither sent again nor discarded."""
_LETTER = (
    "INSERT INTO parked (part, place, parked_ms, state, endpoint, event_id, webhook_id, type, entity, tenant,"
    " lane, cause, facts, origin, settled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (part, place) DO NOTHING"
)
_SETTLED = (
    "UPDATE parked SET state = ?, settled = settled || ? WHERE part = ? AND place = ?"
    " AND REPLACE(settled, ?, '') = settled"
)
_PUT = (
    "INSERT INTO control (name, kind, value, token) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value, token = excluded.token"
)
_DELETE = "DELETE FROM control WHERE name = ?"
CHANGE = changes.PREFIX.decode().rstrip("/")


def parked_changes(records: Sequence[Record]) -> list[Change]:
    """Return the rows of dead letters, and of the markers that settled them."""
    letters: list[Row] = []
    settled: list[Row] = []
    for record in records:
        if (settlement := to_settlement(record)) is not None:
            state = WAITING if settlement.fate is Fate.WAITING else settlement.fate.value
            line = f"{orjson.dumps([settlement.at_ms, state, settlement.by, settlement.reason]).decode()}\n"
            settled.append((state, line, settlement.address.number, settlement.address.offset, line))
        elif record.damage is None and (letter := to_letter(record)) is not None:
            letters.append(_letter_row(letter))
    return [Run(_LETTER, letters), Run(_SETTLED, settled)]


def _letter_row(letter: Letter) -> Row:
    facts = letter.facts
    return (
        letter.address.number, letter.address.offset, letter.parked_at_ms, WAITING, letter.endpoint,
        facts.get("event-id"), facts.get("webhook-id"), facts.get("event-type"), letter.entity,
        facts.get("tenant"), facts.get("lane"), scrub(facts["cause"]),
        orjson.dumps({name: scrub(text) for name, text in facts.items()}).decode(), letter.origin.place, "",
    )  # fmt: skip


def control_changes(records: Sequence[Record]) -> list[Change]:
    """Return the rows of the control topic: the last record of each key."""
    last: dict[str, bytes | None] = {}
    for record in records:
        if record.key is not None and record.damage is None:
            name = record.key.decode("utf-8", "replace")
            last.pop(name, None)
            last[name] = record.value
    put = [
        (name, kind_of(name), value, _token(name, value)) for name, value in last.items() if value is not None
    ]
    return [Run(_PUT, put), Run(_DELETE, [(name,) for name, value in last.items() if value is None])]


def kind_of(name: str) -> str:
    """Return the part of a key before its first slash."""
    return name.partition("/")[0]


def _token(name: str, value: bytes) -> str | None:
    """Return the ``Idempotency-Key`` of a change."""
    if kind_of(name) != CHANGE:
        return None
    try:
        return changes.read_change(value).key or None
    except changes.DamagedChangeError:
        return None


def gone_from_control(names: Sequence[str]) -> list[Change]:
    """Return what deletes records that compaction removed. A change is never removed by it."""
    return [Run(_DELETE, [(name,) for name in names])]


def gone_from_parked(begins: Mapping[int, int]) -> list[Change]:
    """Return what deletes letters that the topic does not have any more; ``begins`` are its first offsets."""
    return [Run("DELETE FROM parked WHERE part = ? AND place < ?", sorted(begins.items()))]
