"""Open the file of the dedupe index: replace it if it is damaged, use memory if the disk is full.

Invariant: SQLite never copies the log of changes (the WAL) into the file by itself, except when it closes the
file. That takes as long as the disk does, and ``copy_changes`` does it in a thread.
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from bridge.errors import ConfigError
from bridge.storage.private_files import make_file, make_folder
from bridge.telemetry import events

_log = structlog.get_logger()
_CACHE_KIB = 32 * 1024
_STATEMENTS = 512
"""Kept prepared: each partition has some, by the size of its batches."""
MEMORY_REMEDY = "free the disk and restart; until then the dedupe index is kept in memory"
_VERSION = 3
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, number INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL,
    generation INTEGER NOT NULL, began_ms INTEGER NOT NULL, keys INTEGER NOT NULL,
    middle INTEGER NOT NULL,
    UNIQUE (topic, number)
) STRICT;
CREATE TABLE IF NOT EXISTS logs (
    topic TEXT NOT NULL, number INTEGER NOT NULL, topic_id TEXT NOT NULL, PRIMARY KEY (topic, number)
) STRICT;
PRAGMA user_version = {_VERSION};
"""


def open_index(path: Path) -> sqlite3.Connection:
    """Open the file, or create it. Raises ``ConfigError`` if that is not possible."""
    try:
        make_folder(path.parent)
        return _open_or_replace(path)
    except (OSError, sqlite3.Error) as exc:
        if "full" in str(exc) or getattr(exc, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _log.error(events.INDEX_FAILED, cause=str(exc), remedy=MEMORY_REMEDY)
            return connect(":memory:")
        raise ConfigError(
            [f"state_dir {path.parent}: cannot keep files ({exc}); name a directory that is writable"]
        ) from exc


def _open_or_replace(path: Path) -> sqlite3.Connection:
    try:
        return connect(path)
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc):
            raise  # not damaged: another process uses it
        _log.error(
            events.INDEX_REPLACED,
            file=str(path),
            cause=str(exc),
            remedy="none needed: it is filled again from Kafka",
        )
        delete(path)
        return connect(path)


def delete(path: Path) -> None:
    """Delete the file, and those that SQLite keeps with it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def connect(path: Path | str) -> sqlite3.Connection:
    """Return a database with our tables.

    Raises ``sqlite3.Error`` if it is damaged or of another version, and ``OSError``.
    """
    if isinstance(path, Path):
        make_file(path)
    db = sqlite3.connect(
        path, isolation_level="DEFERRED", check_same_thread=False, cached_statements=_STATEMENTS
    )
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check failed")
        if db.execute("PRAGMA user_version").fetchone() not in ((0,), (_VERSION,)):
            raise sqlite3.DatabaseError("another version wrote it")
        db.executescript(_SCHEMA)
    except UnicodeDecodeError as exc:  # sqlite3 fails to decode its own message, which quotes the damage
        db.close()
        raise sqlite3.DatabaseError("its schema is damaged") from exc
    except BaseException:
        db.close()
        raise
    return db


def file_of(db: sqlite3.Connection) -> Path | None:
    """Return the absolute path of a database; None if it is in memory or a temporary file."""
    _, _, name = db.execute("PRAGMA database_list").fetchone()
    return Path(name) if name else None


def copy_changes(path: Path) -> int:
    """Copy committed changes into the file, and return how many pages of changes there are.

    Call it in a thread: it waits for the disk, and hinders neither readers nor the writer. SQLite writes
    changes to the beginning of their log again if a transaction begins when all of them are copied.
    Raises ``sqlite3.Error``.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as db:
        _, changes, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(changes)
