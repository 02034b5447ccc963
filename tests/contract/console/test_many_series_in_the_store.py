"""Queries over hundreds of combinations of endpoint, type and status."""

from __future__ import annotations

from typing import Any

from bridge.console.query import AttemptQuery
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.database import Database
from bridge.console.store.postgres import PostgresDatabase
from tests.support.attempts import attempt_at, batch_record
from tests.support.console_store import TOPIC, store_attempts

TYPES = 230


async def fill(store: Database) -> AttemptQueries:
    """Store three attempts of each of many types: at their number, 1000 seconds later, and 2000."""
    attempts = [
        attempt_at(number + 1000 * turn, type=f"Type{number}") for turn in range(3) for number in range(TYPES)
    ]
    await store_attempts(store, batch_record(0, *attempts))
    return AttemptQueries(store, TOPIC)


async def test_a_query_over_many_series_returns_the_newest_of_all_of_them(store: Database) -> None:
    queries = await fill(store)
    page = await queries.page(AttemptQuery(endpoint="crm"), None, 300)
    expected = [f"Type{number}" for _ in range(2) for number in reversed(range(TYPES))][:300]
    assert [row.type for row in page.items] == expected
    rest = await queries.page(AttemptQuery(endpoint="crm"), page.cursor, 500)
    assert len(rest.items) == 3 * TYPES - 300


async def test_a_query_for_each_of_many_numbers_returns_the_rows_of_each(store: Database) -> None:
    await fill(store)
    sql = (
        "SELECT series, sent_ms FROM attempts WHERE series = ? AND sent_ms > ? ORDER BY sent_ms DESC LIMIT ?"
    )
    rows = await store.fetch_each(sql, range(1, TYPES + 1), (0, 2))
    assert len(rows) == 2 * TYPES
    assert {row[0] for row in rows} == set(range(1, TYPES + 1))
    assert await store.fetch_each(sql, [], (0, 2)) == []


class Noted:
    """A pool that notes the statements that it runs."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.statements: list[str] = []

    async def fetch(self, sql: str, *parameters: object) -> Any:
        self.statements.append(sql)
        return await self._pool.fetch(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


async def test_postgresql_plans_the_same_short_statement_however_many_series_there_are(
    store: Database,
) -> None:
    """A ``UNION ALL`` of a hundred parts was planned for half a second at each question."""
    if not isinstance(store, PostgresDatabase):
        return
    queries = await fill(store)
    noted = Noted(store._pool)
    several = PostgresDatabase(noted, "a test")
    for wanted in ("Type7", "Type1*", "*"):
        await AttemptQueries(several, TOPIC).page(AttemptQuery(type=wanted), None, 20)
    await queries.last_of_each()
    texts = {sql for sql in noted.statements if "each" in sql}
    assert len(texts) == 1
    assert max(map(len, texts)) < 500
