"""A short visit to the broker for a command: what is committed, where the logs end, which groups there are.

Edge floor. A person at a terminal is told of a broker that is away, and not kept waiting for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from bridge.errors import CommitError, KafkaUnavailable
from bridge.kafka.client import KafkaOptions
from bridge.kafka.client_health import close_in_time
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import ensure_topic
from bridge.model import Committed, Partition

_COORDINATOR_WAITS_S = (0.3, 0.7, 1.0, 2.0, 3.0)


class Visit:
    """An open connection for one command, as an asynchronous context manager."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._stack = AsyncExitStack()
        self._admin = AIOKafkaAdminClient(**options.arguments())
        client = AIOKafkaClient(**options.arguments())
        self._client = client
        self.offsets = OffsetStore(client)

    async def __aenter__(self) -> Visit:
        """Connect; raises ``KafkaUnavailable``."""
        self._stack.push_async_callback(close_in_time, self._client.close, "close a client")
        self._stack.push_async_callback(close_in_time, self._admin.close, "close a client")
        try:
            await self._admin.start()
            await self._client.bootstrap()
        except (KafkaError, OSError) as exc:
            await self._stack.aclose()
            servers = ", ".join(self._options.bootstrap_servers)
            raise KafkaUnavailable(
                f"no broker answers at {servers} ({exc});"
                " check kafka.bootstrap_servers, kafka.tls and kafka.sasl"
            ) from exc
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def topics(self) -> frozenset[str]:
        """All topics there are. Raises ``KafkaUnavailable``."""
        try:
            return frozenset(await self._admin.list_topics())
        except (KafkaError, OSError) as exc:
            raise KafkaUnavailable(f"the topics are not to be had: {exc!r}") from exc

    async def committed(self, group: str) -> dict[Partition, Committed]:
        """All that a group has committed. Raises ``CommitError``.

        A group's coordinator may be away for seconds: on a new cluster its topic is made by asking.
        """
        for wait_s in _COORDINATOR_WAITS_S:
            try:
                return await self.offsets.fetch(group, None)
            except CommitError:
                await asyncio.sleep(wait_s)
        return await self.offsets.fetch(group, None)

    async def log_ends(self, topics: Collection[str]) -> dict[Partition, int]:
        """The next offset of every partition of those topics that exist. Raises ``KafkaUnavailable``."""
        there = sorted(set(topics) & await self.topics())
        if not there:
            return {}
        try:
            described = await self._admin.describe_topics(there)
        except (KafkaError, OSError) as exc:
            raise KafkaUnavailable(f"topics {there} are not to be had: {exc!r}") from exc
        partitions = [
            Partition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
        async with SideReader(self._options) as reader:
            return await reader.ends(partitions)

    async def ensure_topic(
        self, topic: str, *, create: bool, replication_factor: int, configs: Mapping[str, str]
    ) -> None:
        """Make a topic of one partition if it is not there. Raises ``KafkaUnavailable``."""
        await ensure_topic(
            self._admin, topic, create=create, replication_factor=replication_factor, configs=configs
        )
