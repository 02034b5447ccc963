"""The clock as a part that tests can replace, so that they move time instead of sleeping.

``monotonic`` is for delays and deadlines, ``time`` for instants that leave the process (signatures,
history). Both are in seconds.
"""

from __future__ import annotations

import time as _time
from typing import Protocol


class Clock(Protocol):
    """What every step that needs the time receives."""

    def time(self) -> float:
        """Return the seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary point. They never decrease."""
        ...


class SystemClock:
    """The machine's clock."""

    time = staticmethod(_time.time)
    monotonic = staticmethod(_time.monotonic)
