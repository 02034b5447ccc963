"""Read a consumer's position without awaiting: aiokafka's ``position`` may wait for an assignment.

The position after ``getmany`` is past all records that it returned, and past the batches after them that
hold no readable record. Between ``getmany`` and the use of the position, nothing may be awaited that polls
again. Upstream has no synchronous position (aiokafka 0.14); remove this when it has one.
"""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return the offset that the consumer reads next, or None if the partition is not assigned to it."""
    subscription: Any = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    state = assignment.state_value(partition) if assignment is not None else None
    return state.position if state is not None and state.has_valid_position else None
