"""Simulated time: an event loop whose clock advances only when no task can run.

An hour of retries takes milliseconds and always has the same order. A test that waits for something that
never happens fails immediately instead of hanging.

Random delays are the same in each run, and none is shorter than half of its bound: ``until`` looks every
10 ms and would miss what lasts for less.
"""

from __future__ import annotations

import asyncio
import functools
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any
from unittest import mock

BEGAN_S = 1_700_000_000.0


class Stuck(AssertionError):
    """Every task waits, and no event can wake one."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("every task waits, and no event can wake one")
            self.now += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._made_up = _Selector()
        super().__init__(self._made_up)

    def time(self) -> float:
        return self._made_up.now


class LoopClock:
    """``bridge.clock.Clock`` with the time of the running loop."""

    def time(self) -> float:
        return BEGAN_S + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop with simulated time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        draw = random.Random(0).uniform
        delays = mock.patch("random.uniform", lambda least, most: draw((least + most) / 2, most))
        with delays, asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def until(what: Callable[[], object], within_s: float = 3600) -> None:
    """Return when ``what`` is true. In a simulated test, waiting takes no time."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not what():
        assert asyncio.get_running_loop().time() < deadline, "the condition never became true"
        await asyncio.sleep(0.01)
