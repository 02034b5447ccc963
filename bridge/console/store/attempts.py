"""Find attempts in the store.

Invariant: pages go by the time of the request, newest first, and continue after the last row, so nothing is
counted and nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bridge.console.event_views import AttemptDetail, AttemptRow
from bridge.console.query import AttemptQuery, Page
from bridge.console.store.attempt_content import attempts_in, detail_of
from bridge.console.store.attempt_keys import END, AttemptKeys, Bounds, Key, bounds_of
from bridge.console.store.database import Database, places
from bridge.console.store.series import DELIVERED, NO_ANSWER, SELECT_SERIES, KnownSeries, Series
from bridge.errors import BadCursor
from bridge.history.attempt import AttemptId

_COUNTED_AT_ONCE = 20
"""Series whose events are in memory at once."""
_COLUMNS = (
    "a.id, a.sent_ms, a.series, b.part, b.place, a.entry, a.took_ms, a.event_id, a.webhook_id, a.entity,"
    " a.attempt, a.reason, a.next_ms, a.place, a.appended_ms, a.body_bytes, a.again_id"
)
_FROM = "FROM attempts a JOIN batches b ON b.id = a.batch"


class AttemptQueries:
    """Searches for attempts; ``topic`` is their topic. Methods raise ``StoreUnavailable``."""

    def __init__(self, database: Database, topic: str) -> None:
        self._db = database
        self._topic = topic
        self._keys = AttemptKeys(database)
        self._known = KnownSeries()

    async def page(self, query: AttemptQuery, cursor: str | None, limit: int) -> Page[AttemptRow]:
        """Return attempts, newest first. Raises ``BadCursor``."""
        series = await self._series()
        bounds = bounds_of(query, None if cursor is None else _read_key(cursor))
        found, last = await self._keys.page(query, bounds, limit, series)
        rows = await self._rows([number for _, number in found], series)
        return Page(rows, None if last is None else f"{last[0]}.{last[1]}")

    async def newer(self, query: AttemptQuery, cursor: str | None, limit: int) -> Page[AttemptRow]:
        """Return attempts that were stored after the cursor, oldest first; none without a cursor."""
        newest = (await self._db.fetch("SELECT COALESCE(MAX(id), -1) FROM attempts"))[0][0]
        after = newest if cursor is None else min(_read_number(cursor), newest)
        series = await self._series()
        found = await self._db.fetch(
            "SELECT id, series, event_id, webhook_id, entity FROM attempts WHERE id > ? ORDER BY id LIMIT ?",
            (after, max(limit, 1000)),
        )
        known = series.by_id()
        chosen = [row for row in found if row[1] in known and _selects(query, known[row[1]], row)][:limit]
        end = chosen[-1][0] if len(chosen) == limit else found[-1][0] if found else after
        numbers = [row[0] for row in chosen]
        if query.text:
            wanted = await self._keys.with_text_among(numbers, query.text)
            numbers = [number for number in numbers if number in wanted]
        rows = await self._rows(numbers, series)
        return Page(list(reversed(rows)), str(end))

    async def one(self, attempt_id: str) -> AttemptDetail | None:
        """Return an attempt with its request and answer; None if the store does not have it."""
        try:
            place = AttemptId.parse(attempt_id)
        except ValueError:
            return None
        rows = await self._db.fetch(
            "SELECT a.id, b.value FROM batches b JOIN attempts a ON a.id = b.first_id + ? AND a.batch = b.id"
            " WHERE b.part = ? AND b.place = ?",
            (place.entry, place.number, place.offset),
        )
        if not rows:
            return None
        (row,) = await self._rows([rows[0][0]], await self._series())
        attempt = attempts_in(rows[0][1], self._topic, place.number, place.offset)[place.entry]
        return detail_of(row, attempt)

    async def of_event(self, event: str, limit: int = 1000) -> list[AttemptRow]:
        """Return the attempts of an event, by its id or its ``webhook-id``, oldest first."""
        series = await self._series()
        found, _ = await self._keys.page(AttemptQuery(event=event), Bounds(END, 0), limit, series)
        return list(reversed(await self._rows([number for _, number in found], series)))

    async def last_of_each(self) -> dict[str, dict[str, Any]]:
        """Return of each endpoint when it last delivered, when it last failed, and why, by name."""
        series = await self._series()
        known = series.by_id()
        last: dict[tuple[str, bool], Key] = {}
        for sent_ms, number, which in await self._keys.newest_of_each(list(known), Bounds(END, 0), 1):
            key = known[which].endpoint, known[which].verdict == DELIVERED
            last[key] = max(last.get(key, (0, 0)), (sent_ms, number))
        failed = [number for (_, delivered), (_, number) in last.items() if not delivered]
        reasons = {row.endpoint: row.reason for row in await self._rows(failed, series)}
        facts: dict[str, dict[str, Any]] = {}
        for (endpoint, delivered), (sent_ms, _) in last.items():
            name = "last_delivered_s" if delivered else "last_failed_s"
            facts.setdefault(endpoint, {"last_reason": reasons.get(endpoint, "")})[name] = sent_ms / 1000
        return facts

    async def count(self, query: AttemptQuery, most: int = 1_000_000) -> int:
        """Return how many events a query selects, at each of its endpoints; at most ``most`` attempts.

        It is exact, so it takes longer than a page: it reads each attempt that is selected.
        """
        series, known = await self._series(), set[tuple[str, str]]()
        if not (query.text or query.event or query.entity):
            return await self._count_series(query, series, most)
        bounds, seen = bounds_of(query, None), 0
        while seen < most:
            found, last = await self._keys.page(query, bounds, 5000, series)
            rows = await self._rows([number for _, number in found], series)
            known.update((row.endpoint, row.event_id) for row in rows)
            seen += len(found)
            if last is None:
                break
            bounds = Bounds(last, bounds.since_ms)
        return len(known)

    async def _count_series(self, query: AttemptQuery, series: KnownSeries, most: int) -> int:
        """Return how many events have attempts of the series that a query selects, in its time."""
        bounds, by_id = bounds_of(query, None), series.by_id()
        chosen, known, seen = series.matching(query), set[tuple[str, str]](), 0
        sql = f"SELECT series, event_id FROM attempts WHERE series = ? AND {bounds.sql}"
        for begin in range(0, len(chosen), _COUNTED_AT_ONCE):
            part = chosen[begin : begin + _COUNTED_AT_ONCE]
            rows = await self._db.fetch_each(sql, part, bounds.parameters(most - seen))
            known.update((by_id[row[0]].endpoint, row[1]) for row in rows)
            seen += len(rows)
            if seen >= most:
                break
        return len(known)

    async def _series(self) -> KnownSeries:
        """Return the combinations; only new ones are read. They begin again when the store was rebuilt."""
        rows = await self._db.fetch(f"{SELECT_SERIES} WHERE id >= ? ORDER BY id", (self._known.last,))
        if not self._known.grow(rows):
            self._known = KnownSeries()
            self._known.grow(await self._db.fetch(f"{SELECT_SERIES} ORDER BY id"))
        return self._known

    async def _rows(self, numbers: Sequence[int], series: KnownSeries) -> list[AttemptRow]:
        """Return the rows of these ids, newest first."""
        rows: list[tuple[Any, ...]] = []
        for begin in range(0, len(numbers), 1000):
            part = numbers[begin : begin + 1000]
            rows += await self._db.fetch(
                f"SELECT {_COLUMNS} {_FROM} WHERE a.id IN ({places(len(part))})", part
            )
        known = series.by_id()
        rows.sort(key=lambda row: (row[1], row[0]), reverse=True)
        return [_row(row, known[row[2]]) for row in rows if row[2] in known]


def _read_key(cursor: str) -> Key:
    sent, _, number = cursor.partition(".")
    return _read_number(sent), _read_number(number)


def _read_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadCursor(f"{text[:40]!r} is no cursor of this list; begin again without one")
    return int(text)


def _selects(query: AttemptQuery, series: Series, row: Sequence[Any]) -> bool:
    return (
        series.matches(query)
        and (query.event is None or query.event in (row[2], row[3]))
        and query.entity in (None, row[4])
    )


def _row(row: Sequence[Any], series: Series) -> AttemptRow:
    (
        _, sent_ms, _, part, place, entry, took_ms, event_id, webhook_id, entity, attempt, reason, next_ms,
        record, appended_ms, body_bytes, again_id,
    ) = row  # fmt: skip
    return AttemptRow(
        id=f"{part}:{place}:{entry}",
        endpoint=series.endpoint,
        sent_s=sent_ms / 1000,
        answered_s=(sent_ms + took_ms) / 1000,
        event_id=event_id,
        webhook_id=webhook_id,
        type=series.type,
        entity=entity,
        tenant=series.tenant or None,
        attempt=attempt,
        status=None if series.status == NO_ANSWER else series.status,
        verdict=series.verdict,
        reason=reason,
        next_s=None if next_ms is None else next_ms / 1000,
        place=record,
        appended_s=appended_ms / 1000,
        body_bytes=body_bytes,
        again_id=again_id,
    )
