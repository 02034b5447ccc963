"""Back off while a broker or registry is unavailable, and log it once per minute."""

from __future__ import annotations

import asyncio

import structlog

from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_WAIT_S = 1.0


class OutageBackoff:
    """One backoff for all tasks that meet the same outage, so that together they log one line per minute."""

    def __init__(self) -> None:
        self._throttle = Throttle(now=lambda: asyncio.get_running_loop().time())

    async def wait(self, exc: Exception, event: str = events.SOURCE_FAILED) -> None:
        """Log ``exc`` as ``event``, and return when the next try is due."""
        if self._throttle.allows(event):
            _log.warning(event, cause=str(exc), remedy="none needed here: it is tried again every second")
        await asyncio.sleep(_WAIT_S)
