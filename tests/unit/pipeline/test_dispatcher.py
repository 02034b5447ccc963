"""One endpoint's workers over fakes: order, retries, parking, draining."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from bridge.core.cursor import Cursor
from bridge.errors import TransportError, TransportFault
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.sparse_log import MOST
from tests.support.counted import counted
from tests.support.fakes import P0, FakeParking, FakeReceiver, HeldAnswers, Sent, event
from tests.support.path import Plan, make_dispatcher
from tests.support.simulated import simulated, until


class Stage:
    """An outlet at work, its cursor and its receiver."""

    def __init__(self, plan: Plan) -> None:
        self.receiver = FakeReceiver()
        self.parking = FakeParking()
        self.metrics = Metrics()
        self.cursor = Cursor(P0, 0, window=100, window_bytes=1 << 20)
        self.dispatcher = make_dispatcher("crm", plan, self.receiver, self.parking, self.metrics)

    def put(self, *names: str) -> None:
        """Events at the next offsets; a name is ``entity`` + number: ``a1`` is of entity ``a``."""
        for name in names:
            offset = self.cursor.position
            self.dispatcher.enqueue([event(name, offset, entity=name[0])], self.cursor)
            self.cursor.advance(offset + 1)

    def say(self, *answers: int | Exception) -> None:
        """Answers in turn; 200 after the last."""
        left = list(answers)

        async def answer(_: Sent) -> int | Exception:
            return left.pop(0) if left else 200

        self.receiver.answer = answer

    @property
    def committable(self) -> int:
        return self.cursor.progress().offset

    def reasons(self) -> Sequence[str]:
        return [reason.cause for _, reason in self.parking.parked]


@asynccontextmanager
async def at_work(plan: Plan | None = None) -> AsyncIterator[Stage]:
    stage = Stage(plan or Plan())
    async with asyncio.TaskGroup() as tasks:
        workers = stage.dispatcher.start(tasks)
        yield stage
        for worker in workers:
            worker.cancel()


@simulated
async def test_a_2xx_settles_the_event() -> None:
    async with at_work() as stage:
        stage.put("a1")
        await until(lambda: stage.committable == 1)
        (sent,) = stage.receiver.sent
        headers = dict(sent.request.headers)
        assert headers[b"content-type"] == b"application/json"
        assert {b"webhook-id", b"webhook-timestamp"} <= headers.keys()
        await until(lambda: counted(stage.metrics, "attempts_total", verdict="delivered", status="2xx") == 1)


@simulated
async def test_buffered_successes_are_written_when_an_assignment_ends() -> None:
    async with at_work() as stage:
        stage.put("a1")
        await until(lambda: stage.committable == 1)
        stage.dispatcher.forget()
        assert counted(stage.metrics, "attempts_total", verdict="delivered", status="2xx") == 1


@simulated
async def test_a_retry_keeps_the_order_of_its_lane() -> None:
    async with at_work() as stage:
        stage.say(503, TransportError(TransportFault.READ, "gone"), 302)
        stage.put("a1", "a2")
        await until(lambda: stage.committable == 2)
        assert stage.receiver.ids == ["a1", "a1", "a1", "a1", "a2"]
        await until(lambda: stage.metrics.endpoint("crm").retries_succeeded.value == 1)


@simulated
async def test_a_retry_has_the_same_id_and_body_and_a_new_timestamp() -> None:
    async with at_work(Plan(base_s=100)) as stage:
        stage.say(503, 503, 503)
        stage.put("a1")
        await until(lambda: stage.committable == 1)
        requests = [sent.request for sent in stage.receiver.sent]
        assert len({dict(one.headers)[b"webhook-id"] for one in requests}) == 1
        assert len({one.body for one in requests}) == 1
        instants = [int(dict(one.headers)[b"webhook-timestamp"]) for one in requests]
        assert instants == sorted(instants)
        assert instants[-1] > instants[0]


@simulated
async def test_other_lanes_overtake_a_lane_that_waits_for_a_retry() -> None:
    async with at_work(Plan(concurrency=1, base_s=50)) as stage:
        stage.say(503)
        stage.put("a1", "a2", "b1", "c1")
        await until(lambda: stage.committable == 4)
        assert stage.receiver.ids == ["a1", "b1", "c1", "a1", "a2"]


@simulated
async def test_a_lane_never_has_two_in_flight() -> None:
    async with at_work(Plan(concurrency=8)) as stage:
        stage.receiver.answer = gate = HeldAnswers("a1", "b1")
        stage.put("a1", "a2", "b1", "b2")
        await until(lambda: len(stage.receiver.in_flight) == 2)
        await asyncio.sleep(10)
        assert [sent.event_id for sent in stage.receiver.in_flight] == ["a1", "b1"]
        gate.open("a1")
        gate.open("b1")
        await until(lambda: stage.committable == 4)


@simulated
async def test_no_more_are_in_flight_than_the_endpoint_allows() -> None:
    async with at_work(Plan(concurrency=2)) as stage:
        stage.receiver.answer = gate = HeldAnswers("a1", "b1", "c1")
        stage.put("a1", "b1", "c1")
        await asyncio.sleep(10)
        assert len(stage.receiver.in_flight) == stage.dispatcher.in_flight == 2
        gate.open("a1")
        await until(lambda: "c1" in stage.receiver.ids)
        gate.open("b1")
        gate.open("c1")
        await until(lambda: stage.committable == 3)


@simulated
async def test_an_event_is_parked_after_its_last_attempt_and_its_lane_continues() -> None:
    async with at_work(Plan(max_attempts=3)) as stage:
        stage.say(500, 500, 503)
        stage.put("a1", "a2")
        await until(lambda: stage.committable == 2)
        assert stage.receiver.ids == ["a1", "a1", "a1", "a2"]
        assert stage.reasons() == ["gave up after 3 attempts; the last: status 503"]
        ((record, reason),) = stage.parking.parked
        assert (record.offset, reason.endpoint) == (0, "crm")
        assert reason.details["event-id"] == "a1"
        assert (reason.details["attempts"], reason.details["status"]) == ("3", "503")
        assert counted(stage.metrics, "parked_total", reason="retries_used_up") == 1


@simulated
async def test_an_event_is_parked_when_it_exceeds_its_maximum_age() -> None:
    async with at_work(Plan(base_s=10, max_attempts=1000, max_age_s=100)) as stage:
        stage.say(*[500] * 10_000)
        stage.put("a1")
        await until(lambda: stage.committable == 1)
        assert "gave up after" in stage.reasons()[0]
        assert asyncio.get_running_loop().time() <= 101


@simulated
async def test_a_400_parks_at_once_and_settles_only_after_the_dead_letter_is_written() -> None:
    async with at_work() as stage:
        stage.say(400)
        stage.parking.refusals = 4
        stage.put("a1", "a2")
        with capture_logs() as logs:
            await until(lambda: stage.parking.refusals == 1)
            assert stage.committable == 0
            assert stage.receiver.ids == ["a1"], "nor does the lane go on"
            await until(lambda: stage.committable == 2)
        assert stage.reasons() == ["status 400"]
        said = [one["event"] for one in logs]
        assert said.count(events.PARKING_FAILED) == 1
        assert said.count(events.PARKING_RECOVERED) == 1
        assert said.count(events.EVENT_PARKED) == 1


@simulated
async def test_an_internal_error_is_retried_and_the_event_is_not_lost() -> None:
    async with at_work() as stage:
        stage.say(RuntimeError("a bug"), RuntimeError("a bug"))
        stage.put("a1")
        with capture_logs() as logs:
            await until(lambda: stage.committable == 1)
        assert stage.receiver.ids == ["a1", "a1", "a1"]
        assert [one["event"] for one in logs].count(events.DELIVERY_FAILED_INSIDE) == 2


@simulated
async def test_an_internal_error_of_every_attempt_is_logged_a_few_times() -> None:
    async with at_work() as stage:
        stage.say(*[RuntimeError("a bug")] * (MOST + 4))
        with capture_logs() as logs:
            stage.put(*[f"{entity}1" for entity in "abcdefghi"])
            await until(lambda: stage.committable == MOST + 4)
        assert [one["event"] for one in logs].count(events.DELIVERY_FAILED_INSIDE) == MOST


@simulated
async def test_a_persistent_internal_error_parks_the_event_with_its_cause() -> None:
    async with at_work(Plan(max_attempts=2)) as stage:
        stage.say(*[RuntimeError("a bug")] * 9)
        stage.put("a1")
        with capture_logs():
            await until(lambda: stage.committable == 1)
        assert stage.reasons() == ["gave up after 2 attempts; the last: internal error: RuntimeError"]


@simulated
async def test_an_event_without_a_json_form_is_parked_unsent() -> None:
    async with at_work() as stage:
        broken = event("a1", 0)
        broken.payload = lambda: {1, 2}
        stage.dispatcher.enqueue([broken], stage.cursor)
        stage.cursor.advance(1)
        await until(lambda: stage.committable == 1)
        assert stage.receiver.sent == []
        assert "no JSON form" in stage.reasons()[0]


@simulated
async def test_a_drain_waits_for_requests_in_flight_and_drops_the_rest() -> None:
    async with at_work(Plan(concurrency=2)) as stage:
        stage.receiver.answer = gate = HeldAnswers("a1", "b1")
        stage.put("a1", "a2", "b1", "c1")
        await until(lambda: len(stage.receiver.in_flight) == 2)
        draining = asyncio.create_task(stage.dispatcher.drain())
        await asyncio.sleep(1)
        gate.open("a1")
        await asyncio.sleep(1)
        assert not draining.done()
        gate.open("b1")
        await draining
        await asyncio.sleep(100)
        assert stage.receiver.ids == ["a1", "b1"]
        assert stage.cursor.progress().open_offsets == [1, 3]


@simulated
async def test_a_drain_drops_events_that_wait_for_a_retry() -> None:
    async with at_work(Plan(base_s=10)) as stage:
        stage.say(503)
        stage.put("a1")
        await until(lambda: stage.receiver.sent and not stage.dispatcher.in_flight)
        await stage.dispatcher.drain()
        await asyncio.sleep(1000)
        assert stage.receiver.ids == ["a1"]
        assert stage.committable == 0


@simulated
async def test_an_answer_after_the_assignment_ended_settles_nothing_and_is_not_retried() -> None:
    async with at_work() as stage:
        stage.receiver.answer = gate = HeldAnswers("a1", "b1")
        stage.put("a1", "b1")
        await until(lambda: len(stage.receiver.in_flight) == 2)
        stage.cursor.end()
        gate.open("a1")
        gate.open("b1", 503)
        await asyncio.sleep(1000)
        assert stage.committable == 0
        assert stage.receiver.ids == ["a1", "b1"]


@simulated
async def test_events_that_are_read_again_wait_for_the_request_still_in_flight() -> None:
    """A request outlived the deadline of the drain; its lane must not have another one in flight."""
    async with at_work() as stage:
        stage.receiver.answer = gate = HeldAnswers("a1")
        stage.put("a1", "a2")
        await until(lambda: stage.receiver.in_flight)
        stage.dispatcher.forget()
        stage.cursor.end()
        stage.cursor = Cursor(P0, 0, window=100, window_bytes=1 << 20)
        stage.put("a1", "a2")
        await asyncio.sleep(10)
        assert stage.receiver.ids == ["a1"]
        gate.open("a1")
        await until(lambda: stage.committable == 2)
        assert stage.receiver.ids == ["a1", "a1", "a2"]
