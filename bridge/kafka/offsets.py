"""The cursors at the broker: ordinary offsets of groups that have no members.

Each endpoint's progress is committed under ``<group>.<endpoint>``, so every Kafka tool shows its
backlog as the lag of that group.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupIdNotFound,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DeleteGroupsRequest, ListGroupsRequest

from bridge.errors import BrokerError, ClientFailed, CommitError, RequestUnknown
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.coordinators import Coordinators
from bridge.kafka.many_groups_codec import FetchedTopics, OffsetsRequest
from bridge.kafka.offset_codec import LeanOffsetCommit, LeanOffsetFetch
from bridge.kafka.replaceable_client import ReplaceableClient
from bridge.model import Committed, Partition
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_NO_GENERATION = -1
_NO_MEMBER = ""
_TIMEOUT_S = 5.0
_NEW_CLUSTER_S = 30.0
"""How long a cluster may take to create its offsets topic, which the first request for a group begins."""
_RETRY_S = 0.3
_T = TypeVar("_T")
_NO_COORDINATOR = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)


class OffsetStore:
    """Commits and reads offsets of groups without members.

    Kafka accepts an ``OffsetCommit`` with generation -1 and no member id for a group that has no
    members (seen on 3.9). It does not fence such commits: see ``Reader.fence``.
    """

    def __init__(self, options: KafkaOptions, *, may_commit: Callable[[], bool] = lambda: True) -> None:
        """``may_commit`` is called right before a commit is sent: the process may have been suspended."""
        self._client: ReplaceableClient[AIOKafkaClient] = ReplaceableClient(
            lambda: AIOKafkaClient(**options.arguments()), lambda client: client.bootstrap(), "offsets"
        )
        self._servers = ", ".join(options.bootstrap_servers)
        self._may_commit = may_commit
        self._coordinators = Coordinators()
        self._refused_lines = Throttle()
        self._answered = False
        self._awaited_since: float | None = None

    async def start(self) -> None:
        """Connect; raises ``BrokerError``, and may be called again after it."""
        async with broker_call(f"reach a broker at {self._servers}"):
            await self._client.start()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def fetch(self, group: str, partitions: Collection[Partition] | None) -> dict[Partition, Committed]:
        """Return the committed offsets; partitions without one are left out. Raises ``CommitError``.

        With None, return those of all partitions. Until the first answer, a cluster that has no
        coordinator yet is waited for, up to 30 s: it is new and creates its offsets topic.
        """
        return await self._patiently(lambda: self._fetch(group, partitions))

    async def fetch_all(
        self, groups: Sequence[str], partitions: Collection[Partition] | None
    ) -> dict[str, dict[Partition, Committed]]:
        """Return what ``fetch`` does, of several groups: in one request for each of their coordinators.

        A broker before 3.0 gets a request per group. Raises ``CommitError`` if that of any group fails.
        """
        return await self._patiently(lambda: self._fetch_all(groups, partitions))

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask, and again while the cluster is new. Raises ``CommitError``."""
        while True:
            try:
                answer = await ask()
            except CommitError as exc:
                if not self._may_wait(exc):
                    raise
                await asyncio.sleep(_RETRY_S)
            else:
                self._answered = True
                return answer

    def _may_wait(self, exc: CommitError) -> bool:
        """Return True if the request failed because the cluster is new; log that once."""
        cause = exc.__cause__.__cause__ if isinstance(exc.__cause__, BrokerError) else exc.__cause__
        if self._answered or not isinstance(cause, _NO_COORDINATOR):
            return False
        if self._awaited_since is None:
            self._awaited_since = time.monotonic()
            _log.info(
                events.COORDINATOR_AWAITED,
                cause="the broker creates its topic for group offsets, as on the first start of a cluster",
                remedy="none needed; the bridge retries until the topic exists",
            )
        return time.monotonic() - self._awaited_since < _NEW_CLUSTER_S

    async def _fetch(
        self, group: str, partitions: Collection[Partition] | None
    ) -> dict[Partition, Committed]:
        response = await self._send(group, LeanOffsetFetch(group, _numbers_by_topic(partitions)))
        # Since version 2, an error of the whole group, as while its coordinator loads it: no topic is there.
        return self._committed(group, response.topics or [], getattr(response, "error_code", 0))

    async def _fetch_all(
        self, groups: Sequence[str], partitions: Collection[Partition] | None
    ) -> dict[str, dict[Partition, Committed]]:
        try:
            return await self._fetch_together(groups, partitions)
        except CommitError as exc:
            if not isinstance(exc.__cause__, RequestUnknown):
                raise
        fetched = await asyncio.gather(*(self._fetch(group, partitions) for group in groups))
        return dict(zip(groups, fetched, strict=True))

    async def _fetch_together(
        self, groups: Sequence[str], partitions: Collection[Partition] | None
    ) -> dict[str, dict[Partition, Committed]]:
        """Fetch with one request per coordinator. Raises ``CommitError``, from ``RequestUnknown`` as well."""
        numbers, committed = _numbers_by_topic(partitions), dict[str, dict[Partition, Committed]]()
        async with self._requests(groups) as client:
            by_node = await self._coordinators.of_all(client, groups)
            responses = [
                await client.send(node, OffsetsRequest(of_node, numbers), group=ConnectionGroup.COORDINATION)
                for node, of_node in by_node.items()
            ]
        found = {group: answer for response in responses for group, answer in response.groups.items()}
        for group in groups:
            if group not in found:
                raise CommitError(f"group {group!r}: the broker's answer does not contain it")
            committed[group] = self._committed(group, *found[group])
        return committed

    def _committed(self, group: str, topics: FetchedTopics, code: int) -> dict[Partition, Committed]:
        """Return the offsets in a response. Raises ``CommitError`` for an error of the group or a row."""
        self._raise_for_code(group, code)
        committed = {}
        for topic, answers in topics:  # null: librdkafka's mock cluster, for all partitions
            for number, offset, metadata, row_code in answers:
                self._raise_for_code(group, row_code)
                if offset >= 0:
                    committed[Partition(topic, number)] = Committed(offset, metadata or "")
        return committed

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        """Commit offsets; return the partitions of topics that the login may not read: refused, and logged.

        Raises ``CommitError`` if the broker did not accept all others.
        """
        rows = {
            partition: ((partition.number, committed.offset, committed.metadata),)
            for partition, committed in offsets.items()
        }
        request = LeanOffsetCommit(
            group, _NO_GENERATION, _NO_MEMBER, LeanOffsetCommit.DEFAULT_RETENTION_TIME, _by_topic(rows)
        )
        response = await self._send(group, request, self._may_commit)
        refused: list[Partition] = []
        for topic, answers in response.topics:
            for number, code in answers:
                if code == TopicAuthorizationFailedError.errno:
                    refused.append(Partition(topic, number))
                else:
                    self._raise_for_code(group, code)
        self._report_refused(group, {partition.topic for partition in refused})
        return refused

    def _report_refused(self, group: str, topics: Collection[str]) -> None:
        for topic in topics:
            if self._refused_lines.allows(topic):
                _log.error(
                    events.COMMIT_FAILED,
                    cause=f"group {group!r}: this login may not read topic {topic!r}",
                    remedy="grant this login the right to read the topic (ACL operation Read); the bridge"
                    " tries again, and the other topics go on",
                )

    async def groups(self) -> dict[str, str]:
        """Return the type of each group of the cluster: empty if the group never had a member.

        Raises ``KafkaUnavailable``.
        """
        groups: dict[str, str] = {}
        async with self._client.call("list the consumer groups") as client:
            brokers = [broker.nodeId for broker in client.cluster.brokers()]
        for broker in brokers:
            async with self._client.guarded("list the consumer groups", timeout_s=_TIMEOUT_S):
                response = await client.send(broker, ListGroupsRequest())
                if response.error_code:
                    raise for_code(response.error_code)
            groups.update(response.groups)
        return groups

    async def delete(self, group: str) -> None:
        """Delete a group with its offsets, if it exists. Raises ``CommitError``."""
        response = await self._send(group, DeleteGroupsRequest([group]))
        for _name, code in response.results:
            if code != GroupIdNotFound.errno:
                self._raise_for_code(group, code)

    async def _send(
        self,
        group: str,
        request: LeanOffsetCommit | LeanOffsetFetch | DeleteGroupsRequest,
        may_send: Callable[[], bool] = lambda: True,
    ) -> Any:
        """Send a request to the coordinator of a group. Raises ``CommitError``."""
        async with self._requests((group,)) as client:
            node = await self._coordinators.of(client, group)
            await client.ready(node, group=ConnectionGroup.COORDINATION)
            if not may_send():
                raise CommitError(f"group {group!r}: this process was suspended for too long to commit")
            return await client.send(node, request, group=ConnectionGroup.COORDINATION)

    @asynccontextmanager
    async def _requests(self, groups: Sequence[str]) -> AsyncIterator[AIOKafkaClient]:
        """Make requests about these groups in the body. Raises ``CommitError`` for whatever fails in it."""
        more = f" and {len(groups) - 1} more" if len(groups) > 1 else ""
        subject = f"group {groups[0]!r}{more}"
        try:
            async with broker_call(f"use the offsets of {subject}", timeout_s=_TIMEOUT_S):
                yield await self._client.working()
        except BrokerError as exc:
            self._coordinators.forget(groups)
            if isinstance(exc, ClientFailed):
                self._client.discard(exc.cause)
            raise CommitError(f"{subject}: {exc.cause}") from exc

    def _raise_for_code(self, group: str, code: int) -> None:
        """Raise ``CommitError`` for a code other than 0; the coordinator may have moved."""
        if code:
            self._coordinators.forget((group,))
            error = for_code(code)
            raise CommitError(f"group {group!r}: {error.__name__} (error {code})") from error()


def _by_topic(rows: Mapping[Partition, Sequence[Any]]) -> list[tuple[str, list[Any]]]:
    topics: defaultdict[str, list[Any]] = defaultdict(list)
    for partition, row in rows.items():
        topics[partition.topic].extend(row)
    return list(topics.items())


def _numbers_by_topic(partitions: Collection[Partition] | None) -> list[tuple[str, list[int]]] | None:
    if partitions is None:
        return None
    return _by_topic({partition: (partition.number,) for partition in partitions})
