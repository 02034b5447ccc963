"""Measure the pauses of the garbage collector, in which no thread runs.

Invariant: it costs two calls per collection.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any


class GcPauses:
    """Calls ``observe`` with the seconds of each collection, from ``start`` to ``stop``."""

    def __init__(self, observe: Callable[[float], None] = lambda pause_s: None) -> None:
        self.total_s = 0.0
        self._observe = observe
        self._began_s = 0.0

    def start(self) -> None:
        """Begin to measure."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """End it."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def _note(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._began_s = time.perf_counter()
        elif self._began_s:
            pause_s = time.perf_counter() - self._began_s
            self.total_s += pause_s
            self._observe(pause_s)
