"""The group reader computes its share from the assignment and from the partitions in the metadata."""

from __future__ import annotations

from types import SimpleNamespace

from aiokafka import TopicPartition

from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership

PARTITIONS = {"orders": 6, "g.again": 6, "not read": 100}


class FakeConsumer:
    """A consumer that has the metadata of three topics, and no connection."""

    def __init__(self) -> None:
        self._fetcher = SimpleNamespace(_records={})

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(PARTITIONS[topic])) if topic in PARTITIONS else None

    def pause(self, partition: TopicPartition) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...


async def never() -> None:
    raise AssertionError("nothing is revoked")


async def test_the_share_is_the_assigned_partitions_of_all_partitions_the_group_reads() -> None:
    reader = Reader(KafkaOptions(("nowhere:9092",)), Membership("g", ("orders", "g.again")), never)
    await reader.member.consumer.stop()
    reader.member.consumer = FakeConsumer()  # type: ignore[assignment]
    for numbers, expected in (((0, 1), 4 / 12), ((0, 2, 4), 6 / 12), (range(6), 1.0)):
        reader.member._assigned(
            [TopicPartition(topic, number) for topic in ("orders", "g.again") for number in numbers]
        )
        assert reader.share == expected
