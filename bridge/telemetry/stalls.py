"""Log what the event loop was in while it stood still: only at level debug, and at no cost otherwise.

The loop notes the time every few milliseconds, and a thread looks at that time. If it is old, the thread
notes which calls the loop is in. Invariant: the thread lives only while ``watch`` runs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import FrameType

import structlog

from bridge.telemetry import events
from bridge.telemetry.gc_pauses import GcPauses
from bridge.telemetry.tasks import name_of

_log = structlog.get_logger()
BEAT_S = 0.005
STALLED_S = 0.02
"""A delay that is worth a line: a thousand times what a step of the path takes."""
_INNERMOST = 6


class StallTracer:
    """Traces the stalls of the loop that it runs in."""

    def __init__(self, pauses: GcPauses) -> None:
        self._pauses = pauses
        self._beat_s = 0.0
        self._seen_s = 0.0
        self._calls: list[str] = []
        self._loop_thread = 0
        self._end: threading.Event | None = None

    async def watch(self, for_s: float) -> None:
        """Log the stalls of this many seconds, each when it has ended."""
        loop_now = asyncio.get_running_loop().time
        until = loop_now() + for_s
        while (left_s := until - loop_now()) > 0:
            rest_s = min(BEAT_S, left_s)
            beat_s = self._beat_s = time.monotonic()
            if self._end is None:
                self._start()
            cpu_s, gc_s = time.thread_time(), self._pauses.total_s
            await asyncio.sleep(rest_s)
            late_s = time.monotonic() - beat_s - rest_s
            if late_s >= STALLED_S:
                self._report(beat_s, late_s, time.thread_time() - cpu_s, self._pauses.total_s - gc_s)

    def _report(self, beat_s: float, late_s: float, cpu_s: float, gc_s: float) -> None:
        _log.debug(
            events.LOOP_STALLED,
            late_ms=round(late_s * 1000),
            cpu_ms=round(cpu_s * 1000),
            gc_ms=round(gc_s * 1000),
            busy_in=self._calls if self._seen_s == beat_s else [],
        )

    def _start(self) -> None:
        self._loop_thread = threading.get_ident()
        self._end = threading.Event()
        threading.Thread(target=self._look, args=(self._end,), name="loop stalls", daemon=True).start()

    def stop(self) -> None:
        """End the thread, if there is one."""
        if self._end is not None:
            self._end.set()
            self._end = None

    def _look(self, end: threading.Event) -> None:
        while not end.wait(BEAT_S):
            beat_s = self._beat_s
            if self._seen_s != beat_s and time.monotonic() - beat_s > BEAT_S + STALLED_S / 2:
                self._calls = _calls(sys._current_frames().get(self._loop_thread))
                self._seen_s = beat_s


def _calls(frame: FrameType | None) -> list[str]:
    """Return the innermost calls, the innermost one last."""
    calls: list[str] = []
    while frame is not None and len(calls) < _INNERMOST:
        calls.append(name_of(frame))
        frame = frame.f_back
    return calls[::-1]
