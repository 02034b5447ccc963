"""The stores that every test of a query runs with: SQLite, and a real PostgreSQL where it is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.console.store.database import Database
from bridge.console.store.postgres import PostgresDatabase
from bridge.console.store.sqlite import SqliteDatabase
from tests.support.postgres import Postgres, PostgresMissing


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests."""
    try:
        server = Postgres()
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store."""
    database: Any
    if request.param == "sqlite":
        database = SqliteDatabase(tmp_path / "console.sqlite")
    else:
        database = await PostgresDatabase.open(request.getfixturevalue("postgres").url())
        await database.reset()
    yield database
    await database.close()
