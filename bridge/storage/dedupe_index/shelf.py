"""Store the keys of one partition, each with its first event, in two SQLite tables.

Every call may raise what reading a damaged file raises (``_DAMAGE`` of the package).
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal

from bridge.core.dedupe import Claim
from bridge.model import Partition

_BATCHES = 8
"""Batches that must agree on the time before keys are forgotten: a few records may be far ahead of the log,
each of them in a batch of its own."""
_CHUNK = 512
"""Keys per SELECT: below SQLite's oldest limit of 999 parameters."""
_ODD, _MOST = 0x9E3779B97F4A7C15, 0x7FFFFFFFFFFFFFFF
"""The lower half of a key is stored XORed with ``first * _ODD & _MOST``: a row whose offset was damaged
becomes the row of another key. Otherwise a flipped bit in the file could make an event a duplicate of a
later one, and it would be lost."""


_MARKS = {size: ",".join("?" * size) for size in (1 << power for power in range(_CHUNK.bit_length()))}
_ROWS = 64
"""Rows per INSERT, with four parameters each. More of them bring next to nothing."""
_PLACES = {
    size: ",".join(["(?,?,?,?)"] * size) for size in (1 << power for power in range(_ROWS.bit_length()))
}
_Row = tuple[int, int, int, int]
"""The upper half of a key, the sealed lower half, the first offset and its digest."""


class Shelf:
    """The keys of one partition in two tables, the current one and the older one.

    A window that slides key by key would need a second index. Two tables that are swapped when the
    current one is a window old (or full) forget in one step. A key of the older table that is claimed
    again moves to the current one, so a key in use is kept. Keys are remembered for one to two windows.
    """

    def __init__(self, db: sqlite3.Connection, row: tuple[int, int, int, int, int, int, int]) -> None:
        if not all(type(column) is int for column in row):
            raise sqlite3.DatabaseError("a partition's row contains a value of the wrong type")
        self.id, self.start, self.end, self.generation, self.began_ms, self.keys, self.middle = row
        self._times = deque([self.began_ms] if self.began_ms else [], maxlen=_BATCHES)
        self._db = db
        for age in (0, 1):
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table(age)}"
                " (high INTEGER PRIMARY KEY, sealed INTEGER NOT NULL, first INTEGER NOT NULL,"
                " digest INTEGER NOT NULL) STRICT"
            )
        self._is_older_empty = db.execute(f"SELECT 1 FROM {self._table(1)} LIMIT 1").fetchone() is None

    @classmethod
    def of(cls, db: sqlite3.Connection, partition: Partition) -> Shelf:
        """Return the shelf of a partition, empty if there is none yet."""
        db.execute(
            "INSERT OR IGNORE INTO partitions VALUES (NULL, ?, ?, 0, 0, 0, 0, 0, 0)",
            (partition.topic, partition.number),
        )
        row = db.execute(
            "SELECT id, start, end, generation, began_ms, keys, middle FROM partitions"
            " WHERE topic=? AND number=?",
            (partition.topic, partition.number),
        ).fetchone()
        return cls(db, row)

    @staticmethod
    def forget_all(db: sqlite3.Connection) -> None:
        """Delete the keys and covered stretches of all partitions."""
        for (number,) in db.execute("SELECT id FROM partitions").fetchall():
            for age in (0, 1):
                db.execute(f"DROP TABLE IF EXISTS keys_{int(number)}_{age}")
        db.execute("DELETE FROM partitions")

    def _table(self, age: int) -> str:
        return f"keys_{self.id}_{(self.generation + age) % 2}"

    def known(self, claims: Sequence[Claim]) -> dict[tuple[int, int], Claim]:
        """Return the first events of those claims whose keys are in the tables."""
        highs = [claim.key_high for claim in claims]
        known = self._read(1, highs)
        _add_earlier(known, self._read(0, highs))
        return known

    def _read(self, age: int, highs: Sequence[int]) -> dict[tuple[int, int], Claim]:
        """Return what is stored in one of the tables for the upper halves of keys."""
        found: dict[tuple[int, int], Claim] = {}
        if age and self._is_older_empty:
            return found
        for at in range(0, len(highs), _CHUNK):
            chunk = list(highs[at : at + _CHUNK])
            size = 1 << (len(chunk) - 1).bit_length()  # a power of two, so that few statements are prepared
            chunk += chunk[:1] * (size - len(chunk))
            rows = self._db.execute(
                f"SELECT high, sealed, first, digest FROM {self._table(age)} WHERE high IN ({_MARKS[size]})",
                chunk,
            )
            for high, sealed, offset, digest in rows:
                low = sealed ^ (offset * _ODD & _MOST)
                found[high, low] = Claim(high, low, offset, digest)
        return found

    def firsts(self, claims: Sequence[Claim]) -> list[Claim]:
        """Add the claims, and return the first event of each one's key.

        Most batches contain new keys only: they are inserted, and read only where one was there before.
        """
        rows = _rows(claims)
        older, before = self._read(1, [*rows]), self._db.total_changes
        self._insert("IGNORE", rows.values())
        self.keys += len(rows)
        if not older and len(rows) == len(claims) == self._db.total_changes - before:
            return list(claims)
        current, known = self._read(0, [*rows]), older
        _add_earlier(known, current)
        firsts: list[Claim] = []
        changed: list[Claim] = []
        for claim in claims:
            key = claim[:2]
            first = known.get(key)
            if first is None or first.offset > claim.offset:
                first = known[key] = claim
            firsts.append(first)
            if current.get(key) != first:
                changed.append(first)
        self._insert("REPLACE", _rows(changed).values())
        return firsts

    def _insert(self, otherwise: Literal["IGNORE", "REPLACE"], rows: Iterable[_Row]) -> None:
        """Insert rows into the current table. ``otherwise``: what to do where a key is there already.

        Each statement takes several rows. With one for each row, other threads could take the interpreter
        four times per row, and the loop would wait for it.
        """
        left = list(rows)
        while left:
            size = min(_ROWS, 1 << (len(left).bit_length() - 1))  # few sizes, so that few are prepared
            self._db.execute(
                f"INSERT OR {otherwise} INTO {self._table(0)} VALUES {_PLACES[size]}",
                [*chain.from_iterable(left[:size])],
            )
            del left[:size]

    def log_time(self, at_ms: int) -> int:
        """Add the time of a batch, and return the time of the log: the earliest of the last few batches."""
        self._times.append(at_ms)
        return min(self._times)

    def turn(self, at_ms: int, offset: int) -> None:
        """Empty the older table and swap the two."""
        self.start = max(self.start, self.middle)
        self.middle = offset
        self.generation = (self.generation + 1) % 2
        self._is_older_empty = False
        self.began_ms = at_ms
        self.keys = 0
        self._db.execute(f"DELETE FROM {self._table(0)}")

    def clear(self, offset: int, at_ms: int) -> None:
        """Forget everything. The covered stretch is empty, at ``offset``."""
        for age in (0, 1):
            self._db.execute(f"DELETE FROM {self._table(age)}")
        self._is_older_empty = True
        self.start = self.end = self.middle = offset
        self.began_ms = at_ms
        self.keys = 0

    def save(self) -> None:
        """Write the covered stretch in the transaction of the keys."""
        self._db.execute(
            "UPDATE partitions SET start=?, end=?, generation=?, began_ms=?, keys=?, middle=? WHERE id=?",
            (self.start, self.end, self.generation, self.began_ms, self.keys, self.middle, self.id),
        )


def _rows(claims: Iterable[Claim]) -> dict[int, _Row]:
    """Return the rows of claims, by the upper half of the key."""
    return {
        high: (high, low ^ (offset * _ODD & _MOST), offset, digest) for high, low, offset, digest in claims
    }


def _add_earlier(known: dict[tuple[int, int], Claim], more: Mapping[tuple[int, int], Claim]) -> None:
    """Add first events, and keep the earlier one of two for a key."""
    for key, claim in more.items():
        first = known.get(key)
        if first is None or claim.offset < first.offset:
            known[key] = claim
