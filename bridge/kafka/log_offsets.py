"""Query the logs of partitions: their first offset, their next one, the offset at an instant.

Every function raises ``BrokerError`` after at most 15 s.
"""

from __future__ import annotations

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer

from bridge.kafka.aiokafka_patches.high_watermark import high_watermarks
from bridge.kafka.broker_call import ANSWER_TIMEOUT_S, broker_call
from bridge.kafka.records import to_partition, to_topic_partitions
from bridge.model import Partition


async def first_offsets(
    consumer: AIOKafkaConsumer, partitions: Collection[Partition]
) -> dict[Partition, int]:
    """Return the first offset of each log."""
    async with broker_call(f"read the first offsets of {_names(partitions)}", timeout_s=ANSWER_TIMEOUT_S):
        offsets = await consumer.beginning_offsets(to_topic_partitions(partitions))
    return {to_partition(partition): offset for partition, offset in offsets.items()}


async def next_offsets(consumer: AIOKafkaConsumer, partitions: Collection[Partition]) -> dict[Partition, int]:
    """Return the next offset of each log: the last stable offset, if the consumer reads committed records."""
    async with broker_call(f"read the end offsets of {_names(partitions)}", timeout_s=ANSWER_TIMEOUT_S):
        offsets = await consumer.end_offsets(to_topic_partitions(partitions))
    return {to_partition(partition): offset for partition, offset in offsets.items()}


async def written_offsets(
    consumer: AIOKafkaConsumer, partitions: Collection[Partition]
) -> dict[Partition, int]:
    """Return the high watermark of each log, whatever the consumer reads: open transactions are below it."""
    wanted = to_topic_partitions(partitions)
    async with broker_call(f"read the high watermarks of {_names(partitions)}", timeout_s=ANSWER_TIMEOUT_S):
        offsets = await high_watermarks(consumer, wanted)
    return {to_partition(partition): offset for partition, offset in offsets.items()}


async def offsets_at(
    consumer: AIOKafkaConsumer, partitions: Collection[Partition], timestamp_ms: int
) -> dict[Partition, int]:
    """Return the first offset at or after an instant, for the partitions that have one."""
    instants = dict.fromkeys(to_topic_partitions(partitions), timestamp_ms)
    async with broker_call(f"find an instant in {_names(partitions)}", timeout_s=ANSWER_TIMEOUT_S):
        offsets = await consumer.offsets_for_times(instants)
    return {to_partition(partition): at.offset for partition, at in offsets.items() if at is not None}


def _names(partitions: Collection[Partition]) -> str:
    return ", ".join(map(str, partitions))
