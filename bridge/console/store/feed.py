"""What was sent to one endpoint, for its receiver: in order, with bodies, and in sums per hour.

A cursor names the next attempt in each partition, so it is valid after a rebuild of the store, and when the
topic gets more partitions.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from bridge.console.event_views import DigestHour, FeedEntry
from bridge.console.query import Page
from bridge.console.store.attempt_content import attempts_in, headers_of
from bridge.console.store.database import Database, places
from bridge.console.store.series import DELIVERED
from bridge.errors import BadCursor
from bridge.history.attempt import Attempt

Next = dict[int, tuple[int, int]]
"""By partition: the offset and the entry of the next attempt."""
_BATCHES = 20
_HOUR_MS = 3_600_000


class FeedQueries:
    """Reads the feed of an endpoint. Methods raise ``StoreUnavailable``."""

    def __init__(self, database: Database, topic: str) -> None:
        self._db = database
        self._topic = topic

    async def page(self, endpoint: str, after: str | None, limit: int) -> Page[FeedEntry]:
        """Return what was sent after a cursor, oldest first; the cursor to go on with, also if it is empty.

        Raises ``BadCursor``.
        """
        position = _read(after) if after else {}
        entries: list[FeedEntry] = []
        for number in await self._partitions(endpoint):
            while len(entries) < limit:
                offset, entry = position.get(number, (0, 0))
                rows = await self._db.fetch(
                    "SELECT place, value FROM batches WHERE endpoint = ? AND part = ? AND place >= ?"
                    f" ORDER BY place LIMIT {_BATCHES}",
                    (endpoint, number, offset),
                )
                for place, value in rows:
                    attempts = await asyncio.to_thread(attempts_in, bytes(value), self._topic, number, place)
                    begin = entry if place == offset else 0
                    for index in range(begin, len(attempts)):
                        position[number] = (place, index + 1) if index + 1 < len(attempts) else (place + 1, 0)
                        entries.append(_entry(_text(position), attempts[index]))
                        if len(entries) == limit:
                            return Page(entries, entries[-1].cursor)
                if len(rows) < _BATCHES:
                    break
        return Page(entries, entries[-1].cursor if entries else after)

    async def _partitions(self, endpoint: str) -> list[int]:
        rows = await self._db.fetch(
            "SELECT DISTINCT part FROM batches WHERE endpoint = ? ORDER BY part", (endpoint,)
        )
        return [row[0] for row in rows]

    async def digest(self, endpoint: str, since_s: float, until_s: float) -> Sequence[DigestHour]:
        """Return the events that were delivered in each hour of [since, until): their count and hash.

        The hours are whole ones: the first begins at or before ``since``.
        """
        series = [
            row[0]
            for row in await self._db.fetch(
                "SELECT id FROM series WHERE endpoint = ? AND verdict = ?", (endpoint, DELIVERED)
            )
        ]
        begin, end = int(since_s * 1000) // _HOUR_MS, -(-int(until_s * 1000) // _HOUR_MS)
        hours = []
        for hour in range(begin, end) if series else ():
            rows = await self._db.fetch(
                f"SELECT webhook_id FROM attempts WHERE series IN ({places(len(series))})"
                " AND sent_ms >= ? AND sent_ms < ?",
                (*series, hour * _HOUR_MS, (hour + 1) * _HOUR_MS),
            )
            ids = sorted({row[0] for row in rows})
            if ids:
                hours.append(DigestHour(hour * 3600.0, len(ids), digest_of(ids)))
        return hours


def digest_of(webhook_ids: Sequence[str]) -> str:
    """Return the SHA-256 of sorted ids, each followed by a line feed."""
    return hashlib.sha256("".join(f"{name}\n" for name in webhook_ids).encode()).hexdigest()


def _entry(cursor: str, attempt: Attempt) -> FeedEntry:
    return FeedEntry(
        cursor=cursor,
        webhook_id=attempt.webhook_id,
        type=attempt.type,
        sent_s=attempt.sent_s,
        attempt=attempt.attempt,
        status=attempt.status,
        delivered=attempt.verdict == DELIVERED,
        headers=dict(headers_of(attempt.headers)),
        body=None if attempt.body is None else attempt.body.decode("utf-8", "replace"),
        body_sha256=attempt.body_sha256,
    )


def _text(position: Next) -> str:
    return "_".join(f"{number}.{offset}.{entry}" for number, (offset, entry) in sorted(position.items()))


def _read(cursor: str) -> Next:
    position: Next = {}
    for text in cursor.split("_"):
        parts = text.split(".")
        if len(parts) != 3 or not all(one.isascii() and one.isdecimal() and len(one) < 19 for one in parts):
            raise BadCursor(f"{cursor[:40]!r} is no cursor of a feed; begin again without one")
        position[int(parts[0])] = int(parts[1]), int(parts[2])
    return position
