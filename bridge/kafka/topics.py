"""The topics at the broker: list, describe, create and grow them; raise only the product's exceptions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, TopicAlreadyExistsError, for_code

from bridge.errors import BrokerError
from bridge.kafka.aiokafka_patches.closing import CLIENT_CLOSE_S, close_in_time
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.model import Partition

PARKED_MAX_BYTES = 16 * 1024 * 1024
"""``max.message.bytes`` of a dead-letter topic that the bridge creates. A broker counts compressed bytes."""
_MOST_COPIES = 3


class TopicAdmin:
    """An admin client of the cluster. Every method that sends a request raises ``BrokerError``."""

    def __init__(self, options: KafkaOptions) -> None:
        self._client = AIOKafkaAdminClient(**options.arguments())
        self._servers = ", ".join(options.bootstrap_servers)

    async def start(self) -> None:
        """Connect; may be called again after a ``BrokerError``."""
        async with broker_call(f"reach a broker at {self._servers}"):
            await self._client.start()

    async def close(self, timeout_s: float = CLIENT_CLOSE_S) -> None:
        """Close the connection within this time."""
        await close_in_time(self._client.close, "close the admin client", timeout_s)

    async def cluster_id(self) -> str | None:
        """Return the id of the cluster; None if the broker has none."""
        async with broker_call("read the id of the cluster"):
            cluster = await self._client.describe_cluster()
        cluster_id = cluster.get("cluster_id")
        return cluster_id if isinstance(cluster_id, str) else None

    async def names(self) -> frozenset[str]:
        """Return the names of all topics."""
        async with broker_call("list the topics"):
            return frozenset(await self._client.list_topics())

    async def partitions(self, topics: Collection[str]) -> list[Partition]:
        """Return all partitions of those of these topics that exist."""
        existing = sorted(set(topics) & await self.names())
        if not existing:
            return []
        async with broker_call(f"describe the topics {', '.join(existing)}"):
            described = await self._client.describe_topics(existing)
        return [
            Partition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]

    async def partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        """Return the number of partitions of those of these topics that exist."""
        counts: dict[str, int] = {}
        for partition in await self.partitions(topics):
            counts[partition.topic] = counts.get(partition.topic, 0) + 1
        return counts

    async def create(
        self, topic: str, partitions: int, replication_factor: int, configs: Mapping[str, str]
    ) -> bool:
        """Create a topic; return False if it existed already.

        A ``replication_factor`` of -1 means three copies, or one per broker if there are fewer.
        """
        action = f"create topic {topic!r}"
        async with broker_call(action):
            copies = replication_factor
            if copies <= 0:
                copies = min(_MOST_COPIES, len((await self._client.describe_cluster())["brokers"]))
            new = NewTopic(topic, partitions, copies, topic_configs=dict(configs))
            try:
                response: Any = await self._client.create_topics([new])
            except TopicAlreadyExistsError:
                return False
        for _name, code, *message in response.topic_errors:
            if code == TopicAlreadyExistsError.errno:
                return False
            if code:
                cause = message[0] if message and message[0] else f"{for_code(code).__name__} (error {code})"
                raise BrokerError(action, cause, "check the rights of the bridge's user")
        return True

    async def grow(self, topic: str, partitions: int) -> bool:
        """Give a topic this many partitions; return False if it has them already."""
        async with broker_call(f"add partitions to topic {topic!r}"):
            try:
                await self._client.create_partitions({topic: NewPartitions(partitions)})
            except InvalidPartitionsError:
                return False
        return True

    async def configs(self, topic: str) -> dict[str, str]:
        """Return the settings of a topic."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        async with broker_call(f"read the settings of topic {topic!r}"):
            responses: list[Any] = await self._client.describe_configs([resource])
        return {entry[0]: entry[1] or "" for *_, entries in responses[0].resources for entry in entries}
