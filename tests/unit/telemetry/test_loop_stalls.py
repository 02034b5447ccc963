"""At level debug, the log names what held the event loop; otherwise nothing looks at it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.telemetry import events, logs
from bridge.telemetry.gc_pauses import GcPauses
from bridge.telemetry.loop_lag import watch_loop
from tests.support.simulated import simulated

HELD_S = 0.3


def compute_for_long() -> None:
    """Hold the loop, as a computation does."""
    end = time.monotonic() + HELD_S
    while time.monotonic() < end:
        pass


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


async def until(what: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Return once ``what()`` is true. ``meanwhile`` is called again and again, in the loop."""
    async with asyncio.timeout(30):
        while not what():
            meanwhile()
            await asyncio.sleep(0.05)  # a process without CPU may miss one stall, so there are several


@contextmanager
def traced(**options: Any) -> Iterator[list[Any]]:
    running = asyncio.ensure_future(watch_loop(lambda late_s: None, 0.05, **options))
    with capture_logs() as lines:
        yield lines
    running.cancel()


async def test_a_stall_is_logged_with_the_calls_that_the_loop_was_in() -> None:
    with traced(traces=lambda: True) as lines:
        await until(lambda: "loop stalls" in threads())
        await until(
            lambda: any("compute_for_long" in str(line["busy_in"]) for line in lines), compute_for_long
        )
    line = next(line for line in lines if "compute_for_long" in str(line["busy_in"]))
    assert (line["event"], line["log_level"]) == (events.LOOP_STALLED, "debug")
    assert line["late_ms"] >= HELD_S * 900
    assert line["cpu_ms"] > 0
    assert any("compute_for_long (telemetry/test_loop_stalls.py:" in call for call in line["busy_in"])


async def test_a_loop_that_waits_without_cpu_is_told_from_one_that_computes() -> None:
    with traced(traces=lambda: True) as lines:
        await until(lambda: "loop stalls" in threads())
        await until(
            lambda: any(line["late_ms"] >= HELD_S * 900 for line in lines), lambda: time.sleep(HELD_S)
        )  # more than once: the loop may be between two watches
    line = max(lines, key=lambda line: line["late_ms"])
    assert line["cpu_ms"] < line["late_ms"] / 2


async def test_a_stall_by_the_garbage_collector_is_named() -> None:
    with traced(traces=lambda: True) as lines:
        await until(lambda: "loop stalls" in threads())
        waste: list[Any] = [[number] for number in range(1_000_000)]
        await until(lambda: any(line["gc_ms"] > 0 for line in lines), gc.collect)
        del waste


@simulated
async def test_tracing_does_not_count_its_own_beats_as_lateness() -> None:
    seen: list[float] = []
    running = asyncio.ensure_future(watch_loop(seen.append, 0.0123, traces=lambda: True))
    await asyncio.sleep(1)
    running.cancel()
    assert len(seen) > 50
    assert max(seen) < 1e-6


async def test_without_level_debug_no_thread_looks_and_no_line_is_written() -> None:
    with traced(traces=lambda: False) as lines:
        await asyncio.sleep(0)
        compute_for_long()
        await asyncio.sleep(0.1)
        assert "loop stalls" not in threads()
    assert lines == []


async def test_the_thread_begins_and_ends_with_level_debug() -> None:
    is_on = [False]
    with traced(traces=lambda: is_on[0]):
        for is_on[0] in (True, False, True, False):
            await until(lambda: ("loop stalls" in threads()) is is_on[0])


async def test_the_thread_ends_with_the_watch() -> None:
    with traced(traces=lambda: True):
        await until(lambda: "loop stalls" in threads())
    await until(lambda: "loop stalls" not in threads())
    assert not any(isinstance(getattr(note, "__self__", None), GcPauses) for note in gc.callbacks)


@pytest.mark.parametrize(("level", "expected"), [("debug", True), ("info", False), ("error", False)])
def test_stalls_are_traced_at_level_debug_only(level: str, expected: bool) -> None:
    logs.set_up(level, "json")
    assert logs.shows_debug() is expected
    logs.set_level("info")
    assert not logs.shows_debug()


def test_every_collection_is_measured() -> None:
    seen: list[float] = []
    pauses = GcPauses(seen.append)
    pauses.start()
    try:
        before = len(seen)
        gc.collect()
        assert len(seen) > before
        assert pauses.total_s == pytest.approx(sum(seen))
    finally:
        pauses.stop()
    number = len(seen)
    gc.collect()
    assert len(seen) == number
