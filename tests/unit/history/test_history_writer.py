"""The history is written before a commit, delays it by a bound at most, and ends nothing when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bridge.errors import BrokerError, RecordTooLarge
from bridge.history.attempt import Attempt
from bridge.history.batch import Writer, decode
from bridge.history.pool import size_of
from bridge.history.stream import BATCH_BYTES
from bridge.history.writer import History
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from bridge.telemetry import events
from tests.support.attempts import attempt_at, entry_of
from tests.support.fake_producer import broker_error
from tests.support.simulated import simulated

TOO_LARGE = RecordTooLarge("write", "it is too large", "raise max.message.bytes")


class Topic:
    """A producer of the history: each write takes ``takes_s`` of its endpoint, then may be refused."""

    def __init__(self, takes_s: float = 0.01) -> None:
        self.takes_s: dict[str, float] = {}
        self.default_s = takes_s
        self.refuse: Callable[[NewRecord], Exception | None] = lambda record: None
        self.records: list[Record] = []
        self.tries = 0

    async def write(self, record: NewRecord) -> None:
        self.tries += 1
        endpoint = (record.key or b"").decode()
        await asyncio.sleep(self.takes_s.get(endpoint, self.default_s))
        if error := self.refuse(record):
            raise error
        place = len(self.records)
        self.records.append(
            Record(Partition(record.topic, 0), place, 0, record.key, record.value, tuple(record.headers))
        )

    def attempts(self, endpoint: str = "crm") -> list[Attempt]:
        return [
            kept.attempt for record in self.records for kept in decode(record)[1] if kept.endpoint == endpoint
        ]

    def writers(self) -> list[Writer]:
        return [decode(record)[0] for record in self.records]


class Stage:
    """A history with a topic, and what it counted."""

    def __init__(self, topic: Topic, most_bytes: int) -> None:
        self.topic = topic
        self.counts = {"written": 0, "dropped": 0}
        self.history = History(
            "g.attempts", ("crm", "shop"), topic, most_bytes=most_bytes, count=self._count, wait_s=1.0
        )

    def _count(self, outcome: str, attempts: int) -> None:
        self.counts[outcome] += attempts

    def add(self, second: float, endpoint: str = "crm", **facts: object) -> Attempt:
        attempt = attempt_at(second, **facts)
        self.history.stream(endpoint).add(entry_of(attempt))
        return attempt


@asynccontextmanager
async def at_work(topic: Topic | None = None, most_bytes: int = 10_000_000) -> AsyncIterator[Stage]:
    stage = Stage(topic or Topic(), most_bytes)
    async with asyncio.TaskGroup() as tasks:
        writers = stage.history.start(tasks)
        yield stage
        for writer in writers:
            writer.cancel()


def now() -> float:
    return asyncio.get_running_loop().time()


@simulated
async def test_a_flush_returns_once_the_topic_has_all_attempts_in_order() -> None:
    async with at_work() as stage:
        added = [stage.add(second) for second in range(3)]
        stage.add(9, "shop")
        await stage.history.flush()
        assert stage.topic.attempts() == added
        assert [attempt.event_id for attempt in stage.topic.attempts("shop")] == ["id-9"]
        assert stage.counts == {"written": 4, "dropped": 0}
        assert stage.history.pool.bytes == 0


@simulated
async def test_a_flush_without_attempts_writes_nothing() -> None:
    async with at_work() as stage:
        await stage.history.flush()
        assert (stage.topic.tries, now()) == (0, 0)


@simulated
async def test_a_flush_waits_for_what_was_added_while_another_write_was_under_way() -> None:
    async with at_work(Topic(takes_s=0.3)) as stage:
        stage.add(0)
        first = asyncio.ensure_future(stage.history.flush())
        await asyncio.sleep(0.1)
        stage.add(1)
        await stage.history.flush()
        assert [attempt.event_id for attempt in stage.topic.attempts()] == ["id-0", "id-1"]
        await first


@simulated
async def test_a_topic_that_does_not_answer_delays_one_commit_by_the_bound_and_the_next_ones_not_at_all() -> (
    None
):
    async with at_work(Topic(takes_s=50)) as stage:
        stage.add(0)
        await stage.history.flush()
        assert now() == pytest.approx(1)
        for second in range(1, 5):
            stage.add(second)
            await stage.history.flush()
        assert now() == pytest.approx(1)
        await asyncio.sleep(200)
        assert len(stage.topic.attempts()) == 5, "nothing was dropped"
        stage.topic.default_s = 0.01
        stage.add(5)
        await stage.history.flush()
        assert len(stage.topic.attempts()) == 6, "commits wait again once the topic has caught up"


@simulated
async def test_one_endpoint_whose_partition_has_no_leader_does_not_hold_up_the_attempts_of_another() -> None:
    topic = Topic()
    topic.takes_s["shop"] = 1000
    async with at_work(topic) as stage:
        for second in range(3):
            stage.add(second, "shop")
            stage.add(second)
            await stage.history.flush()
        assert len(topic.attempts()) == 3
        assert now() < 1.1


@simulated
async def test_a_write_that_fails_is_repeated_until_it_succeeds_in_order_and_with_its_number() -> None:
    topic = Topic()
    topic.refuse = lambda record: broker_error() if topic.tries < 5 else None
    with capture_logs() as logs:
        async with at_work(topic) as stage:
            stage.add(0)
            await stage.history.flush()
            stage.add(1)
            await stage.history.flush()
            await asyncio.sleep(60)
            assert [attempt.event_id for attempt in topic.attempts()] == ["id-0", "id-1"]
            assert [writer.number for writer in topic.writers()] == [1, 2]
            assert stage.counts == {"written": 2, "dropped": 0}
    assert [line["event"] for line in logs] == [events.HISTORY_FAILED, events.HISTORY_RECOVERED]
    assert logs[0]["cause"] == "the broker did not answer"


@simulated
async def test_while_the_topic_fails_the_oldest_attempts_give_way_and_are_counted_and_logged_once() -> None:
    topic = Topic()
    topic.refuse = lambda record: broker_error()
    with capture_logs() as logs:
        async with at_work(topic, most_bytes=20 * size_of(attempt_at(0))) as stage:
            for second in range(100):
                stage.add(second)
                await asyncio.sleep(0.01)
                assert stage.history.pool.bytes <= stage.history.pool.most_bytes
            topic.refuse = lambda record: None
            await asyncio.sleep(10)
            kept = [attempt.event_id for attempt in topic.attempts()]
            assert kept[-10:] == [f"id-{second}" for second in range(90, 100)]
            assert stage.counts == {"written": len(kept), "dropped": 100 - len(kept)}
            assert stage.history.pool.bytes == 0
    assert [line["event"] for line in logs].count(events.HISTORY_DROPPED) == 1


@simulated
async def test_attempts_of_many_bytes_are_split_into_several_records() -> None:
    async with at_work(Topic(), most_bytes=1 << 30) as stage:
        for second in range(400):
            stage.add(second, body=b"x" * 10_000)
        await stage.history.flush()
        assert len(stage.topic.attempts()) == 400
        sizes = [sum(size_of(kept.attempt) for kept in decode(record)[1]) for record in stage.topic.records]
        assert len(sizes) > 5
        assert max(sizes) < BATCH_BYTES + 20_000
        assert min(sizes[:-1]) >= BATCH_BYTES
        assert stage.history.pool.bytes == 0


@simulated
async def test_a_pass_writes_exactly_what_waits_when_it_begins() -> None:
    async with at_work(Topic(), most_bytes=1 << 30) as stage:
        for second in range(30):
            stage.add(second, body=b"x" * 10_000)
        flush = asyncio.create_task(stage.history.flush())
        await asyncio.sleep(0.005)  # the first record is on its way
        for second in range(30, 35):
            stage.add(second)
        await flush
        assert [attempt.event_id for attempt in stage.topic.attempts()] == [f"id-{n}" for n in range(30)]
        assert len(stage.topic.records) == 2


@simulated
async def test_a_record_that_the_topic_refuses_as_too_large_is_split_and_then_loses_its_bodies() -> None:
    topic = Topic()
    topic.refuse = lambda record: TOO_LARGE if len(record.value or b"") > 4000 else None
    async with at_work(topic) as stage:
        for second in range(8):
            stage.add(second, body=b"x" * (50_000 if second == 3 else 500))
        await stage.history.flush()
        kept = topic.attempts()
        assert [attempt.event_id for attempt in kept] == [f"id-{second}" for second in range(8)]
        assert [attempt.body is None for attempt in kept].count(True) == 1
        assert kept[3].body is None
        numbers = [writer.number for writer in topic.writers()]
        assert len(numbers) == len(set(numbers)), "readers drop what has the number of another record"


@simulated
async def test_an_attempt_that_no_record_can_hold_is_dropped_with_an_error_and_nothing_else_is() -> None:
    topic = Topic()
    topic.refuse = lambda record: TOO_LARGE if b"id-1" in (record.value or b"") else None
    with capture_logs() as logs:
        async with at_work(topic) as stage:
            for second in (0, 1, 2):
                stage.add(second)
            await stage.history.flush()
            assert [attempt.event_id for attempt in topic.attempts()] == ["id-0", "id-2"]
            assert stage.counts == {"written": 2, "dropped": 1}
    assert {line["event"] for line in logs} >= {events.HISTORY_FAILED, events.HISTORY_DROPPED}
    assert any("max.message.bytes" in str(line.get("remedy")) for line in logs)


@simulated
async def test_a_bug_in_writing_ends_neither_the_task_nor_the_process() -> None:
    topic = Topic()
    topic.refuse = lambda record: ValueError("a bug") if topic.tries == 1 else None
    with capture_logs() as logs:
        async with at_work(topic) as stage:
            stage.add(0)
            await stage.history.flush()
            stage.add(1)
            await stage.history.flush()
            assert [attempt.event_id for attempt in topic.attempts()] == ["id-1"]
            assert stage.counts == {"written": 1, "dropped": 1}
    assert logs[0]["event"] == events.HISTORY_FAILED_INSIDE


@simulated
async def test_attempts_are_written_before_the_commit_interval_ends_if_they_use_much_memory() -> None:
    async with at_work(most_bytes=40 * size_of(attempt_at(0))) as stage:
        for second in range(1000):
            stage.add(second)
            await asyncio.sleep(0.005)
        await stage.history.flush()
        assert stage.counts == {"written": 1000, "dropped": 0}


@simulated
async def test_the_end_of_the_process_counts_what_the_topic_did_not_accept_in_time() -> None:
    async with at_work(Topic(takes_s=100)) as stage:
        for second in range(4):
            stage.add(second)
        await stage.history.close()
        assert stage.counts["dropped"] == 4
        assert now() <= 3.5


@simulated
async def test_errors_of_the_broker_are_never_raised_by_a_flush() -> None:
    topic = Topic()
    topic.refuse = lambda record: BrokerError("write", "denied", "grant the right")
    async with at_work(topic) as stage:
        stage.add(0)
        await stage.history.flush()
        await stage.history.close()
