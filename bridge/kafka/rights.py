"""Read which operations the login may use on topics and on the cluster (KIP-430), for `hookferry doctor`.

Invariant: the broker reports the rights, so no operation is tried: no record is written, no group is joined.
Rights on transactional ids are not reported, so one of them is looked up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import TopicAuthorizationFailedError, TransactionalIdAuthorizationFailed

from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.metadata_request import TopicsRequest, send_to_any

_TIMEOUT_S = 10.0
_OPERATIONS = {"read": 3, "write": 4, "create": 5, "alter": 7, "describe": 8, "describe configs": 10}
"""The codes of ``AclOperation``; a set of operations is a number with these bits."""
_UNKNOWN = -(1 << 31)
"""The broker's answer if it does not return rights."""


class TopicFacts(NamedTuple):
    """What a login sees of a topic. ``rights`` is None if the broker does not return them."""

    rights: frozenset[str] | None
    least_replicas: int


class Rights(NamedTuple):
    """The facts of the topics that exist and that the login may describe, and its rights on the cluster."""

    topics: Mapping[str, TopicFacts]
    denied: frozenset[str]
    cluster: frozenset[str] | None
    brokers: int


async def read_rights(options: KafkaOptions, topics: Collection[str]) -> Rights | None:
    """Return the rights; None if the broker is older than Kafka 2.8. Raises ``BrokerError``."""
    client = AIOKafkaClient(**options.arguments())
    async with broker_call("read the rights of this login", timeout_s=_TIMEOUT_S):
        try:
            await client.bootstrap()
            response = await send_to_any(client, TopicsRequest(topics, with_rights=True))
        finally:
            await client.close()
    if response is None:
        return None
    facts, denied = dict[str, TopicFacts](), set[str]()
    for code, name, _high, _low, _internal, partitions, operations, *_ in response.topics:
        if code == TopicAuthorizationFailedError.errno:
            denied.add(name)
        elif not code:
            replicas = min((len(partition[4]) for partition in partitions), default=0)
            facts[name] = TopicFacts(_names(operations), replicas)
    return Rights(facts, frozenset(denied), _names(response.authorized_operations), len(response.brokers))


async def may_use_transactions(options: KafkaOptions, transactional_id: str) -> bool:
    """Return False if this login may not describe a transactional id, and thus not write with it either.

    Raises ``BrokerError`` if the cluster has no coordinator for it. A broker that never had a transaction
    creates its own topic for them.
    """
    client = AIOKafkaClient(**options.arguments())
    async with broker_call("find the coordinator of transactions", timeout_s=_TIMEOUT_S):
        try:
            await client.bootstrap()
            await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
        except TransactionalIdAuthorizationFailed:
            return False
        finally:
            await client.close()
    return True


def _names(operations: int) -> frozenset[str] | None:
    if operations == _UNKNOWN:
        return None
    return frozenset(name for name, code in _OPERATIONS.items() if operations & (1 << code))
