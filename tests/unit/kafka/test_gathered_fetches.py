"""aiokafka's fetcher with our pace: how often a broker is asked, and how long it may wait for records."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.fetch import FetchRequest

from bridge.core.fetch_pace import FULL_RECORDS, GATHER_S, SILENT_S
from bridge.kafka.aiokafka_patches.failing_fetches import CarefulFetcher
from bridge.kafka.aiokafka_patches.gathered_fetches import GatheringFetcher
from tests.support.record_batches import RawBatch, RawRecord
from tests.support.simulated import simulated

PARTITIONS = [TopicPartition("orders", number) for number in range(3)]


class FakeConnection:
    """A connection to a broker."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class FakeBroker:
    """Two brokers: the first leads partitions 0 and 1, the second partition 2.

    Once ``written`` is set, partition 0 has a record at each offset, ``size`` of them in a batch.
    """

    def __init__(self, size: int = 1) -> None:
        self.requests: list[tuple[float, int, FetchRequest]] = []
        self.connections: list[int] = []
        self._conns: dict[tuple[int, int], FakeConnection] = {}
        self.cluster = SimpleNamespace(leader_for_partition=lambda partition: int(partition.partition == 2))
        self._loop = asyncio.get_running_loop()
        self._metadata_max_age_ms = 10_000
        self._size = size
        self.written = asyncio.Event()
        self.turns = 0  # of the loop, until an answer without records arrives

    async def send(self, node_id: int, request: FetchRequest, group: int = 0) -> Any:
        self.requests.append((self._loop.time(), node_id, request))
        self.connections.append(group)
        self._conns.setdefault((node_id, group), FakeConnection())
        try:
            async with asyncio.timeout(request._max_wait_ms / 1000):
                await (asyncio.Event() if node_id else self.written).wait()
        except TimeoutError:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            return SimpleNamespace(API_VERSION=11, topics=[])
        (offset,) = [row[1] for _, rows in request.topics for row in rows if row[0] == 0] or [None]
        batch = RawBatch(offset or 0, [RawRecord()] * self._size).pack()
        rows = [(0, 0, 10**6, 10**6, 0, [], -1, batch)] if offset is not None else []
        return SimpleNamespace(API_VERSION=11, topics=[("orders", rows)])

    def times(self, node_id: int) -> list[float]:
        return [at for at, node, _ in self.requests if node == node_id]


def started(
    broker: FakeBroker, complete_wait_ms: int = 250, silent_wait_ms: int | None = None
) -> tuple[CarefulFetcher, Any]:
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user(PARTITIONS)
    for partition in PARTITIONS:
        subscriptions.seek(partition, 0)
    fetcher = CarefulFetcher(broker, subscriptions, fetch_max_wait_ms=50)
    fetcher.complete_wait_ms = complete_wait_ms
    fetcher.silent_wait_ms = complete_wait_ms if silent_wait_ms is None else silent_wait_ms
    return fetcher, subscriptions


async def read(fetcher: CarefulFetcher, records: int) -> None:
    while records > 0:
        fetched = await fetcher.fetched_records((), timeout=10)
        records -= sum(map(len, fetched.values()))


@simulated
async def test_a_trickle_is_fetched_in_steps_of_the_pause() -> None:
    broker = FakeBroker()
    fetcher, _ = started(broker)
    broker.written.set()
    await read(fetcher, 20)
    times = broker.times(0)
    steps = [after - before for before, after in pairwise(times)]
    assert len(steps) >= 19
    assert min(steps) >= GATHER_S - 0.001
    await fetcher.close()


@simulated
async def test_what_is_read_during_a_pause_does_not_wake_the_task_that_fetches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []
    choose = GatheringFetcher._get_actions_per_node

    def counted(fetcher: GatheringFetcher, assignment: Any) -> Any:
        looks.append(fetcher._loop.time())
        return choose(fetcher, assignment)

    monkeypatch.setattr(GatheringFetcher, "_get_actions_per_node", counted)
    broker = FakeBroker()
    fetcher, _ = started(broker)
    broker.written.set()
    await read(fetcher, 20)
    requests = len(broker.times(0))
    assert len(looks) <= 2 * requests + 5, "once for an answer, and once at the end of a pause"
    await fetcher.close()


@simulated
async def test_a_backlog_is_fetched_without_pauses() -> None:
    broker = FakeBroker(size=FULL_RECORDS)
    fetcher, _ = started(broker)
    broker.written.set()
    began = asyncio.get_running_loop().time()
    await read(fetcher, 20 * FULL_RECORDS)
    assert asyncio.get_running_loop().time() - began < GATHER_S
    await fetcher.close()


@simulated
async def test_the_first_record_after_a_silence_is_read_when_it_is_written() -> None:
    broker = FakeBroker()
    fetcher, _ = started(broker)
    reading = asyncio.create_task(read(fetcher, 1))
    await asyncio.sleep(5)
    broker.written.set()
    began = asyncio.get_running_loop().time()
    await reading
    assert asyncio.get_running_loop().time() == began
    await fetcher.close()


@simulated
async def test_a_broker_waits_long_only_if_it_is_asked_for_all_its_partitions() -> None:
    broker = FakeBroker()
    fetcher, subscriptions = started(broker)
    await asyncio.sleep(1)
    assert {node: request._max_wait_ms for _, node, request in broker.requests} == {0: 250, 1: 250}
    await fetcher.close()
    broker = FakeBroker()
    fetcher, subscriptions = started(broker)
    subscriptions.subscription.assignment.state_value(PARTITIONS[1]).pause()
    await asyncio.sleep(1)
    assert {node: request._max_wait_ms for _, node, request in broker.requests} == {0: 50, 1: 250}
    await fetcher.close()


@simulated
async def test_a_reader_outside_the_group_lets_no_broker_wait_longer_than_it_set() -> None:
    broker = FakeBroker()
    fetcher, _ = started(broker, complete_wait_ms=0)
    await asyncio.sleep(1)
    assert {request._max_wait_ms for _, _, request in broker.requests} == {50}
    await fetcher.close()


@simulated
async def test_an_idle_consumer_asks_each_broker_only_when_the_last_question_has_ended() -> None:
    broker = FakeBroker()
    fetcher, _ = started(broker, complete_wait_ms=500)
    await asyncio.sleep(10.1)
    assert [len(broker.times(node)) for node in (0, 1)] == [21, 21]
    await fetcher.close()


@simulated
async def test_a_consumer_that_gets_nothing_for_seconds_asks_less_often_until_something_comes() -> None:
    broker = FakeBroker()
    fetcher, _ = started(broker, complete_wait_ms=500, silent_wait_ms=2000)
    await asyncio.sleep(SILENT_S + 20.1)
    steps = [after - before for before, after in pairwise(broker.times(0))]
    assert set(steps) == {0.5, 2.0}
    assert steps == sorted(steps)
    assert len(steps) == SILENT_S / 0.5 + 10
    broker.written.set()
    await read(fetcher, 1)
    broker.written.clear()
    await asyncio.sleep(1)
    assert broker.requests[-1][2]._max_wait_ms == 500
    await fetcher.close()


@simulated
async def test_the_fetches_of_a_member_have_a_connection_of_their_own_and_those_of_others_have_not() -> None:
    broker = FakeBroker()
    fetcher, _ = started(broker)
    await asyncio.sleep(1)
    await fetcher.close()
    assert set(broker.connections) == {2}
    broker = FakeBroker()
    fetcher, _ = started(broker, complete_wait_ms=0)
    await asyncio.sleep(1)
    await fetcher.close()
    assert set(broker.connections) == {0}


@simulated
async def test_a_new_assignment_is_fetched_without_waiting_for_the_fetch_that_it_ends() -> None:
    """A broker answers the requests of a connection in turn: the next one must be another."""
    broker = FakeBroker()
    fetcher, subscriptions = started(broker)
    await asyncio.sleep(0.1)
    assert not any(connection.is_closed for connection in broker._conns.values())
    subscriptions.assign_from_user(PARTITIONS[:2])
    await asyncio.sleep(0.01)
    assert {place for place, connection in broker._conns.items() if connection.is_closed} == {(0, 2), (1, 2)}
    await fetcher.close()


@simulated
async def test_a_partition_that_is_resumed_is_asked_for_within_the_short_wait() -> None:
    broker = FakeBroker()
    fetcher, subscriptions = started(broker)
    state = subscriptions.subscription.assignment.state_value(PARTITIONS[1])
    state.pause()
    await asyncio.sleep(1)
    state.resume()
    resumed_at = asyncio.get_running_loop().time()
    await asyncio.sleep(1)
    asked = [
        at
        for at, _, request in broker.requests
        if any(row[0] == 1 for _, rows in request.topics for row in rows)
    ]
    assert min(asked) <= resumed_at + 0.051
    await fetcher.close()


@pytest.mark.parametrize("turns", range(8))
@simulated
async def test_what_is_read_while_a_fetch_ends_never_delays_the_next_fetch(turns: int) -> None:
    """A fetch that brings nothing wakes no reader, so nothing else would wake the task that fetches."""
    loop = asyncio.get_running_loop()
    broker = FakeBroker(size=FULL_RECORDS)
    fetcher, _ = started(broker)
    fetcher._prefetch_backoff = 0
    broker.written.set()
    while len(broker.times(0)) < 1:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    broker.written.clear()
    while len(broker.times(0)) < 2:  # without partition 0: nobody has read its records yet
        await asyncio.sleep(0)
    assert broker.requests[-1][2]._max_wait_ms == 50
    broker.turns = turns
    await asyncio.sleep(broker.times(0)[-1] + 0.05 - loop.time())
    assert await fetcher.fetched_records((), timeout=0)
    await asyncio.sleep(0.2)
    assert len(broker.times(0)) > 2
    await fetcher.close()
