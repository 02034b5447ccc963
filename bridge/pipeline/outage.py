"""What a broker or a registry in trouble costs: a line a minute while it lasts, and a moment's wait.

Between the path and the log.
"""

from __future__ import annotations

import asyncio

import structlog

from bridge.telemetry import events

_log = structlog.get_logger()
_WAIT_S = 1.0
_QUIET_S = 60.0


class Trouble:
    """Says of each kind of trouble once a minute that it is there, for all who meet it."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    async def sit_out(self, exc: Exception, event: str = events.SOURCE_FAILED) -> None:
        """Return when it is worth another try."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until.get(event, 0.0):
            self._quiet_until[event] = now + _QUIET_S
            _log.warning(event, cause=str(exc), remedy="none needed here: it is tried every second")
        await asyncio.sleep(_WAIT_S)
