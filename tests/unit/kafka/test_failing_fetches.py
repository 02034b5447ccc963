"""One partition that its broker cannot read does not stall the others, and is reported, never skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaStorageError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.fetch import FetchRequest
from structlog.testing import capture_logs

from bridge.kafka.aiokafka_patches.failing_fetches import FailingPartitions, FetchClient
from bridge.telemetry import events
from tests.support.simulated import simulated

GOOD, BAD = TopicPartition("orders", 0), TopicPartition("orders", 1)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeBroker:
    """Answers a fetch with ``answer(partitions)``: a row's code, end and bytes by partition."""

    def __init__(self, answer: Callable[[list[int]], Mapping[int, tuple[int, int, bytes]]]) -> None:
        self._answer = answer
        self.fetched: list[list[int]] = []
        self.waits_ms: list[int] = []
        self.answers_others = True

    async def send(self, node_id: int, request: Any) -> Any:
        if not isinstance(request, FetchRequest):
            if not self.answers_others:
                raise KafkaConnectionError("refused")
            return SimpleNamespace()
        numbers = [row[0] for _, rows in request.topics for row in rows]
        self.fetched.append(numbers)
        self.waits_ms.append(request._max_wait_ms)
        rows = [
            (number, code, end, end, [], data) for number, (code, end, data) in self._answer(numbers).items()
        ]
        return SimpleNamespace(API_VERSION=4, topics=[("orders", rows)])


def request(wait_ms: int = 50) -> FetchRequest:
    return FetchRequest(wait_ms, 1, 1 << 20, 1, [("orders", [(0, 7, 100), (1, 3, 100)])])


def client_over(broker: FakeBroker) -> tuple[FetchClient, FailingPartitions, Clock]:
    failing = FailingPartitions(clock := Clock())
    return FetchClient(broker, failing), failing, clock


@pytest.mark.parametrize("code", [CorruptRecordException.errno, KafkaStorageError.errno, -1])
@simulated
async def test_a_partition_that_the_broker_reports_as_damaged_is_tried_again_later_and_alone(
    code: int,
) -> None:
    broker = FakeBroker(lambda numbers: {n: (code, -1, b"") if n else (0, 9, b"x") for n in numbers})
    client, failing, clock = client_over(broker)
    with capture_logs() as logs:
        for _ in range(3):
            await client.send(1, request())
        clock.now += 1.1
        await client.send(1, request())
        await client.send(1, request())
    assert broker.fetched == [[0, 1], [0], [0], [1], [0]]
    (line,) = [line for line in logs if line["event"] == events.FETCH_FAILED]
    assert (line["partition"], line["next_offset"], line["log_level"]) == ("orders-1", 3, "error")
    assert len(failing) == 1


@simulated
async def test_a_topic_that_the_login_may_not_read_is_left_out_of_the_response_and_tried_again_later() -> (
    None
):
    """aiokafka would raise for the whole poll, so that each topic is read only about once per second."""
    code = TopicAuthorizationFailedError.errno
    broker = FakeBroker(lambda numbers: {n: (code, -1, b"") if n else (0, 9, b"x") for n in numbers})
    client, failing, clock = client_over(broker)
    with capture_logs() as logs:
        response = await client.send(1, request())
        await client.send(1, request())
        clock.now += 1.1
        await client.send(1, request())
    assert [row[0] for _, rows in response.topics for row in rows] == [0]
    assert broker.fetched == [[0, 1], [0], [1]]
    (line,) = [line for line in logs if line["event"] == events.FETCH_FAILED]
    assert (line["partition"], line["cause"]) == ("orders-1", "this login may not read the topic")
    assert "grant this login the right to read" in line["remedy"]
    assert len(failing) == 1


@simulated
async def test_a_partition_that_is_readable_again_is_fetched_with_the_others_again() -> None:
    codes = iter([2, 0, 0])
    broker = FakeBroker(lambda numbers: {n: (next(codes) if n else 0, 9, b"x") for n in numbers})
    client, failing, clock = client_over(broker)
    with capture_logs() as logs:
        await client.send(1, request())
        clock.now += 1.1
        await client.send(1, request())
        await client.send(1, request())
    assert broker.fetched == [[0, 1], [1], [0, 1]]
    assert [line["event"] for line in logs] == [events.FETCH_FAILED, events.FETCH_RECOVERED]
    assert len(failing) == 0


@simulated
async def test_a_broker_does_not_wait_long_for_one_partition_while_the_others_wait_for_its_answer() -> None:
    codes = iter([2, 0, 0])
    broker = FakeBroker(lambda numbers: {n: (next(codes) if n else 0, 9, b"x") for n in numbers})
    client, _, clock = client_over(broker)
    await client.send(1, request(500))
    clock.now += 1.1
    await client.send(1, request(500))
    await client.send(1, request(500))
    assert broker.fetched == [[0, 1], [1], [0, 1]]
    assert broker.waits_ms == [500, 50, 500]


@simulated
async def test_the_wait_doubles_up_to_half_a_minute() -> None:
    failing = FailingPartitions(clock := Clock())
    waits = []
    for _ in range(8):
        failing.failed(BAD, 3, "damaged")
        began = clock.now
        while not failing.due(BAD):
            clock.now += 0.5
        waits.append(clock.now - began)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


@simulated
async def test_a_change_of_leaders_is_not_a_failing_partition() -> None:
    code = NotLeaderForPartitionError.errno
    broker = FakeBroker(lambda numbers: dict.fromkeys(numbers, (code, -1, b"")))
    client, failing, _ = client_over(broker)
    await client.send(1, request())
    assert len(failing) == 0


def breaks_off(numbers: list[int]) -> dict[int, tuple[int, int, bytes]]:
    if 1 in numbers:
        raise KafkaConnectionError("the connection was closed")
    return dict.fromkeys(numbers, (0, 9, b"x"))


@simulated
async def test_a_partition_at_which_every_response_breaks_off_is_found_and_left_out() -> None:
    broker = FakeBroker(breaks_off)
    client, failing, _ = client_over(broker)
    results = []
    for _ in range(6):
        try:
            await client.send(1, request())
        except KafkaConnectionError:
            results.append("failed")
        else:
            results.append("read")
    assert results[-2:] == ["read", "read"]
    assert broker.fetched[-2:] == [[0], [0]]
    assert len(failing) == 1


@simulated
async def test_no_partition_is_suspected_while_the_broker_answers_nothing_at_all() -> None:
    broker = FakeBroker(breaks_off)
    broker.answers_others = False
    client, failing, _ = client_over(broker)
    for _ in range(5):
        with pytest.raises(KafkaConnectionError):
            await client.send(1, request())
    assert broker.fetched == [[0, 1]] * 5
    assert len(failing) == 0


@simulated
async def test_a_broker_that_sends_nothing_although_its_log_goes_on_is_reported_after_half_a_minute() -> None:
    broker = FakeBroker(lambda numbers: {n: (0, 9, b"" if n else b"x") for n in numbers})
    client, failing, clock = client_over(broker)
    with capture_logs() as logs:
        for _ in range(40):
            assert len(failing) == 0 or clock.now > 129
            await client.send(1, request())
            clock.now += 1
    (line,) = [line for line in logs if line["event"] == events.FETCH_FAILED]
    assert (line["partition"], len(failing)) == ("orders-1", 1)
    failing.keep([GOOD])
    assert len(failing) == 0, "a partition that was given away is not counted"
