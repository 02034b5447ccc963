"""How much one run of a template may do: steps, characters, calls inside calls, processor time.

Below ``sandbox``. Pure but for the thread's processor clock, which is read only by a template that takes many
steps: the other bounds count, so that they fall the same way on a busy machine as on an idle one.
"""

from __future__ import annotations

import time

MAX_STEPS = 50_000
"""Turns of loops, calls, and items that filters look at."""
MAX_CHARS = 4_194_304
"""Characters inserted or repeated; what stands in the template once is not counted."""
MAX_DEPTH = 16
"""Macros that call macros."""
MAX_CPU_S = 1.0
_LOOK_EVERY = 1024


class Exceeded(Exception):
    """A template wanted to do more than it may; the text says what."""


class Budget:
    """What is left in the present run. One per sandbox: a sandbox is used by one thread at a time."""

    __slots__ = ("_look_at", "_until", "chars", "depth", "steps")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a run."""
        self.steps, self.chars, self.depth = MAX_STEPS, MAX_CHARS, MAX_DEPTH
        self._look_at, self._until = MAX_STEPS - _LOOK_EVERY, 0.0

    def spend(self, steps: int = 0, chars: int = 0) -> None:
        """Take from what is left. Raises ``Exceeded``."""
        self.steps -= steps
        self.chars -= chars
        if self.chars < 0:
            raise Exceeded(f"it makes more than {MAX_CHARS} characters")
        if self.steps < self._look_at:
            self._look()

    def _look(self) -> None:
        if self.steps < 0:
            raise Exceeded(f"it takes more than {MAX_STEPS} steps (turns of loops, calls)")
        now = time.thread_time()
        if not self._until:
            self._until = now + MAX_CPU_S
        elif now > self._until:
            raise Exceeded(f"it takes more than {MAX_CPU_S:g} s of processor time")
        self._look_at = self.steps - _LOOK_EVERY
