"""Waiting for the gate: one timer per endpoint wakes as many workers as may send, and no worker polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from bridge.core.cursor import Cursor
from bridge.core.lanes import Lane
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.pipeline import lane_queue
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.lane_queue import Delivery, LaneItem, LaneQueue
from tests.support.fakes import P0, event
from tests.support.simulated import LoopClock, simulated, until


class CountingGate(Gate):
    """A gate that counts how often it is called."""

    asked = 0

    def admit(self, now: float) -> float:
        self.asked += 1
        return super().admit(now)


class Stage:
    """A queue whose workers keep each lane for ``work_s`` seconds; ``sent`` are the instants."""

    def __init__(self, *windows: tuple[int, float], work_s: float = 0.0) -> None:
        breaker = Breaker(failures=3, window_s=30, open_s=5, max_open_s=60, concurrency=8)
        self.gate = CountingGate(RateWindows(windows), AdaptiveLimit(64), breaker, retry_after_cap_s=60)
        self.queue = LaneQueue(LoopClock(), self.gate)
        self.sent: list[float] = []
        self.fails = False
        self._work_s = work_s

    def put(self, count: int) -> None:
        cursor: EndpointCursor = Cursor(P0, 0, window=1000, window_bytes=1 << 20)
        for number in range(count):
            delivery = Delivery(event(f"a{number}"), cursor, number, 10, 0)
            if self.queue.push(None, delivery) and self.queue.sleepers:
                self.queue.wake()

    async def work(self) -> None:
        while True:
            lane: Lane[LaneItem] = await self.queue.next_lane()
            number = self.gate.sent(LoopClock().monotonic())
            self.sent.append(LoopClock().monotonic())
            await asyncio.sleep(self._work_s)
            kind = "failed" if self.fails else "ok"
            self.gate.answered(LoopClock().monotonic(), kind, number=number)  # type: ignore[arg-type]
            self.queue.finish(lane)


@asynccontextmanager
async def at_work(stage: Stage, workers: int) -> AsyncIterator[Stage]:
    async with asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(stage.work()) for _ in range(workers)]
        yield stage
        for task in working:
            task.cancel()


@simulated
async def test_workers_that_wait_for_the_rate_do_not_poll() -> None:
    async with at_work(Stage((1, 10.0)), workers=50) as stage:
        await asyncio.sleep(1)
        stage.put(6)
        await until(lambda: len(stage.sent) == 6)
        assert stage.sent == pytest.approx([1, 11, 21, 31, 41, 51], abs=0.01)
        assert stage.gate.asked < 30


@simulated
async def test_a_gate_that_opens_for_several_requests_wakes_several_workers() -> None:
    async with at_work(Stage((4, 10.0), work_s=8), workers=8) as stage:
        stage.put(12)
        await until(lambda: len(stage.sent) == 12)
        assert stage.sent == pytest.approx([0] * 4 + [11] * 4 + [21] * 4, abs=0.01)


@simulated
async def test_a_larger_share_of_the_rate_wakes_a_worker_before_its_timer() -> None:
    async with at_work(Stage((2, 100.0)), workers=2) as stage:
        stage.gate.set_share(0.5)
        stage.put(2)
        await asyncio.sleep(5)
        assert len(stage.sent) == 1
        stage.gate.set_share(1.0)
        stage.queue.wake()
        await asyncio.sleep(0.1)
        assert len(stage.sent) == 2


@simulated
async def test_after_an_open_breaker_one_worker_probes_and_the_others_follow() -> None:
    async with at_work(Stage(work_s=0.5), workers=8) as stage:
        stage.fails = True
        stage.put(8)
        await until(lambda: stage.gate.state == "open")
        opened_at = LoopClock().monotonic()
        stage.fails = False
        stage.put(40)
        before = len(stage.sent)
        await asyncio.sleep(5.4)
        assert len(stage.sent) == before + 1, "exactly one probe"
        await until(lambda: len(stage.sent) == 48)
        assert stage.gate.state == "closed"
        assert stage.sent[-1] - opened_at < 15


@simulated
async def test_a_queue_that_is_off_gives_no_lane_until_it_is_on() -> None:
    async with at_work(Stage(work_s=1), workers=4) as stage:
        stage.queue.turn(False)
        stage.put(4)
        await asyncio.sleep(10)
        assert stage.sent == []
        stage.queue.turn(True)
        await asyncio.sleep(0.5)
        assert len(stage.sent) == 4, "each worker that gets a lane wakes the next one"


def test_a_wait_of_less_than_a_millisecond_is_no_fault_on_the_event_loop_of_the_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uvloop returns another kind of handle for it, without ``when()``; a pod ended with that once."""
    monkeypatch.setattr(lane_queue, "_SHORTEST_WAIT_S", 0.0)

    async def wait_twice_then_be_woken() -> bool:
        queue = Stage().queue
        sleeper = asyncio.get_running_loop().create_future()
        queue.sleepers.append(sleeper)
        queue._wake_in(0.0)
        queue._wake_in(0.0)
        queue._wake_in(-1.0)
        await asyncio.wait_for(sleeper, 5)
        return sleeper.done()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(wait_twice_then_be_woken())
