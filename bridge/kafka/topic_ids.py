"""Read the ids of topics: a topic that was deleted and created again under its name has another id.

Topic ids come with version 10 of Metadata (KIP-516, Kafka 2.8; ``metadata_request.py``). Invariant: a
broker without that version is no error.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import UnknownTopicOrPartitionError

from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.metadata_request import TopicsRequest, send_to_any
from bridge.kafka.replaceable_client import ReplaceableClient

_TIMEOUT_S = 5.0


class TopicIds:
    """Looks up the ids of topics, with a connection of its own: no other request waits for it."""

    def __init__(self, options: KafkaOptions) -> None:
        self._client: ReplaceableClient[AIOKafkaClient] = ReplaceableClient(
            lambda: AIOKafkaClient(**options.arguments()), lambda client: client.bootstrap(), "topic ids"
        )
        self._servers = ", ".join(options.bootstrap_servers)
        self._supported = True

    async def start(self) -> None:
        """Connect; raises ``BrokerError``, and may be called again after it."""
        async with broker_call(f"reach a broker at {self._servers}"):
            await self._client.start()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def look(self, topics: Collection[str]) -> Mapping[str, str | None] | None:
        """Return the ids of those of these topics that exist; None if the broker does not return ids.

        An id has the form in which Kafka's tools print it. It is None for a topic that has none, as in
        a cluster that runs with an old ``inter.broker.protocol.version``. Raises ``BrokerError`` after 5 s.
        """
        if not self._supported or not topics:
            return {} if self._supported else None
        async with self._client.guarded("read the ids of the topics", timeout_s=_TIMEOUT_S):
            response = await send_to_any(await self._client.working(), TopicsRequest(topics))
        if response is None:
            self._supported = False
            return None
        return {
            name: _text(high, low)
            for code, name, high, low, *_ in response.topics
            if code != UnknownTopicOrPartitionError.errno
        }


def _text(high: int, low: int) -> str | None:
    if not high and not low:
        return None
    raw = high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big", signed=True)
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
