"""Measure how late the event loop runs its timers: what computes for long delays every delivery.

Invariant: it costs four timers a second, whatever the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bridge.telemetry import events

_log = structlog.get_logger()
EVERY_S = 0.25
_STALLED_S = 0.02
"""A delay that is worth a line at level debug: two hundred times what a step of the path takes."""


async def watch_loop(observe: Callable[[float], None], every_s: float = EVERY_S) -> None:
    """Call ``observe`` with each lateness in seconds, until cancelled."""
    now = asyncio.get_running_loop().time
    while True:
        due = now() + every_s
        await asyncio.sleep(every_s)
        late_s = max(0.0, now() - due)
        observe(late_s)
        if late_s >= _STALLED_S:
            _log.debug(events.LOOP_STALLED, late_ms=round(late_s * 1000))
