"""Divide the memory for fetched records among the consumers of the process.

A consumer keeps what it fetched until it is read, for each of its partitions. Kafka always returns at
least one batch of records, whatever the sizes, so no size stops a consumer.

Invariant: in batches smaller than a partition's part, all consumers together keep at most ``total_bytes``,
or ``_LEAST`` per partition where that is more.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer

from bridge.kafka.aiokafka_patches.fetch_sizes import fetched_partitions, set_fetch_sizes
from bridge.kafka.unpacked_batches import UnpackedBatches

_MOST = 1024 * 1024
"""The default of Kafka's clients; more does not read faster."""
_LEAST = 32 * 1024
_ALONE = 128 * 1024 * 1024
"""For a command, which has no memory budget."""


class FetchBudget:
    """A quarter of the memory is for unpacked batches; the member and the readers outside share the rest.

    The member of the group gets one half of it, all readers outside of the group the other.
    """

    def __init__(self, total_bytes: int = _ALONE) -> None:
        self.unpacked = UnpackedBatches(total_bytes // 4)
        self._half = total_bytes * 3 // 8
        self._side: set[AIOKafkaConsumer] = set()
        self._sizes: dict[AIOKafkaConsumer, int] = {}

    def assign_main(self, consumer: AIOKafkaConsumer, partitions: int) -> None:
        """Set the sizes of the group's member for so many partitions."""
        self._set(consumer, self._half, partitions)

    def open_side(self, consumer: AIOKafkaConsumer) -> None:
        """Count one more reader outside of the group, until ``close``."""
        self._side.add(consumer)

    def assign_side(self, consumer: AIOKafkaConsumer, partitions: int) -> None:
        """Set the sizes of a reader outside of the group, as many as are open now."""
        self._set(consumer, self._half // max(1, len(self._side)), partitions)

    def close(self, consumer: AIOKafkaConsumer) -> None:
        """Forget a consumer; may be called for one that is not known."""
        self._side.discard(consumer)
        self._sizes.pop(consumer, None)

    def _set(self, consumer: AIOKafkaConsumer, total_bytes: int, partitions: int) -> None:
        """A response is copied while it is read, so a part of the memory is for the copy."""
        size = min(max(total_bytes // (2 * max(1, partitions)), _LEAST), _MOST)
        self._sizes[consumer] = size
        set_fetch_sizes(consumer, max(size, total_bytes // 2), size)

    @property
    def used_bytes(self) -> int:
        """Return an estimate of what is fetched and not read: the most that it can be as compressed.

        Batches that are read in part are counted as unpacked, too.
        """
        fetched = sum(fetched_partitions(consumer) * size for consumer, size in self._sizes.items())
        return fetched + self.unpacked.used_bytes
