"""A topic that was deleted: the member commits for the others, and gives up if none is left."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from bridge.errors import PlaceLostError
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.model import Partition

KEPT, DELETED = Partition("kept", 0), Partition("deleted", 0)


class FakeConsumer:
    """A member of a generation, whose metadata has one topic."""

    def __init__(self) -> None:
        self._coordinator = SimpleNamespace(generation=1)
        self._fetcher = None
        self.committed: list[dict[TopicPartition, int]] = []

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {0} if topic == "kept" else None

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed.append(offsets)


async def never() -> None:
    raise AssertionError("nothing is revoked")


async def test_a_deleted_topic_does_not_delay_the_commits_of_the_others() -> None:
    reader = Reader(KafkaOptions(("nowhere:9092",)), Membership("g", ("kept", "deleted")), never)
    await reader.member.consumer.stop()
    reader.member.consumer = consumer = FakeConsumer()  # type: ignore[assignment]
    await reader.member.fence({KEPT: 7, DELETED: 9})
    assert consumer.committed == [{TopicPartition("kept", 0): 7}]
    with pytest.raises(PlaceLostError, match="do not exist any more"):
        await reader.member.fence({DELETED: 9})
    assert len(consumer.committed) == 1


async def test_a_member_that_the_group_has_replaced_says_so_in_few_words() -> None:
    """The message of the client has six lines about polls that take too long, which is not the cause."""

    class Replaced(FakeConsumer):
        async def commit(self, offsets: dict[TopicPartition, int]) -> None:
            raise CommitFailedError("rebalanced")

    reader = Reader(KafkaOptions(("nowhere:9092",)), Membership("g", ("kept", "deleted")), never)
    await reader.member.consumer.stop()
    reader.member.consumer = Replaced()  # type: ignore[assignment]
    with pytest.raises(PlaceLostError, match=r"^group 'g': this process is no longer a member; others have"):
        await reader.member.fence({KEPT: 7})
