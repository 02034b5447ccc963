"""A broker that cannot look up offsets by time, as that of the demo."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from bridge.demo.broker import Broker, publish
from bridge.kafka.client import KafkaOptions
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition

PARTITIONS = [Partition("orders", number) for number in range(4)]
LATER_MS = 3_600_000


@pytest.fixture(scope="module")
def broker() -> Broker:
    return Broker(["orders"])


def fill(broker: Broker) -> tuple[int, Partition]:
    """Publish five records of one key; return an instant before them, and their partition."""
    before_ms = int(time.time() * 1000) - 1
    producer = Producer({"bootstrap.servers": broker.address})
    for _ in range(5):
        publish(producer, "orders", b"A-1", b"{}")
    places = [place for place, end in broker.ends().items() if end]
    assert len(places) == 1
    return before_ms, Partition(*places[0])


async def test_an_instant_is_found_by_reading_where_the_broker_cannot_look_it_up(broker: Broker) -> None:
    before_ms, partition = fill(broker)
    async with SideReader(KafkaOptions((broker.address,))) as reader:
        assert await reader.offsets_at(PARTITIONS, before_ms) == {partition: 0}
        assert await reader.offsets_at(PARTITIONS, 0) == {partition: 0}
        assert await reader.offsets_at(PARTITIONS, before_ms + LATER_MS) == {}
        assert await reader.offset_at(partition, before_ms) == 0
