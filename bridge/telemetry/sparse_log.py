"""Write lines that can come once per record: the first few of a minute, and how many were left out.

Invariant: however many records are affected, one log writes ``MOST`` lines per minute and event at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog

from bridge.telemetry.throttle import INTERVAL_S

_log = structlog.get_logger()
MOST = 5
"""Lines of an event per minute: enough for a few records to be named, each with its place."""


class SparseLog:
    """The lines of one part. The first line of a minute has in ``more`` how many were left out before it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._now = now
        self._minutes: dict[str, tuple[float, int]] = {}  # event -> began, lines since

    def info(self, event: str, **fields: Any) -> None:
        """Write a line of this level, unless there were enough of this event."""
        self._write(_log.info, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write a line of this level, unless there were enough of this event."""
        self._write(_log.warning, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write a line of this level, unless there were enough of this event."""
        self._write(_log.error, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Write an error with the traceback of the exception that is handled, under the same limit."""
        self._write(_log.exception, event, fields)

    def _write(self, log: Callable[..., Any], event: str, fields: dict[str, Any]) -> None:
        now = self._now()
        began, lines = self._minutes.get(event, (now, 0))
        if now - began >= INTERVAL_S:
            if lines > MOST:
                fields["more"] = lines - MOST
            began, lines = now, 0
        self._minutes[event] = began, lines + 1
        if lines < MOST:
            log(event, **fields)
