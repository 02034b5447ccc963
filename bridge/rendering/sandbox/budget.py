"""Limits on one run of a template: steps, characters, nested calls, CPU time.

Except for CPU time the limits are counters, so that they have the same effect on a busy machine. The
thread's CPU clock is read only for a template that takes many steps. A counter only ever decreases during a
run: what a template has created counts, whether it still needs it or not.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from bridge.model import ExactNumber

MAX_STEPS = 50_000
"""Loop iterations, calls, and items that filters read."""
MAX_CHARS = 4_194_304
"""Characters inserted, joined or repeated, and the contents of the lists and mappings that a template builds;
constant text outside loops is not counted."""
MAX_DEPTH = 16
"""Nested macro calls."""
MAX_CPU_S = 1.0
CHARS_A_STEP = 256
"""Reading or comparing this many characters takes about as long as one step."""
_CHECK_EVERY = 1024
"""Steps between two reads of the CPU clock."""
_WORD = 8
"""What an item of a container, or a value without text, counts: a reference has this many bytes."""


class BudgetExceeded(Exception):
    """A template exceeded a limit; the text names it."""


class Budget:
    """What is left for the current run. One per sandbox, which is used by one thread at a time."""

    __slots__ = ("_check_at", "_until", "_weights", "chars", "depth", "steps")

    def __init__(self) -> None:
        self._weights: dict[int, tuple[int, Any]] = {}
        self.begin()

    def begin(self) -> None:
        """Reset all limits for a new run."""
        self.steps, self.chars, self.depth = MAX_STEPS, MAX_CHARS, MAX_DEPTH
        self._check_at, self._until = MAX_STEPS - _CHECK_EVERY, 0.0
        self.end()

    def end(self) -> None:
        """Release the values of the last run."""
        if self._weights:
            self._weights.clear()

    def spend(self, steps: int = 0, chars: int = 0) -> None:
        """Subtract steps and characters. Raises ``BudgetExceeded``."""
        if steps < 0 or chars < 0:
            raise BudgetExceeded("it tried to add to its limits")
        self.steps -= steps
        self.chars -= chars
        if self.chars < 0:
            raise BudgetExceeded(f"it renders more than {MAX_CHARS} characters")
        if self.steps < self._check_at:
            self._check_cpu()

    def read(self, value: Any) -> None:
        """Charge for an operation that may read all of a value, such as a comparison."""
        if isinstance(value, str):
            if len(value) >= CHARS_A_STEP:
                self.spend(len(value) // CHARS_A_STEP)
        elif isinstance(value, dict | list | tuple):
            self.spend(1 + self.weight(value) // CHARS_A_STEP)

    def create(self, value: Any) -> None:
        """Charge for a container that the template has built, with everything in it.

        A container that holds the same one twice counts it twice, because its JSON form, a comparison and a
        walk are as long as that. So what can be built is bounded by what it would be if it was written out.
        """
        self.spend(1, self.weight(value))

    def weight(self, value: Any) -> int:
        """Return about how many characters a value has when it is written out.

        Containers are counted once per run. The dictionary keeps them, so that no other one gets their id.
        """
        if isinstance(value, dict | list | tuple):
            known = self._weights.get(id(value))
            if known is not None:
                return known[0]
            members = value.values() if isinstance(value, dict) else value
            total = _WORD * (1 + len(value)) + sum(map(self.weight, members))
            if isinstance(value, dict):
                total += sum(map(self.weight, value))
            self._weights[id(value)] = (total, value)
            return total
        if isinstance(value, str | bytes):
            return len(value)
        if isinstance(value, ExactNumber):
            return len(value.text)
        if isinstance(value, Decimal):
            return len(str(value)) + (abs(value.adjusted()) if value.is_finite() else 0)
        return _WORD

    def _check_cpu(self) -> None:
        if self.steps < 0:
            raise BudgetExceeded(f"it takes more than {MAX_STEPS} steps (loop iterations, calls)")
        now = time.thread_time()
        if not self._until:
            self._until = now + MAX_CPU_S
        elif now > self._until:
            raise BudgetExceeded(f"it takes more than {MAX_CPU_S:g} s of CPU time")
        self._check_at = self.steps - _CHECK_EVERY
