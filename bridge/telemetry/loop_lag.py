"""Measure how late the event loop runs its timers: what computes for long delays every delivery.

Invariant: it costs four timers a second, whatever the load, unless the log has level debug.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.telemetry.gc_pauses import GcPauses
from bridge.telemetry.logs import shows_debug
from bridge.telemetry.stalls import StallTracer

EVERY_S = 0.25


async def watch_loop(
    observe: Callable[[float], None],
    every_s: float = EVERY_S,
    pauses: GcPauses | None = None,
    traces: Callable[[], bool] = shows_debug,
) -> None:
    """Call ``observe`` with each lateness in seconds, until cancelled. Trace stalls while ``traces()``.

    ``pauses`` are measured as long.
    """
    now = asyncio.get_running_loop().time
    pauses = pauses or GcPauses()
    pauses.start()
    tracer = StallTracer(pauses)
    try:
        while True:
            due = now() + every_s
            if traces():
                await tracer.watch(every_s)
            else:
                tracer.stop()
                await asyncio.sleep(every_s)
            observe(max(0.0, now() - due))
    finally:
        tracer.stop()
        pauses.stop()
