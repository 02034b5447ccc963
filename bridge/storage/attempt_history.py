"""Store one row per attempt, with the request as it was sent, in a SQLite file.

Rows are collected in memory, and a thread writes many of them per transaction. Invariant: an offset
is committed after the rows of what it settles (``pipeline/checkpoints.py`` calls ``flush`` first).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import structlog

from bridge.storage.private_files import make_file, make_folder
from bridge.telemetry import events

_log = structlog.get_logger()
_PRUNE_ROWS = 5_000
"""Rows that one flush deletes at most: a delete must not lock the file for long."""
_COLUMNS = (
    "at_ms", "endpoint", "event_id", "webhook_id", "type", "entity", "tenant", "topic", "partition",
    "offset", "attempt", "verdict", "status", "reason", "duration_ms", "method", "origin", "headers",
    "body",
)  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, at_ms INTEGER, endpoint TEXT, event_id TEXT, webhook_id TEXT, type TEXT,
    entity TEXT, tenant TEXT, topic TEXT, partition INTEGER, offset INTEGER, attempt INTEGER,
    verdict TEXT, status INTEGER, reason TEXT, duration_ms REAL, method TEXT, origin TEXT,
    headers BLOB, body BLOB
) STRICT;
PRAGMA user_version = 1;
"""
_INSERT = f"INSERT INTO attempts ({','.join(_COLUMNS)}) VALUES "
_MARKS = f"({','.join('?' * len(_COLUMNS))})"
_SLICES = (256, 64, 16, 4, 1)
"""Rows per statement. ``sqlite3`` releases and acquires the GIL for every step, and with a busy event
loop each acquisition can take 5 ms: one step per 256 rows, not one per row. A few fixed sizes stay in
the statement cache; 256 rows of 19 values are well below SQLite's 32,766 parameters."""


class AttemptRow(NamedTuple):
    """One attempt. ``headers`` are masked; of the URL, only ``origin`` is stored."""

    at_ms: int
    endpoint: str
    event_id: str
    webhook_id: str
    type: str
    entity: str | None
    tenant: str | None
    topic: str
    partition: int
    offset: int
    attempt: int
    verdict: str
    status: int | None
    reason: str
    duration_ms: float
    method: str
    origin: str
    headers: bytes
    body: bytes | None


class History:
    """Keeps the attempts of the last ``retention_s`` seconds, in at most ``max_bytes``.

    If the file cannot be written (a full disk, for example), deliveries go on: the first failure is
    logged, the rows are counted as dropped, and the next batch is tried again.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention_s: float,
        max_bytes: int,
        count: Callable[[str, int], None] = lambda outcome, rows: None,
    ) -> None:
        """``count``: called with ``written`` or ``dropped`` and a number of rows."""
        self._path = path
        self._retention_ms = int(retention_s * 1000)
        self._max_bytes = max_bytes
        self._count = count
        self._rows: list[AttemptRow] = []
        self.add: Callable[[AttemptRow], None] = self._rows.append
        """Keep a row for the next flush. Not a method: it is called for every attempt."""
        self._db: sqlite3.Connection | None = None
        self._failing = False
        self._lock = asyncio.Lock()

    async def flush(self) -> None:
        """Write the added rows. Return when they are in the file, or dropped with a log line."""
        async with self._lock:
            rows = self._rows.copy()
            self._rows.clear()
            if not rows:
                return
            try:
                await asyncio.to_thread(self._write, rows)
            except (sqlite3.Error, OSError) as exc:
                if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
                    self._set_aside(exc)
                    self._rows[:0] = rows
                    return
                self._count("dropped", len(rows))
                self._forget_connection()
                if not self._failing:
                    self._failing = True
                    _log.error(
                        events.HISTORY_FAILED,
                        file=str(self._path),
                        cause=str(exc),
                        remedy="free disk space or fix the path; deliveries go on without history",
                    )
            else:
                self._count("written", len(rows))
                if self._failing:
                    self._failing = False
                    _log.info(events.HISTORY_RECOVERED, file=str(self._path))

    async def close(self) -> None:
        """Write the remaining rows and close the file."""
        await self.flush()
        self._forget_connection()

    def _write(self, rows: Sequence[AttemptRow]) -> None:
        if self._db is None:
            self._db = _connect(self._path)
        with self._db as db:
            at = 0
            for size in _SLICES:
                while len(rows) - at >= size:
                    marks = ",".join([_MARKS] * size)
                    db.execute(_INSERT + marks, tuple(chain.from_iterable(rows[at : at + size])))
                    at += size
            self._prune(db, len(rows))

    def _prune(self, db: sqlite3.Connection, written: int) -> None:
        """Delete the oldest rows: those past the retention, and a slice if the file is too large.

        The slice is an eighth of the rows, because few rows with large bodies fill the file, but at
        least as many as were written.
        """
        oldest = db.execute("SELECT id, at_ms FROM attempts ORDER BY id LIMIT 1").fetchone()
        if oldest is None:
            return
        if not isinstance(oldest[1], int):
            raise sqlite3.DatabaseError("a row contains a value of the wrong type")
        horizon_ms = int(time.time() * 1000) - self._retention_ms
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
        if (pages - free) * page_bytes > self._max_bytes:
            (newest,) = db.execute("SELECT max(id) FROM attempts").fetchone()
            rows = min(_PRUNE_ROWS, max(written, (newest - oldest[0]) // 8))
            db.execute("DELETE FROM attempts WHERE id < ?", (oldest[0] + rows,))
        elif oldest[1] < horizon_ms:
            db.execute(
                "DELETE FROM attempts WHERE id < ? AND at_ms < ?", (oldest[0] + _PRUNE_ROWS, horizon_ms)
            )

    def _set_aside(self, exc: sqlite3.DatabaseError) -> None:
        """Rename a damaged file, so that it can still be repaired, and begin a new one."""
        self._forget_connection()
        aside = self._path.with_name(self._path.name + ".damaged")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        _log.error(
            events.HISTORY_REPLACED,
            file=str(self._path),
            cause=str(exc),
            remedy=f"none needed: a new file is begun, and the damaged one is kept as {aside.name}",
        )

    def _forget_connection(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _connect(path: Path) -> sqlite3.Connection:
    make_folder(path.parent)
    make_file(path)
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except UnicodeDecodeError as exc:  # sqlite3 fails to decode its own message, which quotes the damage
        db.close()
        raise sqlite3.DatabaseError("its schema is damaged") from exc
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
