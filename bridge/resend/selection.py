"""The attempts that a bulk re-send has selected, in the order in which they are sent.

Of the attempts of one event to one endpoint, the last one counts. They are sent in the order of the history,
except that the events of one partition of a source keep their order there. Invariant: memory does not grow
with the number of attempts, which are in a temporary file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from bridge.errors import HookferryError
from bridge.history.attempt import AttemptId, Kept
from bridge.resend.entries import Refusal

Done = Mapping[str, Mapping[str, Mapping[str, list[int]]]]
"""By endpoint, topic and partition: the last event that was sent (offset, number in the record, time)."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -4000;
CREATE TABLE picked (
    endpoint TEXT, topic TEXT, number INTEGER, offset INTEGER, part INTEGER, at_ms INTEGER,
    sent_s REAL, a INTEGER, b INTEGER, c INTEGER, size INTEGER, refusal TEXT,
    PRIMARY KEY (endpoint, topic, number, offset, part, at_ms)
) WITHOUT ROWID;
"""
_PICK = """
INSERT INTO picked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET sent_s = excluded.sent_s, a = excluded.a, b = excluded.b, c = excluded.c,
    size = excluded.size, refusal = excluded.refusal
WHERE excluded.sent_s >= sent_s
"""
_ORDER = """
CREATE TABLE ordered AS
WITH slots AS (
    SELECT endpoint, topic, number, a, b, c,
        row_number() OVER (PARTITION BY endpoint, topic, number ORDER BY a, b, c) AS n
    FROM picked WHERE refusal IS NULL
), ranks AS (
    SELECT endpoint, topic, number, offset, part, at_ms, a, b, c, size,
        row_number() OVER (PARTITION BY endpoint, topic, number ORDER BY offset, part, at_ms) AS n
    FROM picked WHERE refusal IS NULL
)
SELECT row_number() OVER (ORDER BY slots.a, slots.b, slots.c) AS turn, ranks.*
FROM ranks JOIN slots USING (endpoint, topic, number, n)
ORDER BY turn;
CREATE UNIQUE INDEX by_turn ON ordered (turn);
"""
_SENT = """
DELETE FROM ordered WHERE endpoint = ? AND topic = ? AND number = ? AND (offset, part, at_ms) <= (?, ?, ?)
"""


class SelectionError(HookferryError):
    """The temporary file of a selection cannot be written."""


class Turn(NamedTuple):
    """One event to send: its place in the order, its endpoint, where it came from, and its attempt."""

    turn: int
    endpoint: str
    topic: str
    number: int
    spot: list[int]
    attempt: AttemptId


class Selection:
    """Selected attempts. ``pick`` all, then ``arrange`` once, then read ``next_turns``.

    Usable in one thread at a time. Its file is deleted when it is closed, and if the process is killed.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Delete everything."""
        self._db.close()

    def pick(self, attempts: Iterable[tuple[Kept, Refusal | None]]) -> None:
        """Add attempts; one that cannot be sent has a reason. Raises ``SelectionError``."""
        with _on_disk():
            self._db.execute("BEGIN")
            self._db.executemany(_PICK, (_row(kept, reason) for kept, reason in attempts))
            self._db.execute("COMMIT")

    def arrange(self, done: Done) -> None:
        """Put them in order, without those that were sent before. Raises ``SelectionError``."""
        with _on_disk():
            self._db.executescript(_ORDER)
            for endpoint, topics in done.items():
                for topic, numbers in topics.items():
                    for number, spot in numbers.items():
                        self._db.execute(_SENT, (endpoint, topic, int(number), *spot))

    @property
    def left(self) -> int:
        """Return how many are in order."""
        return int(self._db.execute("SELECT count(*) FROM ordered").fetchone()[0])

    def by_endpoint(self) -> dict[str, int]:
        """Return how many are in order, by endpoint."""
        return dict(self._db.execute("SELECT endpoint, count(*) FROM ordered GROUP BY endpoint"))

    def refused(self) -> dict[Refusal, int]:
        """Return how many cannot be sent, by reason."""
        counts = self._db.execute(
            "SELECT refusal, count(*) FROM picked WHERE refusal IS NOT NULL GROUP BY refusal"
        )
        return {Refusal[name]: number for name, number in counts}

    def next_turns(self, after: int, most: int, most_bytes: int) -> list[Turn]:
        """Return the next turns: at most this number, and of this size unless a single one is larger."""
        turns, size_bytes = list[Turn](), 0
        rows = self._db.execute(
            "SELECT turn, endpoint, topic, number, offset, part, at_ms, a, b, c, size FROM ordered"
            " WHERE turn > ? ORDER BY turn LIMIT ?",
            (after, most),
        )
        for turn, endpoint, topic, number, offset, part, at_ms, a, b, c, size in rows:
            size_bytes += size
            if turns and size_bytes > most_bytes:
                break
            turns.append(Turn(turn, endpoint, topic, number, [offset, part, at_ms], AttemptId(a, b, c)))
        return turns


@contextmanager
def _on_disk() -> Iterator[None]:
    """Map the errors of the temporary file."""
    try:
        yield
    except sqlite3.Error as exc:
        raise SelectionError(
            f"cannot keep the selected attempts in a temporary file: {exc}; set TMPDIR to a folder that has"
            " room and can be written"
        ) from exc


def _row(kept: Kept, reason: Refusal | None) -> tuple[object, ...]:
    attempt = kept.attempt
    partition, offset, at_ms = attempt.source
    return (
        kept.endpoint, partition.topic, partition.number, offset, attempt.event_index, at_ms,
        attempt.sent_s, *kept.id, attempt.body_bytes, None if reason is None else reason.name,
    )  # fmt: skip
