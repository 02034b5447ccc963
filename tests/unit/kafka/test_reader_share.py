"""The group reader computes its share, and what waits to be started, from the assignment."""

from __future__ import annotations

from types import SimpleNamespace

from aiokafka import TopicPartition

from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.model import Partition

PARTITIONS = {"orders": 6, "g.again": 6, "not read": 100}


class FakeConsumer:
    """A consumer that has the metadata of three topics, and no connection."""

    def __init__(self) -> None:
        self._fetcher = SimpleNamespace(_records={})

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(PARTITIONS[topic])) if topic in PARTITIONS else None

    def pause(self, partition: TopicPartition) -> None: ...

    def resume(self, partition: TopicPartition) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("orders", number) for number in range(6)}


async def never() -> None:
    raise AssertionError("nothing is revoked")


async def reader_of_fake() -> Reader:
    reader = Reader(KafkaOptions(("nowhere:9092",)), Membership("g", ("orders", "g.again")), never)
    await reader.member.consumer.stop()
    reader.member.consumer = FakeConsumer()  # type: ignore[assignment]
    return reader


async def test_the_share_is_the_assigned_partitions_of_all_partitions_the_group_reads() -> None:
    reader = await reader_of_fake()
    for numbers, expected in (((0, 1), 4 / 12), ((0, 2, 4), 6 / 12), (range(6), 1.0)):
        reader.member._assigned(
            [TopicPartition(topic, number) for topic in ("orders", "g.again") for number in numbers]
        )
        assert reader.share == expected


async def test_assigned_partitions_wait_until_each_is_started_and_again_after_the_next_assignment() -> None:
    reader = await reader_of_fake()
    first, second = Partition("orders", 0), Partition("orders", 1)
    for _ in range(2):
        reader.member._assigned([TopicPartition(*first), TopicPartition(*second)])
        assert reader.unprepared == {first, second}
        reader.start_at({first: 7})
        assert reader.unprepared == {second}
        reader.start_at({second: 0})
        assert not reader.unprepared
