"""The topics at the broker: list, describe, create and grow them; raise only the product's exceptions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, TopicAlreadyExistsError, for_code

from bridge.errors import BrokerError, KafkaUnavailable
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.replaceable_client import ReplaceableClient
from bridge.model import Partition

PARKED_MAX_BYTES = 16 * 1024 * 1024
"""``max.message.bytes`` of a dead-letter topic that the bridge creates. A broker counts compressed bytes."""
_MOST_COPIES = 3


async def count_partitions(options: KafkaOptions, topics: Collection[str]) -> dict[str, int]:
    """Return the numbers of partitions of the bridges' own topics. Raises ``KafkaUnavailable``."""
    admin = TopicAdmin(options)
    try:
        await admin.start()
        counts = await admin.partition_counts(topics)
    finally:
        await admin.close()
    for topic in topics:
        if not counts.get(topic):
            raise KafkaUnavailable(
                f"topic {topic!r} does not exist; `hookferry run` creates it, or this is not the group of"
                " your bridges"
            )
    return counts


class TopicAdmin:
    """An admin client of the cluster. Every method that sends a request raises ``BrokerError``."""

    def __init__(self, options: KafkaOptions) -> None:
        self._client: ReplaceableClient[AIOKafkaAdminClient] = ReplaceableClient(
            lambda: AIOKafkaAdminClient(**options.arguments()), lambda client: client.start(), "topics"
        )
        self._servers = ", ".join(options.bootstrap_servers)

    async def start(self) -> None:
        """Connect; may be called again after a ``BrokerError``."""
        async with broker_call(f"reach a broker at {self._servers}"):
            await self._client.start()

    async def close(self) -> None:
        """Close the connection within a second."""
        await self._client.close()

    async def cluster_id(self) -> str | None:
        """Return the id of the cluster; None if the broker has none."""
        async with self._client.call("read the id of the cluster") as client:
            cluster = await client.describe_cluster()
        cluster_id = cluster.get("cluster_id")
        return cluster_id if isinstance(cluster_id, str) else None

    async def members(self, group: str) -> list[str]:
        """Return the client id and the address of each member of a consumer group."""
        async with self._client.call(f"describe the group {group}") as client:
            answers: list[Any] = await client.describe_consumer_groups([group])
        return [
            f"{member[1]} at {str(member[2]).lstrip('/')}"
            for answer in answers
            for _code, _group, _state, _type, _protocol, members, *_ in answer.groups
            for member in members
        ]

    async def names(self) -> frozenset[str]:
        """Return the names of all topics."""
        async with self._client.call("list the topics") as client:
            return frozenset(await client.list_topics())

    async def partitions(self, topics: Collection[str]) -> list[Partition]:
        """Return all partitions of those of these topics that exist."""
        existing = sorted(set(topics) & await self.names())
        if not existing:
            return []
        async with self._client.call(f"describe the topics {', '.join(existing)}") as client:
            described = await client.describe_topics(existing)
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
        async with self._client.call(action) as client:
            copies = replication_factor
            if copies <= 0:
                copies = min(_MOST_COPIES, len((await client.describe_cluster())["brokers"]))
            new = NewTopic(topic, partitions, copies, topic_configs=dict(configs))
            try:
                response: Any = await client.create_topics([new])
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
        async with self._client.call(f"add partitions to topic {topic!r}") as client:
            try:
                await client.create_partitions({topic: NewPartitions(partitions)})
            except InvalidPartitionsError:
                return False
        return True

    async def configs(self, topic: str) -> dict[str, str]:
        """Return the settings of a topic."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        async with self._client.call(f"read the settings of topic {topic!r}") as client:
            responses: list[Any] = await client.describe_configs([resource])
        return {entry[0]: entry[1] or "" for *_, entries in responses[0].resources for entry in entries}
