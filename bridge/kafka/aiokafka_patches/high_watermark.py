"""Ask for high watermarks with a consumer that reads committed records only.

Upstream: no issue found. aiokafka 0.14 requests the ends of logs with the isolation level of the consumer, so
a consumer of committed records does not learn how much is written but not committed yet. Remove this when
``end_offsets`` takes an isolation level.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED


async def high_watermarks(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the high watermark of each log."""
    fetcher: Any = copy.copy(consumer._fetcher)
    fetcher._isolation_level = READ_UNCOMMITTED
    ends: dict[TopicPartition, int] = await fetcher.end_offsets(partitions, consumer._request_timeout_ms)
    return ends
