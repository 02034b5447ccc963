"""Find the keys of attempts in the store, newest first.

Invariant: what a search costs depends on the number of keys that it returns, not on the size of the table; a
search for text reads the newest attempts for ``_TEXT_S``, and returns where it stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.console.query import AttemptQuery
from bridge.console.store.attempt_content import matching
from bridge.console.store.database import Database, places
from bridge.console.store.schema import STRETCH
from bridge.console.store.series import KnownSeries, is_narrow

Key = tuple[int, int]
"""When an attempt was sent (Unix milliseconds), and its id: the order of the pages."""

END: Key = (1 << 62, 0)
_TEXT_S = 0.12
_TEXT_CHUNK = 400
_MANY_SERIES = 100
_ENDS = "SELECT COALESCE((SELECT MIN(id) FROM attempts), 0), COALESCE((SELECT MAX(id) FROM attempts), 0)"
"""In one SELECT, SQLite would read the whole table for both."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which keys are looked for: smaller than ``before``, and sent at ``since_ms`` or later."""

    before: Key
    since_ms: int

    @property
    def sql(self) -> str:
        """Return the condition, and the order."""
        return "(sent_ms, id) < (?, ?) AND sent_ms >= ? ORDER BY sent_ms DESC, id DESC LIMIT ?"

    @property
    def without_index(self) -> str:
        """Return the same, in a form for which neither database uses an index by time."""
        return "(+sent_ms, +id) < (?, ?) AND +sent_ms >= ? ORDER BY +sent_ms DESC, +id DESC LIMIT ?"

    def parameters(self, limit: int) -> tuple[int, ...]:
        """Return what the placeholders of both texts stand for."""
        return (*self.before, self.since_ms, limit)


class AttemptKeys:
    """Searches for the keys of attempts. Methods raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def page(
        self, query: AttemptQuery, bounds: Bounds, limit: int, series: KnownSeries
    ) -> tuple[list[Key], Key | None]:
        """Return the newest keys, and the key to go on after; None if that is all."""
        if query.text:
            return await self._with_text(query, bounds, limit, series)
        found = await self._newest(query, bounds, limit, series)
        return found, found[-1] if len(found) == limit else None

    async def _newest(
        self, query: AttemptQuery, bounds: Bounds, limit: int, series: KnownSeries
    ) -> list[Key]:
        """Return the newest keys within the bounds, newest first."""
        chosen = series.matching(query) if is_narrow(query) else None
        if chosen == []:
            return []
        if query.event is not None or query.entity is not None:
            return await self._by_id(query, bounds, limit, chosen)
        if chosen is None:
            rows = await self._db.fetch(
                f"SELECT sent_ms, id FROM attempts WHERE {bounds.sql}", bounds.parameters(limit)
            )
            return [(row[0], row[1]) for row in rows]
        if len(chosen) > _MANY_SERIES:
            heads = await self.newest_of_each(chosen, bounds, 1)
            heads.sort(reverse=True)
            chosen = [number for _, _, number in heads[:limit]]
        keys = [(sent, number) for sent, number, _ in await self.newest_of_each(chosen, bounds, limit)]
        return sorted(keys, reverse=True)[:limit]

    async def _with_text(
        self, query: AttemptQuery, bounds: Bounds, limit: int, series: KnownSeries
    ) -> tuple[list[Key], Key | None]:
        """Return the keys of attempts with a text, and the key to go on after; None if that is all."""
        found: list[Key] = []
        ends_at = time.monotonic() + _TEXT_S
        while True:
            keys = await self._newest(query, bounds, _TEXT_CHUNK, series)
            wanted = await self.with_text_among([number for _, number in keys], query.text or "")
            for key in keys:
                if key[1] in wanted:
                    found.append(key)
                    if len(found) == limit:
                        return found, key
            if len(keys) < _TEXT_CHUNK:
                return found, None
            if time.monotonic() > ends_at:
                return found, keys[-1]
            bounds = Bounds(keys[-1], bounds.since_ms)

    async def newest_of_each(
        self, chosen: Sequence[int], bounds: Bounds, limit: int
    ) -> list[tuple[int, int, int]]:
        """Return the newest keys of each series, with the series."""
        rows = await self._db.fetch_each(
            f"SELECT sent_ms, id, series FROM attempts WHERE series = ? AND {bounds.sql}",
            chosen,
            bounds.parameters(limit),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    async def with_text_among(self, numbers: Sequence[int], text: str) -> set[int]:
        """Return those of the attempts that have a text in the reason, URL, ids, headers or bodies."""
        if not numbers:
            return set()
        rows = await self._db.fetch(
            f"SELECT id, batch, entry FROM attempts WHERE id IN ({places(len(numbers))})", numbers
        )
        batches = sorted({row[1] for row in rows})
        found = await self._db.fetch(
            f"SELECT id, value FROM batches WHERE id IN ({places(len(batches))})", batches
        )
        values = {int(row[0]): bytes(row[1]) for row in found}
        return await asyncio.to_thread(matching, rows, values, text.casefold())

    async def _by_id(
        self, query: AttemptQuery, bounds: Bounds, limit: int, chosen: Sequence[int] | None
    ) -> list[Key]:
        """Return the keys of an event or an entity: each stretch of the table has a separate index."""
        ends = await self._db.fetch(_ENDS)
        stretches = list(range(ends[0][0] >> STRETCH, (ends[0][1] >> STRETCH) + 1))
        conditions, parameters = "", list[int | str]()
        if chosen is not None:
            conditions = f" AND series IN ({places(len(chosen))})"
            parameters += chosen
        wanted: list[tuple[str, str]] = []
        if query.event is not None:
            wanted = [("event_id", query.event), ("webhook_id", query.event)]
            if query.entity is not None:
                conditions += " AND entity = ?"
                parameters.append(query.entity)
        elif query.entity is not None:
            wanted = [("entity", query.entity)]
        keys: set[Key] = set()
        for column, value in wanted:
            rows = await self._db.fetch(
                f"SELECT sent_ms, id FROM attempts WHERE (id >> {STRETCH}) IN ({places(len(stretches))})"
                f" AND {column} = ?{conditions} AND {bounds.without_index}",
                (*stretches, value, *parameters, *bounds.parameters(limit)),
            )
            keys.update((row[0], row[1]) for row in rows)
        return sorted(keys, reverse=True)[:limit]


def bounds_of(query: AttemptQuery, before: Key | None) -> Bounds:
    """Return the bounds of a query, from the last key of the page before; None for the first page."""
    until = END if query.until_s is None else (round(query.until_s * 1000), -1)
    since_ms = 0 if query.since_s is None else round(query.since_s * 1000)
    return Bounds(min(before or END, until), since_ms)
