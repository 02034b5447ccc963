"""A consumer's position without awaiting, over aiokafka's own state of a subscription."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState

from bridge.kafka.aiokafka_patches.positions import position_of

TP = TopicPartition("orders", 0)


async def test_the_position_is_known_only_of_an_assigned_partition_that_has_one() -> None:
    state = SubscriptionState()
    consumer: Any = SimpleNamespace(_subscription=state)
    assert position_of(consumer, TP) is None, "no subscription"
    state.subscribe({"orders"})
    assert position_of(consumer, TP) is None, "no assignment yet"
    state.assign_from_subscribed({TP})
    assert position_of(consumer, TP) is None, "no position yet"
    state.seek(TP, 7)
    assert position_of(consumer, TP) == 7
    assert position_of(consumer, TopicPartition("orders", 1)) is None, "of another member"
    state.subscription.assignment.state_value(TP).consumed_to(12)
    assert position_of(consumer, TP) == 12, "past markers that a poll passed"
