"""The store in SQLite: one connection that writes, and a few that read at the same time (WAL).

Invariant: no call blocks the event loop: the connections are used in separate threads.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from bridge.console.store.database import Change, Insert, Position, Row, places
from bridge.console.store.schema import NAMES, TABLES
from bridge.errors import RowsRefused, StoreUnavailable
from bridge.storage.private_files import make_file, make_folder

T = TypeVar("T")
_TYPES = {"int": "INTEGER", "key": "INTEGER PRIMARY KEY", "bytes": "BLOB", "order": ""}
_READERS = 3
_CACHE_KIB = 65_536
_BUSY_S = 30.0
_MANY = 100
"""Queries in one: SQLite allows 500."""
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # after a power failure the last transactions are read from Kafka again
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    "PRAGMA mmap_size = 268435456",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 4000",
)


class SqliteDatabase:
    """A file of SQLite; see ``Database``."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises ``StoreUnavailable``."""
        self._path = path
        try:
            make_folder(path.parent)
            make_file(path)
            self._writer = self._connect()
            self._create()
        except (OSError, sqlite3.Error) as exc:
            raise StoreUnavailable(f"console.folder {path.parent}", str(exc), _REMEDY) from exc
        self._write_thread = ThreadPoolExecutor(1, "store-writer")
        self._read_threads = ThreadPoolExecutor(_READERS, "store-reader")
        self._readers: asyncio.LifoQueue[sqlite3.Connection] = asyncio.LifoQueue()
        for _ in range(_READERS):
            self._readers.put_nowait(self._connect())

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=500
        )
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        return connection

    def _create(self) -> None:
        for statement in TABLES:
            self._writer.execute(statement.format(**_TYPES))

    async def fetch(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        connection = await self._readers.get()
        try:
            return await self._in(
                self._read_threads, lambda: connection.execute(sql, tuple(parameters)).fetchall()
            )
        finally:
            self._readers.put_nowait(connection)

    async def fetch_each(
        self, sql: str, numbers: Sequence[int], parameters: Sequence[object] = ()
    ) -> list[Row]:
        """Return the rows of a query for each number: SQLite plans many queries in one at no cost."""
        found: list[Row] = []
        for begin in range(0, len(numbers), _MANY):
            part = numbers[begin : begin + _MANY]
            union = " UNION ALL ".join(f"SELECT * FROM ({sql}) AS s{index}" for index in range(len(part)))
            values = [value for number in part for value in (number, *parameters)]
            found += await self.fetch(union, values)
        return found

    async def position(self, topic: str) -> Position | None:
        """Return how far a topic is."""
        rows = await self.fetch("SELECT version, state FROM positions WHERE topic = ?", (topic,))
        return Position(*rows[0]) if rows else None

    async def apply(self, topic: str, version: int, state: str, changes: Sequence[Change]) -> bool:
        """Apply changes and set the position of a topic, in one transaction."""

        def work() -> bool:
            cursor = self._writer.execute(
                "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT (topic) DO UPDATE"
                " SET version = excluded.version, state = excluded.state WHERE positions.version = ?",
                (topic, version + 1, state, version),
            )
            if cursor.rowcount != 1:
                return False
            self._run(changes)
            return True

        return await self._in(self._write_thread, lambda: self._transaction(work))

    async def change(self, changes: Sequence[Change]) -> None:
        """Apply changes in one transaction."""
        await self._in(self._write_thread, lambda: self._transaction(lambda: self._run(changes)))

    async def reset(self) -> None:
        """Delete everything, and create empty tables."""

        def work() -> None:
            for name in NAMES:
                self._writer.execute(f"DROP TABLE IF EXISTS {name}")
            self._create()

        await self._in(self._write_thread, lambda: self._transaction(work))

    async def size_bytes(self) -> int:
        """Return how large the data is, without pages that are free again."""
        rows = await self.fetch(
            "SELECT (p.page_count - f.freelist_count) * s.page_size"
            " FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s"
        )
        return int(rows[0][0])

    async def close(self) -> None:
        """Close all connections."""
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        while not self._readers.empty():
            self._readers.get_nowait().close()
        self._writer.close()

    def _transaction(self, work: Callable[[], T]) -> T:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = work()
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise
        self._writer.execute("COMMIT")
        return result

    def _run(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, Insert):
                columns = ", ".join(change.columns)
                sql = f"INSERT INTO {change.table} ({columns}) VALUES ({places(len(change.columns))})"
                self._writer.executemany(sql, change.rows)
            else:
                self._writer.executemany(change.sql, change.rows)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except _BAD_VALUES as exc:
            raise RowsRefused(f"the store {self._path}", str(exc), "report it as a bug") from exc
        except sqlite3.Error as exc:
            raise StoreUnavailable(f"the store {self._path}", str(exc), _REMEDY) from exc


_BAD_VALUES = (
    OverflowError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
    sqlite3.DataError, UnicodeEncodeError,
)  # fmt: skip
_REMEDY = (
    "free some space on that disk and check that this user may write there; if the file is damaged, delete"
    " the folder: the console rebuilds it from the topics"
)
