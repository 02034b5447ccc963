"""Find the brokers that coordinate groups: looked up once each, and again after an error.

Invariant: a group without a coordinator is an error, never a group without offsets.
"""

from __future__ import annotations

from collections.abc import Collection

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupCoordinatorNotAvailableError, NodeNotReadyError, for_code

from bridge.kafka.many_groups_codec import CoordinatorsRequest


class Coordinators:
    """The coordinators that are known, by group. The methods that ask raise aiokafka's errors."""

    def __init__(self) -> None:
        self._nodes: dict[str, int] = {}

    async def of(self, client: AIOKafkaClient, group: str) -> int:
        """Return the node id of the coordinator of a group."""
        if group not in self._nodes:
            node: int = await client.coordinator_lookup(CoordinationType.GROUP, group)
            self._nodes[group] = node
        return self._nodes[group]

    async def of_all(self, client: AIOKafkaClient, groups: Collection[str]) -> dict[int, list[str]]:
        """Return these groups by the node id of their coordinator.

        Those that are not known are looked up together. Raises ``NotImplementedError`` if the broker is
        before 3.0.
        """
        unknown = [group for group in groups if group not in self._nodes]
        if unknown:
            node = client.get_random_node()
            if node is None:
                raise NodeNotReadyError("no broker is known")
            response = await client.send(node, CoordinatorsRequest(unknown))
            for group in unknown:
                self._nodes[group] = _node_of(group, response.nodes)
        by_node: dict[int, list[str]] = {}
        for group in groups:
            by_node.setdefault(self._nodes[group], []).append(group)
        return by_node

    def forget(self, groups: Collection[str]) -> None:
        """Look these up again when they are needed: a request failed, and they may have moved."""
        for group in groups:
            self._nodes.pop(group, None)


def _node_of(group: str, nodes: dict[str, tuple[int, int]]) -> int:
    """Return the node of a group in a response. Raises an error of aiokafka."""
    if group not in nodes:
        raise GroupCoordinatorNotAvailableError(f"the broker did not name the coordinator of {group!r}")
    node, code = nodes[group]
    if code:
        raise for_code(code)()
    return node
