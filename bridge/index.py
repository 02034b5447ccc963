"""Edge of step 3: the dedupe index, key -> first offset, in a SQLite file.

A cache of the log and nothing more: a file that is lost or damaged is replaced and read again from
Kafka. Edge floor; called from the event loop, microseconds per key, no fsync on the way.
"""

from __future__ import annotations

import errno
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from bridge.dedupe import Claim, Stretch
from bridge.errors import ConfigError
from bridge.model import Partition
from bridge.telemetry import events

_log = structlog.get_logger()
_CHUNK = 500
"""Keys per SELECT: below SQLite's oldest limit of 999 parameters."""
_CACHE_KIB = 32 * 1024
_ODD, _MOST = 0x9E3779B97F4A7C15, 0x7FFFFFFFFFFFFFFF
_DAMAGE = (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError, OverflowError)
"""What reading a damaged file raises: its columns may hold anything."""

_MEMORY_REMEDY = "free the disk and restart; until then the dedupe index is kept in memory"

_VERSION = 2
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, number INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL,
    generation INTEGER NOT NULL, began_ms INTEGER NOT NULL, keys INTEGER NOT NULL,
    middle INTEGER NOT NULL,
    UNIQUE (topic, number)
) STRICT;
PRAGMA user_version = {_VERSION};
"""


def _seal(first: int) -> int:
    """What a key's lower half is stored with: a row whose offset was damaged is the row of another key.

    Without it, a flipped bit in a file could make an event pass for a duplicate of a later one, and be lost.
    """
    return (first * _ODD) & _MOST


class _Shelf:
    """The keys of one partition in two tables, the current and the one before.

    A window that slides key by key would need a second index; two tables that change places when
    the current one is a window old (or full) forget in one step. A key in the older table that
    comes again moves to the current one, so a key that keeps coming is kept. What is remembered is
    one to two windows.
    """

    def __init__(self, db: sqlite3.Connection, row: tuple[int, int, int, int, int, int, int]) -> None:
        if not all(type(one) is int for one in row):
            raise sqlite3.DatabaseError("a cover holds what was never written")
        self.id, self.start, self.end, self.generation, self.began_ms, self.keys, self.middle = row
        self._db = db
        for age in (0, 1):
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table(age)}"
                " (high INTEGER PRIMARY KEY, sealed INTEGER NOT NULL, first INTEGER NOT NULL) STRICT"
            )

    def _table(self, age: int) -> str:
        return f"keys_{self.id}_{(self.generation + age) % 2}"

    def known(self, claims: Sequence[Claim]) -> dict[tuple[int, int], int]:
        """The first offsets of those keys that are in the tables."""
        known: dict[tuple[int, int], int] = {}
        for age in (1, 0):
            for at in range(0, len(claims), _CHUNK):
                chunk = [claim.key_high for claim in claims[at : at + _CHUNK]]
                marks = ",".join("?" * len(chunk))
                rows = self._db.execute(
                    f"SELECT high, sealed, first FROM {self._table(age)} WHERE high IN ({marks})", chunk
                )
                for high, sealed, first in rows:
                    low = sealed ^ _seal(first)
                    known[high, low] = min(first, known.get((high, low), first))
        return known

    def firsts(self, claims: Sequence[Claim]) -> list[int]:
        """The first offset of each claim's key, these claims included."""
        known = self.known(claims)
        firsts, changed = [], {}
        for high, low, offset in claims:
            first = known.get((high, low))
            if first is None or first > offset:
                first = known[high, low] = offset
            firsts.append(first)
            changed[high] = (high, low ^ _seal(first), first)
        self._db.executemany(f"INSERT OR REPLACE INTO {self._table(0)} VALUES (?, ?, ?)", changed.values())
        self.keys += len(changed)
        return firsts

    def turn(self, at_ms: int, offset: int) -> None:
        """Forget the older table; the current one becomes the older."""
        self.start = max(self.start, self.middle)
        self.middle = offset
        self.generation = (self.generation + 1) % 2
        self.began_ms = at_ms
        self.keys = 0
        self._db.execute(f"DELETE FROM {self._table(0)}")

    def clear(self, offset: int, at_ms: int) -> None:
        """Forget everything; the cover is the empty stretch at ``offset``."""
        for age in (0, 1):
            self._db.execute(f"DELETE FROM {self._table(age)}")
        self.start = self.end = self.middle = offset
        self.began_ms = at_ms
        self.keys = 0

    def save(self) -> None:
        """Write the cover beside the keys, in the same transaction."""
        self._db.execute(
            "UPDATE partitions SET start=?, end=?, generation=?, began_ms=?, keys=?, middle=? WHERE id=?",
            (self.start, self.end, self.generation, self.began_ms, self.keys, self.middle, self.id),
        )


class IndexLostError(Exception):
    """The index had to begin anew in memory: what it covered must be read from the log again."""


class KeyIndex:
    """The dedupe index of all partitions of this process.

    A disk that fails or is full costs the file and no event: the index begins anew in memory, says
    so, and the next ``claim`` raises ``IndexLostError`` once.

    Keys are 128 bits of a hash, matched whole, so two keys do not pass for one. Writes gather in
    one transaction until ``flush``: after a crash, keys and cover are both as of the last flush.
    """

    def __init__(self, path: Path | None, *, window_s: float, max_keys: int) -> None:
        """Open the file; without a path, a temporary one of SQLite's own that goes with the process."""
        self._window_ms = int(window_s * 1000)
        self._max_keys = max_keys
        self._path = path
        self._db = _open(path) if path is not None else _connect("")
        self._shelves: dict[Partition, _Shelf] = {}
        self._lost = False

    def covered(self, partition: Partition) -> Stretch | None:
        """Which stretch of the log it knows, or None. Raises ``IndexLostError``."""
        with self._or_in_memory():
            shelf = self._shelf(partition)
        return Stretch(shelf.start, shelf.end) if shelf.end > shelf.start else None

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        """The first offset of each claim's key, and remember them.

        The claims are those of the records up to ``end`` (the next offset to read), ascending;
        ``at_ms`` is the timestamp of the last of them. Raises ``IndexLostError``.
        """
        if self._lost:
            self._lost = False
            raise IndexLostError
        with self._or_in_memory():
            return self._claim(partition, claims, end, at_ms)

    def _claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        shelf = self._shelf(partition)
        if not shelf.began_ms:
            shelf.began_ms = at_ms
        if at_ms - shelf.began_ms > self._window_ms or shelf.keys + len(claims) > self._max_keys:
            shelf.turn(at_ms, claims[0].offset if claims else end)
        firsts = shelf.firsts(claims)
        shelf.end = max(shelf.end, end)
        shelf.save()
        return firsts

    def lend(
        self, partition: Partition, claims: Sequence[Claim], since: int, stretch: Stretch, at_ms: int
    ) -> list[int] | None:
        """``claim`` for a reader that is behind the one whose index this is: what is known is looked up.

        None where the index does not know the log from ``since`` up to the ``stretch`` of the claims: the
        asker needs one of its own. What lies beyond its cover, it learns by this.
        """
        if self._lost:
            return None
        try:
            shelf = self._shelf(partition)
            if not shelf.start <= since <= stretch.start <= shelf.end:
                return None
            passed = bisect_left(claims, shelf.end, key=lambda claim: claim.offset)
            known = shelf.known(claims[:passed])
            firsts = [known.get((high, low), offset) for high, low, offset in claims[:passed]]
            if stretch.end > shelf.end:
                firsts += self._claim(partition, claims[passed:], stretch.end, at_ms)
            return firsts
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            self._lost = True  # its own reader has yet to hear of it
            return None

    def reset(self, partition: Partition, offset: int) -> None:
        """Forget a partition and begin its cover at ``offset``: what it knew does not reach there.

        Raises ``IndexLostError``.
        """
        with self._or_in_memory():
            shelf = self._shelf(partition)
            shelf.clear(offset, 0)
            shelf.save()

    def forget(self) -> None:
        """Forget all partitions: what is known is of another log."""
        try:
            for (number,) in self._db.execute("SELECT id FROM partitions").fetchall():
                for age in (0, 1):
                    self._db.execute(f"DROP TABLE IF EXISTS keys_{int(number)}_{age}")
            self._db.execute("DELETE FROM partitions")
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
        self._shelves = {}
        self.flush()

    def flush(self) -> None:
        """Make what was claimed so far outlive this process."""
        try:
            if self._db.in_transaction:
                self._db.commit()
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            self._lost = True

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        self._db.close()

    @contextmanager
    def _or_in_memory(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            raise IndexLostError from exc

    def _begin_in_memory(self, exc: Exception) -> None:
        damaged = self._path is not None and not isinstance(exc, sqlite3.OperationalError)
        remedy = "none needed: it is read again from Kafka" if damaged else _MEMORY_REMEDY
        _log.error(events.INDEX_FAILED, cause=str(exc), remedy=remedy)
        with suppress(sqlite3.Error):
            self._db.close()
        if damaged and self._path is not None:
            with suppress(OSError):
                _delete(self._path)
        self._db = _connect(":memory:")
        self._shelves = {}

    def _shelf(self, partition: Partition) -> _Shelf:
        shelf = self._shelves.get(partition)
        if shelf is None:
            self._db.execute(
                "INSERT OR IGNORE INTO partitions VALUES (NULL, ?, ?, 0, 0, 0, 0, 0, 0)",
                (partition.topic, partition.number),
            )
            row = self._db.execute(
                "SELECT id, start, end, generation, began_ms, keys, middle FROM partitions"
                " WHERE topic=? AND number=?",
                (partition.topic, partition.number),
            ).fetchone()
            shelf = self._shelves[partition] = _Shelf(self._db, row)
        return shelf


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or a new one; raises ``ConfigError`` where none can be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _open_or_replace(path)
    except (OSError, sqlite3.Error) as exc:
        if "full" in str(exc) or getattr(exc, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _log.error(events.INDEX_FAILED, cause=str(exc), remedy=_MEMORY_REMEDY)
            return _connect(":memory:")
        raise ConfigError(
            [f"state_dir {path.parent}: cannot keep files ({exc}); name a folder that can be written to"]
        ) from exc


def _open_or_replace(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc):
            raise  # no damage: another process works with this folder
        _log.error(
            events.INDEX_REPLACED,
            file=str(path),
            cause=str(exc),
            remedy="none needed: it is read again from Kafka",
        )
        _delete(path)
        return _connect(path)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level="DEFERRED", check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check failed")
        if db.execute("PRAGMA user_version").fetchone() not in ((0,), (_VERSION,)):
            raise sqlite3.DatabaseError("it was written by another version")
        db.executescript(_SCHEMA)
    except UnicodeDecodeError as exc:  # sqlite3 cannot even say what is wrong: it quotes the damage
        db.close()
        raise sqlite3.DatabaseError("its schema is damaged") from exc
    except BaseException:
        db.close()
        raise
    return db
