"""The CPU time of one call, for benchmarks of single steps."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_us(work: Callable[[], object], rounds: int) -> float:
    """Return the lowest CPU time of one call, of five times this many rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time() - began) / rounds)
    return best * 1e6
