"""A stop: it ends the start at any point, and the process ends in time whatever it waits for."""

from __future__ import annotations

import asyncio
import os
import signal
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from bridge.app.exit_codes import ExitCode
from bridge.app.reload_requests import ReloadRequests
from bridge.app.stop import OVERTIME_S, Stopped, StopRequest
from bridge.telemetry import events
from tests.support.simulated import simulated


async def test_work_that_ends_before_a_stop_returns_or_raises_as_usual() -> None:
    stop = StopRequest(1.0)
    await stop.unless_requested(asyncio.sleep(0))

    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await stop.unless_requested(fail())


async def test_a_stop_cancels_the_work_that_it_comes_before() -> None:
    stop, cancelled = StopRequest(1.0), []

    async def wait_forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    waiting = asyncio.ensure_future(stop.unless_requested(wait_forever()))
    await asyncio.sleep(0)
    stop.request_by_signal()
    with pytest.raises(Stopped):
        await waiting
    assert cancelled == [True]
    await stop.wait()


async def test_sighup_stops_nothing_and_reloads_nothing_during_the_start_or_without_reload() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
    loop, stop = asyncio.get_running_loop(), StopRequest(1.0)
    requests = ReloadRequests()
    stop.handle_signals(requests.hang_up)
    requests.open(SimpleNamespace(mode="off"), lambda: "pod-0", None)  # type: ignore[arg-type]
    try:
        stopping = asyncio.ensure_future(stop.wait())
        with capture_logs() as lines:
            os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(5):
                while not lines:
                    await asyncio.sleep(0.01)
        assert not stopping.done()
        stopping.cancel()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    (line,) = lines
    assert (line["event"], line["log_level"], line["signal"]) == (events.SIGNAL_IGNORED, "info", "SIGHUP")


def test_a_process_that_does_not_end_is_abandoned_after_the_deadline_and_the_overtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[tuple[int, float]] = []

    async def hang() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        monkeypatch.setattr(os, "_exit", lambda code: ended.append((code, loop.time() - began)))
        stop = StopRequest(20.0)
        stop.request_by_signal()
        await asyncio.sleep(1)
        stop.request_by_signal()  # a second signal starts no second deadline
        await asyncio.sleep(100)

    simulated(hang)()
    assert ended == [(ExitCode.ABANDONED, 20.0 + OVERTIME_S)]
