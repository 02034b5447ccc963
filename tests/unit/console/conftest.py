"""The stores that every test of a query runs with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.console.store.database import Database
from bridge.console.store.sqlite import SqliteDatabase


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store."""
    database = SqliteDatabase(tmp_path / "console.sqlite")
    yield database
    await database.close()
