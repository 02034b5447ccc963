"""Limits on one run of a template: steps, characters, nested calls, CPU time.

Except for CPU time the limits are counters, so that they have the same effect on a busy machine. The
thread's CPU clock is read only for a template that takes many steps.
"""

from __future__ import annotations

import time

MAX_STEPS = 50_000
"""Loop iterations, calls, and items that filters read."""
MAX_CHARS = 4_194_304
"""Characters inserted or repeated; constant text outside loops is not counted."""
MAX_DEPTH = 16
"""Nested macro calls."""
MAX_CPU_S = 1.0
_CHECK_EVERY = 1024
"""Steps between two reads of the CPU clock."""


class BudgetExceeded(Exception):
    """A template exceeded a limit; the text names it."""


class Budget:
    """What is left for the current run. One per sandbox, which is used by one thread at a time."""

    __slots__ = ("_check_at", "_until", "chars", "depth", "steps")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Reset all limits for a new run."""
        self.steps, self.chars, self.depth = MAX_STEPS, MAX_CHARS, MAX_DEPTH
        self._check_at, self._until = MAX_STEPS - _CHECK_EVERY, 0.0

    def spend(self, steps: int = 0, chars: int = 0) -> None:
        """Subtract steps and characters. Raises ``BudgetExceeded``."""
        self.steps -= steps
        self.chars -= chars
        if self.chars < 0:
            raise BudgetExceeded(f"it renders more than {MAX_CHARS} characters")
        if self.steps < self._check_at:
            self._check_cpu()

    def _check_cpu(self) -> None:
        if self.steps < 0:
            raise BudgetExceeded(f"it takes more than {MAX_STEPS} steps (loop iterations, calls)")
        now = time.thread_time()
        if not self._until:
            self._until = now + MAX_CPU_S
        elif now > self._until:
            raise BudgetExceeded(f"it takes more than {MAX_CPU_S:g} s of CPU time")
        self._check_at = self.steps - _CHECK_EVERY
