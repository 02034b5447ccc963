"""Read the ids of topics: a topic that was deleted and created again under its name has another id.

aiokafka 0.14 implements Metadata up to version 5, and topic ids come with version 10 (KIP-516, Kafka
2.8). So the request is defined here. Invariant: a broker without that version is no error.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError, UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.replaceable_client import ReplaceableClient

_TIMEOUT_S = 5.0
_TEXT = CompactString("utf-8")


class _MetadataResponse(Response):  # type: ignore[misc] # aiokafka has no type information
    # aiokafka declares these as properties, and sets constants in every response of its own
    API_KEY = 3  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    API_VERSION = 10  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", _TEXT),
                ("port", Int32),
                ("rack", _TEXT),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("id_high", Int64),
                ("id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc] # aiokafka has no type information
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("id_high", Int64), ("id_low", Int64), ("name", _TEXT), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicIdsRequest(Request[_MetadataRequest]):  # type: ignore[misc] # aiokafka has no type information
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        rows: list[tuple[int, int, str, dict[int, bytes]]] = [
            (0, 0, name, {}) for name in sorted(self._topics)
        ]
        return request_struct_class(rows, False, False, False, {})


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
            response = await self._send(_TopicIdsRequest(topics))
        if response is None:
            self._supported = False
            return None
        return {
            name: _text(high, low)
            for code, name, high, low, *_ in response.topics
            if code != UnknownTopicOrPartitionError.errno
        }

    async def _send(self, request: _TopicIdsRequest) -> Any:
        """Return the answer; None if the broker does not have this version of the request."""
        client = await self._client.working()
        node = client.get_random_node()
        if node is None:
            raise NodeNotReadyError("no broker is known")
        try:
            return await client.send(node, request)
        except NotImplementedError:  # aiokafka's word for it
            return None


def _text(high: int, low: int) -> str | None:
    if not high and not low:
        return None
    raw = high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big", signed=True)
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
