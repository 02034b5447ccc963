"""Delete what the store is not to keep any more: by age, and by size.

Invariant: a deletion is cut into small transactions, so that reading the topics goes on between them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import structlog

from bridge.console.store.database import Database, Run
from bridge.errors import StoreUnavailable
from bridge.settings.models.console import ConsoleSettings
from bridge.telemetry import events

_log = structlog.get_logger()
EVERY_S = 60.0
_CHUNK = 5000
_TRIMMED_SHARE = 20
"""A store that is too large loses this part of its attempts at a time: the twentieth."""
_BYTES = 1_000_000


class Retention:
    """Trims a store by ``console.keep_s`` and ``console.max_size_mb``."""

    def __init__(self, database: Database, settings: ConsoleSettings) -> None:
        self._db = database
        self._keep_s = settings.keep_s
        self._most_bytes = settings.max_size_mb * _BYTES

    async def run(self) -> None:
        """Trim every ``EVERY_S`` until it is cancelled."""
        while True:
            with suppress(StoreUnavailable):  # the followers report it
                await self.trim(time.time())
            await asyncio.sleep(EVERY_S)

    async def trim(self, now_s: float) -> int:
        """Delete what is too old or too much; return how many attempts that were."""
        deleted = await self._delete_before(int((now_s - self._keep_s) * 1000))
        if await self._db.size_bytes() > self._most_bytes:
            cutoff = await self._oldest_part()
            deleted += await self._delete_before(cutoff) if cutoff is not None else 0
        if deleted:
            _log.info(events.CONSOLE_TRIMMED, attempts=deleted)
        return deleted

    async def _oldest_part(self) -> int | None:
        """Return the time before which the oldest part of the attempts was sent, by its share of the time."""
        ends = await self._db.fetch(
            "SELECT (SELECT MIN(sent_ms) FROM attempts), (SELECT MAX(sent_ms) FROM attempts)"
        )
        first, last = ends[0]
        return None if first is None else int(first + (last - first) // _TRIMMED_SHARE + 1)

    async def _delete_before(self, cutoff_ms: int) -> int:
        deleted = 0
        while True:
            rows = await self._db.fetch(
                "SELECT id FROM attempts WHERE sent_ms < ? ORDER BY sent_ms, id LIMIT ?", (cutoff_ms, _CHUNK)
            )
            if rows:
                await self._db.change([Run("DELETE FROM attempts WHERE id = ?", rows)])
                deleted += len(rows)
            if len(rows) < _CHUNK:
                break
        minute = cutoff_ms // 60_000
        await self._db.change(
            [
                Run("DELETE FROM batches WHERE last_ms < ?", [(cutoff_ms,)]),
                Run("DELETE FROM minutes WHERE minute < ?", [(minute,)]),
                Run("DELETE FROM latencies WHERE minute < ?", [(minute,)]),
            ]
        )
        return deleted
