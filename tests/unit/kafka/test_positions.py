"""A consumer's position without awaiting, over aiokafka's own state of a subscription."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState

from bridge.kafka.aiokafka_patches.positions import positions_of
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.model import Partition

TP = TopicPartition("orders", 0)


class StateOnly:
    """A consumer without a connection, over aiokafka's state of its subscription."""

    def __init__(self) -> None:
        self._subscription = SubscriptionState()
        self._fetcher = SimpleNamespace(_records={})
        self.pause = self._subscription.pause
        self.resume = self._subscription.resume
        self.seek = self._subscription.seek

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._subscription.assigned_partitions())


async def never() -> None:
    raise AssertionError("nothing is revoked")


async def test_the_position_is_known_only_of_an_assigned_partition_that_has_one() -> None:
    state = SubscriptionState()
    consumer: Any = SimpleNamespace(_subscription=state)
    here, elsewhere = Partition("orders", 0), Partition("orders", 1)

    def positions() -> dict[Partition, int]:
        return positions_of(consumer, {TP: here, TopicPartition("orders", 1): elsewhere})

    assert positions() == {}, "no subscription"
    state.subscribe({"orders"})
    assert positions() == {}, "no assignment yet"
    state.assign_from_subscribed({TP})
    assert positions() == {}, "no position yet"
    state.seek(TP, 7)
    assert positions() == {here: 7}, "the other is of another member"
    state.subscription.assignment.state_value(TP).consumed_to(12)
    assert positions() == {here: 12}, "past markers that a poll passed"


async def test_a_reader_reports_only_started_partitions_and_starts_only_assigned_ones() -> None:
    """A partition may be taken away between a failed read and the return to its position."""
    reader = Reader(KafkaOptions(("nowhere:9092",)), Membership("g", ("orders",)), never)
    await reader.member.consumer.stop()
    reader.member.consumer = StateOnly()  # type: ignore[assignment]
    state = reader.member.consumer._subscription
    reader.start_at({Partition("orders", 0): 5})
    assert reader.passed() == {}
    state.subscribe({"orders"})
    state.assign_from_subscribed({TP})
    reader.member._assigned([TP])
    assert reader.passed() == {}, "it is paused at an arbitrary position"
    reader.start_at({Partition("orders", 0): 5, Partition("orders", 1): 6})
    assert reader.passed() == {Partition("orders", 0): 5}
    assert reader.unprepared == frozenset()
