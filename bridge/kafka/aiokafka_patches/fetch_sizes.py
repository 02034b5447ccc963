"""Change how many bytes a running consumer fetches.

aiokafka 0.14 takes both sizes when the consumer is created. The number of partitions that they are
multiplied by is known only with the assignment, and changes. There is no upstream issue; the patch can go
when ``AIOKafkaConsumer`` has a method for it.
"""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer


def set_fetch_sizes(consumer: AIOKafkaConsumer, response_bytes: int, partition_bytes: int) -> None:
    """Use these sizes from the next fetch on; the consumer must have been started."""
    fetcher: Any = consumer._fetcher
    fetcher._fetch_max_bytes = response_bytes
    fetcher._max_partition_fetch_bytes = partition_bytes


def fetched_partitions(consumer: AIOKafkaConsumer) -> int:
    """Return how many partitions have records that were fetched and not read."""
    fetcher: Any = consumer._fetcher
    return 0 if fetcher is None else len(fetcher._records)
