"""Step over a record at which the consumer fails again and again, whatever it raises.

Invariant: only the record at the position of a partition that was polled alone is given up.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

from bridge.errors import BrokerError, ClientFailed
from bridge.kafka.broker_call import broker_call
from bridge.kafka.poison_search import PoisonSearch
from bridge.kafka.records import to_partition, unreadable_place
from bridge.model import Batch

_TIMEOUT_S = 1.0


async def step_over(
    search: PoisonSearch[TopicPartition],
    consumer: AIOKafkaConsumer,
    polled: Collection[TopicPartition],
    failure: ClientFailed,
) -> Batch | None:
    """Move past the record and return its place as a damaged record; None if it is not known yet."""
    alone = next(iter(polled)) if len(polled) == 1 else None
    position = await _position_of(consumer, alone) if alone is not None else None
    if not search.failed(polled, position) or alone is None or position is None:
        return None
    consumer.seek(alone, position + 1)
    partition = to_partition(alone)
    return partition, [unreadable_place(partition, position, failure.cause)]


async def _position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    with suppress(BrokerError):
        async with broker_call(f"find the position in {partition}", timeout_s=_TIMEOUT_S):
            position: int = await consumer.position(partition)
            return position
    return None
