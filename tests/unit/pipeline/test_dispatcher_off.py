"""An endpoint that is off: nothing is sent, lost or counted, and nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor, CursorState
from bridge.model import Verdict
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import P0, FakeHistory, FakeParking, FakeReceiver, HeldAnswers, Sent, event
from tests.support.path import Plan, make_dispatcher
from tests.support.simulated import BEGAN_S, LoopClock, simulated, until


class Stage:
    """An outlet over a receiver; ``switch`` does what the app does on a change."""

    def __init__(self, *, concurrency: int = 4, window: int = 100, max_age_s: float = 1e6) -> None:
        self.receiver = FakeReceiver()
        self.parking = FakeParking()
        self.history = FakeHistory()
        metrics = Metrics()
        self.metrics = metrics.endpoint("crm")
        self.cursor: Cursor[Failures] = Cursor(P0, 0, window=window, window_bytes=1 << 20)
        self.turned_off: list[tuple[str, str]] = []
        self.dispatcher = make_dispatcher(
            "crm",
            Plan(concurrency=concurrency, max_age_s=max_age_s),
            self.receiver,
            self.parking,
            metrics,
            history=self.history,
            turn_off=lambda endpoint, reason: self.turned_off.append((endpoint, reason)),
        )

    def put(self, *names: str) -> None:
        for name in names:
            offset = self.cursor.position
            self.dispatcher.enqueue([event(name, offset, entity=name[0])], self.cursor)
            self.cursor.advance(offset + 1)

    def say(self, *answers: int) -> None:
        left = list(answers)

        async def answer(_: Sent) -> int:
            await asyncio.sleep(0.1)
            return left.pop(0) if left else 200

        self.receiver.answer = answer

    @property
    def committable(self) -> int:
        return self.cursor.progress().offset


@asynccontextmanager
async def at_work(stage: Stage) -> AsyncIterator[Stage]:
    async with asyncio.TaskGroup() as tasks:
        workers = stage.dispatcher.start(tasks)
        yield stage
        for worker in workers:
            worker.cancel()


@simulated
async def test_nothing_is_sent_while_the_endpoint_is_off_and_everything_in_order_afterwards() -> None:
    async with at_work(Stage()) as stage:
        stage.dispatcher.turn(False)
        stage.put("a1", "b1", "a2")
        await asyncio.sleep(100)
        stage.put("a3", "b2")
        await asyncio.sleep(100)
        assert stage.receiver.sent == []
        stage.dispatcher.turn(True)
        await until(lambda: stage.committable == 5)
        assert [one for one in stage.receiver.ids if one[0] == "a"] == ["a1", "a2", "a3"]
        assert [one for one in stage.receiver.ids if one[0] == "b"] == ["b1", "b2"]


@simulated
async def test_requests_in_flight_finish_when_the_endpoint_is_switched_off() -> None:
    async with at_work(Stage(concurrency=1)) as stage:
        stage.receiver.answer = gate = HeldAnswers("a1")
        stage.put("a1", "a2", "b1")
        await until(lambda: stage.receiver.in_flight)
        stage.dispatcher.turn(False)
        gate.open("a1")
        await until(lambda: stage.committable == 1)
        await asyncio.sleep(100)
        assert stage.receiver.ids == ["a1"]


@simulated
async def test_a_retry_that_is_due_waits_while_the_endpoint_is_off() -> None:
    async with at_work(Stage()) as stage:
        stage.say(503)
        stage.put("a1")
        await until(lambda: stage.receiver.sent)
        stage.dispatcher.turn(False)  # during the request: the jitter may make the retry due at once
        await asyncio.sleep(1000)
        assert stage.receiver.ids == ["a1"]
        stage.dispatcher.turn(True)
        await until(lambda: stage.committable == 1)


@simulated
async def test_a_drain_does_not_wait_for_events_of_an_endpoint_that_is_off() -> None:
    async with at_work(Stage(concurrency=2)) as stage:
        stage.receiver.answer = gate = HeldAnswers("a1")
        stage.put("a1", "b1", "c1", "d1")
        await until(
            lambda: stage.receiver.ids == ["a1", "b1", "c1", "d1"] and stage.dispatcher.in_flight == 1
        )
        stage.dispatcher.turn(False)
        stage.put("e1", "f1")
        draining = asyncio.create_task(stage.dispatcher.drain())
        await asyncio.sleep(1)
        assert not draining.done(), "what is in flight is waited for, off or not"
        gate.open("a1")
        await asyncio.wait_for(draining, 1)
        stage.dispatcher.turn(True)
        await asyncio.sleep(100)
        assert stage.receiver.ids == ["a1", "b1", "c1", "d1"], "the rest was forgotten"
        assert stage.dispatcher.in_flight == 0


@simulated
async def test_an_endpoint_switched_on_and_off_at_once_sends_nothing() -> None:
    """A worker that was woken must check again whether the endpoint is on."""
    async with at_work(Stage()) as stage:
        stage.dispatcher.turn(False)
        stage.put("a1", "b1")
        await asyncio.sleep(1)
        stage.dispatcher.turn(True)
        stage.dispatcher.turn(False)
        await asyncio.sleep(100)
        assert stage.receiver.sent == []


@simulated
async def test_no_wake_up_is_lost_over_many_switches() -> None:
    async with at_work(Stage(concurrency=2)) as stage:
        stage.say()
        for number in range(1, 40):
            stage.dispatcher.turn(number % 3 != 0)
            stage.put(f"a{number}", f"b{number}", f"{chr(99 + number % 20)}x")
            await asyncio.sleep(0.07)
        stage.dispatcher.turn(True)
        await until(lambda: stage.committable == 39 * 3)
        assert [one for one in stage.receiver.ids if one[0] == "a"] == [f"a{n}" for n in range(1, 40)]


@simulated
async def test_the_window_fills_while_the_endpoint_is_off_and_reopens_afterwards() -> None:
    async with at_work(Stage(window=4)) as stage:
        stage.dispatcher.turn(False)
        stage.put("a1", "b1", "c1", "d1")
        assert stage.cursor.state is CursorState.FULL
        stage.dispatcher.turn(True)
        await until(lambda: stage.committable == 4)
        assert stage.cursor.reopen()


@simulated
async def test_a_410_switches_the_endpoint_off_once_and_costs_no_attempt() -> None:
    """Every request in flight gets a 410; the first one switches the endpoint off."""
    async with at_work(Stage(concurrency=3)) as stage:
        stage.say(503, 410, 410, 410, 410)
        stage.put("a1", "a2", "b1", "c1", "d1")
        await asyncio.sleep(1000)
        assert stage.turned_off == [("crm", "status 410: the endpoint is gone")]
        assert not stage.dispatcher.on
        assert stage.cursor.progress().open_offsets == [0, 1, 2, 3, 4]
        assert stage.cursor.progress().failures == {(0, 0): Failures(1, int(BEGAN_S))}, "410s are no failures"
        assert len(stage.receiver.sent) <= 4
        assert stage.parking.parked == []

        sent_before = len(stage.receiver.sent)
        stage.say(503, 503, 503)
        stage.dispatcher.turn(True)
        await until(lambda: stage.committable == 5)
        assert stage.parking.parked == [], "five 410s more would have used up its attempts"
        later = stage.receiver.ids[sent_before:]
        assert list(dict.fromkeys(one for one in later if one[0] == "a")) == ["a1", "a2"]
        assert stage.metrics.attempts[Verdict.OFF, "4xx"].value >= 1


@simulated
async def test_an_event_that_got_only_410s_starts_at_its_first_attempt() -> None:
    async with at_work(Stage()) as stage:
        for _ in range(9):
            stage.say(410)
            stage.dispatcher.turn(True)
            if not stage.cursor.position:
                stage.put("a1")
            await until(lambda: not stage.dispatcher.on)
        stage.say(503)
        stage.dispatcher.turn(True)
        await until(lambda: stage.committable == 1)
        assert [row.attempt for row in stage.history.rows] == [1] * 10 + [2]
        assert len(stage.turned_off) == 9


@simulated
async def test_the_time_off_does_not_count_against_the_age_of_an_event() -> None:
    """The first failure is long ago, but the endpoint was off most of the time."""
    async with at_work(Stage(max_age_s=100)) as stage:
        stage.say(503)
        stage.put("a1")
        await until(lambda: stage.receiver.sent)
        stage.dispatcher.turn(False)  # during the request: the jitter may make the retry due at once
        await asyncio.sleep(5000)
        stage.say(503)
        stage.dispatcher.turn(True, LoopClock().time())
        await until(lambda: stage.committable == 1)
        assert stage.parking.parked == []


@simulated
async def test_a_410_after_the_assignment_ended_switches_nothing_off() -> None:
    """Another pod has the partition now; it gets a 410 of its own."""
    async with at_work(Stage()) as stage:
        stage.receiver.answer = gate = HeldAnswers("a1")
        stage.put("a1", "a2")
        await until(lambda: stage.receiver.in_flight)
        stage.dispatcher.forget()
        stage.cursor.end()
        gate.open("a1", 410)
        await asyncio.sleep(100)
        assert stage.turned_off == []
        assert stage.receiver.ids == ["a1"]
        stage.cursor = Cursor(P0, 0, window=100, window_bytes=1 << 20)
        stage.put("a1", "a2")
        await until(lambda: stage.committable == 2)
