"""Keep a poll from returning records of partitions that have no room, without losing what was fetched ahead.

Invariant: a partition is paused here only while no started partition is readable.
"""

from __future__ import annotations

from collections.abc import Set

from aiokafka import AIOKafkaConsumer, TopicPartition


class HeldBack:
    """The started partitions that are paused because all of them are full."""

    def __init__(self) -> None:
        self._paused: set[TopicPartition] = set()

    def update(
        self, consumer: AIOKafkaConsumer, started: Set[TopicPartition], full: Set[TopicPartition]
    ) -> None:
        """Pause all started partitions when none is readable: polling continues and fetches nothing.

        While any partition is readable, full ones are only left out of the poll: pausing discards
        what was fetched ahead.
        """
        all_full = bool(started) and full >= started
        for partition in (started & full if all_full else set()) - self._paused:
            consumer.pause(partition)
            self._paused.add(partition)
        for partition in self._paused - full:
            consumer.resume(partition)
        self._paused &= full

    def forget(self, partition: TopicPartition) -> None:
        """Forget a partition that the caller resumes."""
        self._paused.discard(partition)

    def clear(self) -> None:
        """Forget all partitions: the assignment has ended, or begins again."""
        self._paused.clear()
