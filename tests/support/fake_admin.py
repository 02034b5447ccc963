"""A cluster's topics for what creates and describes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridge.errors import BrokerError
from bridge.kafka.topics import TopicAdmin
from tests.support.fake_producer import broker_error


class FakeAdmin(TopicAdmin):
    """A cluster with these topics and partition counts; ``error`` fails what changes them."""

    def __init__(self, **topics: int) -> None:
        self.topics = topics
        self.error: BrokerError | None = None
        self.settings: dict[str, str] | None = {}

    async def names(self) -> frozenset[str]:
        return frozenset(self.topics)

    async def partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        return {topic: self.topics[topic] for topic in topics if topic in self.topics}

    async def create(
        self, topic: str, partitions: int, replication_factor: int, configs: Mapping[str, str]
    ) -> bool:
        if self.error is not None:
            raise self.error
        self.topics[topic] = partitions
        return True

    async def grow(self, topic: str, partitions: int) -> bool:
        if self.error is not None:
            raise self.error
        self.topics[topic] = partitions
        return True

    async def configs(self, topic: str) -> dict[str, str]:
        if self.settings is None:
            raise broker_error()
        return self.settings
