"""A short connection to the broker for one command: committed offsets, log ends, groups, topics.

A command reports a broker that does not answer; it does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from typing import Literal

from bridge.errors import CommitError
from bridge.kafka.client import KafkaOptions
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topic_setup import ensure_topic
from bridge.kafka.topics import TopicAdmin
from bridge.model import Committed, Partition

_COORDINATOR_DELAYS_S = (0.3, 0.7, 1.0, 2.0, 3.0)


class AdminSession:
    """An open connection for one command, as an asynchronous context manager."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._stack = AsyncExitStack()
        self._admin = TopicAdmin(options)
        self.offsets = OffsetStore(options)

    async def __aenter__(self) -> AdminSession:
        """Connect; raises ``KafkaUnavailable``."""
        self._stack.push_async_callback(self.offsets.close)
        self._stack.push_async_callback(self._admin.close)
        try:
            await self._admin.start()
            await self.offsets.start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def topics(self) -> frozenset[str]:
        """Return the names of all topics. Raises ``KafkaUnavailable``."""
        return await self._admin.names()

    async def partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        """Return the number of partitions of the topics that exist. Raises ``KafkaUnavailable``."""
        return await self._admin.partition_counts(topics)

    async def configs(self, topic: str) -> dict[str, str]:
        """Return the settings of a topic. Raises ``KafkaUnavailable``."""
        return await self._admin.configs(topic)

    async def members(self, group: str) -> list[str]:
        """Return the client and the address of each member of a group. Raises ``KafkaUnavailable``."""
        return await self._admin.members(group)

    async def cluster_id(self) -> str | None:
        """Return the id of the cluster; None if it has none. Raises ``KafkaUnavailable``."""
        return await self._admin.cluster_id()

    async def committed(self, group: str) -> dict[Partition, Committed]:
        """Return all committed offsets of a group. Raises ``CommitError``.

        A group's coordinator may be missing for seconds: on a new cluster the first request for one
        creates the offsets topic.
        """
        for delay_s in _COORDINATOR_DELAYS_S:
            try:
                return await self.offsets.fetch(group, None)
            except CommitError:
                await asyncio.sleep(delay_s)
        return await self.offsets.fetch(group, None)

    async def log_ends(self, topics: Collection[str]) -> dict[Partition, int]:
        """Return the last stable offset of every partition of the topics that exist.

        Nothing from there on can be read yet. Raises ``KafkaUnavailable``.
        """
        return await self._ends(topics, "read_committed")

    async def high_watermarks(self, topics: Collection[str]) -> dict[Partition, int]:
        """Return the same with the records of open transactions. Raises ``KafkaUnavailable``."""
        return await self._ends(topics, "read_uncommitted")

    async def _ends(
        self, topics: Collection[str], isolation_level: Literal["read_committed", "read_uncommitted"]
    ) -> dict[Partition, int]:
        partitions = await self._admin.partitions(topics)
        if not partitions:
            return {}
        async with SideReader(self._options, isolation_level=isolation_level) as reader:
            return await reader.ends(partitions)

    async def ensure_topic(
        self, topic: str, *, create: bool, replication_factor: int, configs: Mapping[str, str]
    ) -> None:
        """Create a topic with one partition unless it exists. Raises ``KafkaUnavailable``."""
        await ensure_topic(
            self._admin, topic, create=create, replication_factor=replication_factor, configs=configs
        )
