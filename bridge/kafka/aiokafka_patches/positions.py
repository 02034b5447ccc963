"""Read a consumer's position without awaiting: aiokafka's ``position`` may wait for an assignment.

The position after ``getmany`` is past all records that it returned, and past the batches after them that
hold no readable record. Between ``getmany`` and the use of the position, nothing may be awaited that polls
again. Upstream has no synchronous position (aiokafka 0.14); remove this when it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from bridge.model import Partition


def positions_of(
    consumer: AIOKafkaConsumer, partitions: Mapping[TopicPartition, Partition]
) -> dict[Partition, int]:
    """Return the offset that the consumer reads next of each partition that is assigned to it."""
    subscription: Any = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None:
        return {}
    states = assignment._tp_state  # ``state_value`` is a call per partition
    return {
        partition: state.position
        for name, partition in partitions.items()
        if (state := states.get(name)) is not None and state.has_valid_position
    }
