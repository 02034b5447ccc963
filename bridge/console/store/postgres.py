"""The store in PostgreSQL, for those who keep years of attempts.

Invariant: the text of a query is the same as for SQLite. Only names of types, the form of parameters, and the
way in which many rows are written differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from bridge.console.store.database import Change, Insert, Position, Row
from bridge.console.store.schema import NAMES, TABLES
from bridge.errors import ConfigError, RowsRefused, StoreUnavailable

try:
    import asyncpg  # type: ignore[import-untyped]  # it has no type hints
except ImportError as exc:  # pragma: no cover - the extra is installed where tests run
    raise ConfigError(
        ["console.store: PostgreSQL needs the package asyncpg; run: pip install 'hookferry[postgresql]'"]
    ) from exc

_TYPES = {"int": "BIGINT", "key": "BIGINT PRIMARY KEY", "bytes": "BYTEA", "order": 'COLLATE "C"'}
_LOCK = 7_402_118_300
"""The advisory lock under which tables are created: an arbitrary number."""
_CONNECTIONS = 6
_TIMEOUT_S = 30.0
_REMEDY = "check console.store, that the database is up, and that this user may create tables in it"


class PostgresDatabase:
    """A database of PostgreSQL; see ``Database``."""

    def __init__(self, pool: Any, place: str) -> None:
        """``pool`` is one of asyncpg; ``place`` names it in errors."""
        self._pool = pool
        self._place = place

    @classmethod
    async def open(cls, url: str) -> PostgresDatabase:
        """Connect, and create the tables. Raises ``StoreUnavailable``."""
        place = f"console.store at {urlsplit(url).hostname or 'a socket'}"
        async with _errors(place):
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=_CONNECTIONS, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S * 4
            )
        database = cls(pool, place)
        try:
            async with _errors(place), pool.acquire() as connection, connection.transaction():
                await database._create(connection)
        except BaseException:
            await database.close()
            raise
        return database

    async def _create(self, connection: Any) -> None:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        for statement in TABLES:
            await connection.execute(statement.format(**_TYPES))

    async def fetch(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        async with _errors(self._place):
            rows = await self._pool.fetch(numbered(sql), *map(_plain, parameters))
        return [tuple(row) for row in rows]

    async def fetch_each(
        self, sql: str, numbers: Sequence[int], parameters: Sequence[object] = ()
    ) -> list[Row]:
        """Return the rows of a query for each number.

        The query is planned once. PostgreSQL plans each part of a ``UNION ALL``, which takes longer than
        running it.
        """
        inner = numbered(sql.replace("?", "each.number", 1), first=2)
        whole = (
            f"SELECT found.* FROM unnest($1::bigint[]) AS each(number) CROSS JOIN LATERAL ({inner}) AS found"
        )
        async with _errors(self._place):
            rows = await self._pool.fetch(whole, list(numbers), *map(_plain, parameters))
        return [tuple(row) for row in rows]

    async def position(self, topic: str) -> Position | None:
        """Return how far a topic is."""
        rows = await self.fetch("SELECT version, state FROM positions WHERE topic = ?", (topic,))
        return Position(*rows[0]) if rows else None

    async def apply(self, topic: str, version: int, state: str, changes: Sequence[Change]) -> bool:
        """Apply changes and set the position of a topic, in one transaction.

        The row of the position is locked first, so another console waits, and then finds another version.
        """
        async with _errors(self._place), self._pool.acquire() as connection, connection.transaction():
            moved = await connection.execute(
                "INSERT INTO positions VALUES ($1, $2, $3) ON CONFLICT (topic) DO UPDATE"
                " SET version = excluded.version, state = excluded.state WHERE positions.version = $4",
                topic,
                version + 1,
                state,
                version,
            )
            if not moved.endswith(" 1"):
                return False
            await _run(connection, changes)
        return True

    async def change(self, changes: Sequence[Change]) -> None:
        """Apply changes in one transaction."""
        async with _errors(self._place), self._pool.acquire() as connection, connection.transaction():
            await _run(connection, changes)

    async def reset(self) -> None:
        """Delete everything, and create empty tables."""
        async with _errors(self._place), self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            for name in NAMES:
                await connection.execute(f"DROP TABLE IF EXISTS {name}")
            await self._create(connection)

    async def size_bytes(self) -> int:
        """Return 0: tables of PostgreSQL do not shrink, so their size limits nothing."""
        return 0

    async def close(self) -> None:
        """Close all connections."""
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


async def _run(connection: Any, changes: Sequence[Change]) -> None:
    for change in changes:
        if not change.rows:
            continue
        rows = [tuple(map(_plain, row)) for row in change.rows]
        if isinstance(change, Insert):
            await connection.copy_records_to_table(change.table, records=rows, columns=change.columns)
        else:
            await connection.executemany(numbered(change.sql), rows)


@asynccontextmanager
async def _errors(place: str) -> AsyncIterator[None]:
    """Raise our errors in place of those of the client."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, OverflowError) as exc:
        raise RowsRefused(place, str(exc), "report it as a bug") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
        raise StoreUnavailable(place, str(exc) or type(exc).__name__, _REMEDY) from exc


_numbered: dict[tuple[str, int], str] = {}
_MOST_NUMBERED = 500


def numbered(sql: str, first: int = 1) -> str:
    """Return a statement with the parameters of PostgreSQL: ``$1`` and so on, or from ``first`` on."""
    known = _numbered.get((sql, first))
    if known is None:
        begin, *others = sql.split("?")
        known = begin + "".join(f"${index}{text}" for index, text in enumerate(others, first))
        if len(_numbered) >= _MOST_NUMBERED:
            _numbered.clear()
        _numbered[sql, first] = known
    return known


def _plain(value: object) -> object:
    """Return a value that PostgreSQL can store: its texts contain no character with the number 0."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
