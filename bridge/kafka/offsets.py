"""The cursors at the broker: ordinary offsets of groups that have no members.

Each endpoint's progress is committed under ``<group>.<endpoint>``, so its backlog is Kafka lag
that every tool can see. Edge floor.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import GroupIdNotFound, KafkaError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest, ListGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest

from bridge.errors import CommitError, KafkaUnavailable
from bridge.kafka.client_health import Lasting
from bridge.model import Committed, Partition

_NO_GENERATION = -1
_NO_MEMBER = ""
_TIMEOUT_S = 5.0


class OffsetStore:
    """Commits and reads offsets of groups without members.

    Kafka takes an ``OffsetCommit`` with generation -1 and no member id for a group that nobody
    has joined (seen on 3.9). Such commits are not fenced: see ``Reader.fence``.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        renew: Callable[[], Awaitable[AIOKafkaClient]] | None = None,
        *,
        may_commit: Callable[[], bool] = lambda: True,
    ) -> None:
        """``renew``: another client, started, for one of which a part has died.

        ``may_commit``: called in the moment before a commit is written; the process may have been
        stopped since the fence.
        """
        self._client = Lasting(client, renew, "offsets")
        self._may_commit = may_commit
        self._coordinators: dict[str, int] = {}

    async def close(self) -> None:
        """Close the client that is in use."""
        await self._client.close()

    async def fetch(self, group: str, partitions: Collection[Partition] | None) -> dict[Partition, Committed]:
        """What is committed; partitions without a commit are left out. Raises ``CommitError``.

        Asked for None, it tells all that the group has.
        """
        asked = None if partitions is None else {one: (one.number,) for one in partitions}
        request = OffsetFetchRequest(group, None if asked is None else _by_topic(asked))
        response = await self._send(group, request)
        found = {}
        for topic, rows in response.topics:
            for number, offset, metadata, code in rows:
                if code:
                    self._refuse(group, code)
                if offset >= 0:
                    found[Partition(topic, number)] = Committed(offset, metadata or "")
        return found

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        """Commit; raises ``CommitError`` when the broker did not take all of it."""
        rows = {
            partition: ((partition.number, committed.offset, committed.metadata),)
            for partition, committed in offsets.items()
        }
        request = OffsetCommitRequest(
            group, _NO_GENERATION, _NO_MEMBER, OffsetCommitRequest.DEFAULT_RETENTION_TIME, _by_topic(rows)
        )
        response = await self._send(group, request, self._may_commit)
        for _topic, answers in response.topics:
            for _number, code in answers:
                if code:
                    self._refuse(group, code)

    async def groups(self) -> dict[str, str]:
        """All groups of the cluster with their kind: empty for offsets that never had a member.

        Raises ``KafkaUnavailable``.
        """
        found: dict[str, str] = {}
        try:
            client = await self._client.working()
            for broker in client.cluster.brokers():
                async with asyncio.timeout(_TIMEOUT_S):
                    response = await client.send(broker.nodeId, ListGroupsRequest())
                if response.error_code:
                    raise for_code(response.error_code)
                found.update(response.groups)
        except (KafkaError, OSError) as exc:
            raise KafkaUnavailable(f"the groups are not to be had: {exc!r}") from exc
        return found

    async def delete(self, group: str) -> None:
        """Delete a group and its offsets; one that is not there is no error. Raises ``CommitError``."""
        response = await self._send(group, DeleteGroupsRequest([group]))
        for _name, code in response.results:
            if code not in (0, GroupIdNotFound.errno):
                self._refuse(group, code)

    async def _send(  # type: ignore[no-untyped-def]  # noqa: ANN202
        self,
        group: str,
        request: OffsetCommitRequest | OffsetFetchRequest | DeleteGroupsRequest,
        may_send: Callable[[], bool] = lambda: True,
    ):
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                client = await self._client.working()
                node = await self._coordinator(group)
                await client.ready(node, group=ConnectionGroup.COORDINATION)
                if not may_send():
                    raise CommitError(f"group {group!r}: this process stood still for too long to commit")
                return await client.send(node, request, group=ConnectionGroup.COORDINATION)
        except TimeoutError as exc:
            self._coordinators.pop(group, None)
            raise CommitError(f"group {group!r}: no answer from the broker in {_TIMEOUT_S:g} s") from exc
        except (KafkaError, OSError) as exc:
            self._coordinators.pop(group, None)
            raise CommitError(f"group {group!r}: {exc!r}") from exc

    async def _coordinator(self, group: str) -> int:
        known = self._coordinators.get(group)
        if known is None:
            known = await self._client.current.coordinator_lookup(CoordinationType.GROUP, group)
            self._coordinators[group] = known
        return known

    def _refuse(self, group: str, code: int) -> None:
        self._coordinators.pop(group, None)
        raise CommitError(f"group {group!r}: {for_code(code).__name__} (error {code})")


def _by_topic(rows: Mapping[Partition, tuple]) -> list[tuple[str, list]]:  # type: ignore[type-arg]
    topics: defaultdict[str, list] = defaultdict(list)  # type: ignore[type-arg]
    for partition, row in rows.items():
        topics[partition.topic].extend(row)
    return list(topics.items())
