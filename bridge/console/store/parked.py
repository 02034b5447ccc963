"""Find parked events in the store.

Pages go by the time at which an event was parked, newest first, and continue after the last row.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import orjson

from bridge.console.event_views import ParkedDetail, ParkedRow
from bridge.console.query import Page, ParkedQuery
from bridge.console.store.database import Database, Row
from bridge.console.store.sources import WAITING
from bridge.dead_letters.letter import Address
from bridge.errors import BadCursor

_COLUMNS = (
    "p.part, p.place, p.parked_ms, p.state, p.endpoint, p.event_id, p.webhook_id, p.type, p.entity, p.tenant,"
    " p.cause, p.facts, p.origin, p.settled, c.name"
)
_FROM = (
    "FROM parked p LEFT JOIN control c"
    " ON p.state = 'parked' AND c.name = 'hold/' || p.endpoint || '/' || p.lane"
)
_CHUNK = 500
_END = (1 << 62, 0, 0)


class ParkedQueries:
    """Searches for parked events. Methods raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def page(self, query: ParkedQuery, cursor: str | None, limit: int) -> Page[ParkedRow]:
        """Return parked events, newest first. Raises ``BadCursor``."""
        before, rows = _END if cursor is None else _read(cursor), list[Row]()
        while len(rows) < limit:
            found = await self._before(query, before)
            rows += [row for row in found if _selects(query, row)]
            if len(found) < _CHUNK:
                break
            before = _key(found[-1])
        chosen = rows[:limit]
        more = len(chosen) == limit
        return Page(
            [_row(row) for row in chosen], ".".join(map(str, _key(chosen[-1]))) if chosen and more else None
        )

    async def addresses(self, query: ParkedQuery) -> list[Address]:
        """Return the addresses of all that a query selects, oldest first."""
        addresses, cursor = list[Address](), None
        while True:
            page = await self.page(query, cursor, _CHUNK)
            addresses += [Address.parse(row.address) for row in page.items]
            if page.cursor is None:
                return list(reversed(addresses))
            cursor = page.cursor

    async def _before(self, query: ParkedQuery, before: tuple[int, int, int]) -> list[Row]:
        conditions = ["(p.parked_ms, p.part, p.place) < (?, ?, ?)"]
        parameters: list[Any] = list(before)
        equal = (
            ("p.state", None if query.state == "all" else query.state),
            ("p.endpoint", query.endpoint),
            ("p.entity", query.entity),
        )
        for column, value in equal:
            if value is not None:
                conditions.append(f"{column} = ?")
                parameters.append(value)
        for sign, at_s in ((">=", query.since_s), ("<", query.until_s)):
            if at_s is not None:
                conditions.append(f"p.parked_ms {sign} ?")
                parameters.append(round(at_s * 1000))
        return await self._db.fetch(
            f"SELECT {_COLUMNS} {_FROM} WHERE {' AND '.join(conditions)}"
            f" ORDER BY p.parked_ms DESC, p.part DESC, p.place DESC LIMIT {_CHUNK}",
            parameters,
        )

    async def one(self, address: str) -> ParkedDetail | None:
        """Return one parked event, without its value; None if the store does not have it."""
        try:
            place = Address.parse(address)
        except ValueError:
            return None
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} {_FROM} WHERE p.part = ? AND p.place = ?", tuple(place)
        )
        if not rows:
            return None
        facts: dict[str, str] = orjson.loads(rows[0][11])
        settled = [orjson.loads(line) for line in rows[0][13].splitlines()]
        history = [f"{state} by {by}{f': {reason}' if reason else ''}" for _, state, by, reason in settled]
        return ParkedDetail(_row(rows[0]), facts, None, history)

    async def of_event(self, event_id: str, webhook_id: str) -> list[ParkedRow]:
        """Return where an event is parked, oldest first."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} {_FROM} WHERE p.event_id = ? OR p.webhook_id = ?"
            " ORDER BY p.parked_ms LIMIT 100",
            (event_id, webhook_id),
        )
        return [_row(row) for row in rows]

    async def counts(self) -> dict[str, int]:
        """Return how many events wait, by endpoint; ``*`` for those that were rejected for all."""
        rows = await self._db.fetch(
            "SELECT endpoint, COUNT(*) FROM parked WHERE state = ? GROUP BY endpoint", (WAITING,)
        )
        return {row[0] or "*": row[1] for row in rows}


def _selects(query: ParkedQuery, row: Sequence[Any]) -> bool:
    return (
        (query.type is None or fnmatchcase(row[7] or "", query.type))
        and (query.reason is None or query.reason.casefold() in row[10].casefold())
        and (query.text is None or query.text.casefold() in f"{row[10]} {row[11]}".casefold())
    )


def _key(row: Sequence[Any]) -> tuple[int, int, int]:
    return row[2], row[0], row[1]


def _read(cursor: str) -> tuple[int, int, int]:
    parts = cursor.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        raise BadCursor(f"{cursor[:40]!r} is no cursor of this list; begin again without one")
    at_ms, part, place = map(int, parts)
    return at_ms, part, place


def _row(row: Sequence[Any]) -> ParkedRow:
    facts: dict[str, str] = orjson.loads(row[11])
    attempts, status = facts.get("attempts", ""), facts.get("status", "")
    return ParkedRow(
        address=f"{row[0]}:{row[1]}",
        endpoint=row[4],
        event_id=row[5],
        webhook_id=row[6],
        type=row[7],
        entity=row[8],
        tenant=row[9],
        reason=row[10],
        detail=facts.get("remedy", ""),
        status=int(status) if status.isdecimal() else None,
        attempts=int(attempts) if attempts.isdecimal() else None,
        parked_s=row[2] / 1000,
        place=row[12],
        state=row[3],
        held=row[14] is not None,
    )
