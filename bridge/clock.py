"""Time as a part that can be swapped, so that tests move it instead of sleeping.

Bottom floor. ``monotonic`` is for delays and deadlines, ``time`` for instants that leave the
process (signatures, history); both in seconds.
"""

from __future__ import annotations

import time as _time
from typing import Protocol


class Clock(Protocol):
    """Where every step that needs the time gets it."""

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    time = staticmethod(_time.time)
    monotonic = staticmethod(_time.monotonic)
