"""Keep a partition that its broker cannot read from stalling the others, and report it.

Upstream: no issue found. aiokafka 0.14 fetches all partitions of a broker in one request. If the broker
answers one partition with an error, aiokafka logs the error without the partition's name and asks again
at once. If the login may not read one topic, ``getmany`` raises for all, each time. If the broker fails
while it sends one partition's records, the whole request fails, each time.
Remove this when a consumer backs off per partition and reports which one fails.
``bridge/kafka/client.py`` imports this module, so every consumer of the product has the patch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import aiokafka.consumer.consumer
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from bridge.core.fetch_pace import FULL_RECORDS
from bridge.kafka.aiokafka_patches.fetch_codec import LeanFetchRequest, count_records
from bridge.kafka.aiokafka_patches.gathered_fetches import GatheringFetcher
from bridge.kafka.failing_partitions import FailingPartitions

_log = structlog.get_logger()
_ROUTINE = {0, 1, 3, 5, 6, 9, 74, 75, 78}
"""Codes that aiokafka handles, or that a change of leaders causes: no fault of the partition."""
_REFUSED = TopicAuthorizationFailedError.errno
_SUSPECT_AFTER = 2
_IDLE_S = 0.2
_PART_WAIT_MS = 50
"""How long a broker may wait for records of a part of its partitions: the others wait for the answer."""
_OWN_CONNECTION = 2
"""The connection to a broker that only fetches use, beside aiokafka's ``ConnectionGroup`` of 0 and 1. A
broker answers the requests of a connection in turn, so that others would wait for what a fetch waits for."""
_NOTHING = SimpleNamespace(topics=[], API_VERSION=4)
"""What aiokafka reads of a response, without partitions."""


class FetchClient:
    """The client of a fetcher: sends a fetch without the partitions that would make it fail.

    A failing partition is fetched alone, and only when it is due. When whole requests to a broker fail
    although it answers other requests, its partitions are fetched one by one to find the one at fault.
    """

    def __init__(
        self,
        client: Any,
        failing: FailingPartitions,
        received: Callable[[int], None] = lambda size: None,
        apart: Callable[[], bool] = lambda: False,
    ) -> None:
        """``received`` is called with the records in each response, of which ``FULL_RECORDS`` are counted.

        ``apart`` returns True if fetches have a connection of their own.
        """
        self._client = client
        self._failing = failing
        self._received = received
        self._apart = apart
        self._failures: dict[int, int] = {}
        self._suspects: set[TopicPartition] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request; a fetch may be sent in part. Raises what the client raises."""
        if not isinstance(request, FetchRequest):
            return await self._client.send(node_id, request, **options)
        offsets = _offsets_of(request)
        if self._suspects or self._failing.keys():
            offsets = self._choose(offsets)
            if not offsets:
                await asyncio.sleep(_IDLE_S)
                return _NOTHING
            request = _only(request, offsets)
        if self._apart():
            options["group"] = _OWN_CONNECTION
        try:
            response = await self._client.send(node_id, request, **options)
        except asyncio.CancelledError:  # the assignment has ended
            self._hang_up(node_id)
            raise
        except Exception as exc:
            await self._failed(node_id, offsets, exc)
            if isinstance(exc, KafkaError):
                raise
            cause = f"{type(exc).__name__}: {exc}"
            raise KafkaError(cause) from exc  # any other exception would end the task that fetches
        self._failures.pop(node_id, None)
        self._suspects -= offsets.keys()
        self._received(self._note(response, offsets))
        return response

    def _hang_up(self, node_id: int) -> None:
        """Close the connection of a fetch that is given up: the next one would wait until it is answered."""
        if self._apart() and (connection := self._client._conns.get((node_id, _OWN_CONNECTION))):
            connection.close()

    def _choose(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return what to fetch: one partition that may fail the request, or all that are not failing."""
        for partition in offsets:
            suspected = partition in self._suspects or partition in self._failing
            if suspected and self._failing.due(partition):
                return {partition: offsets[partition]}
        return {one: offset for one, offset in offsets.items() if one not in self._failing}

    async def _failed(self, node_id: int, offsets: Mapping[TopicPartition, int], exc: Exception) -> None:
        failures = self._failures[node_id] = self._failures.get(node_id, 0) + 1
        alone = offsets.keys() <= self._suspects | self._failing.keys() and len(offsets) == 1
        if (failures < _SUSPECT_AFTER and not alone) or not await self._answers(node_id):
            return
        if len(offsets) > 1:
            self._suspects |= offsets.keys()
            return
        for partition, offset in offsets.items():
            self._suspects.discard(partition)
            self._failing.failed(partition, offset, f"the fetch failed: {exc}")

    async def _answers(self, node_id: int) -> bool:
        """Return True if the broker answers: then the fetch failed because of what it asked for."""
        try:
            await self._client.send(node_id, MetadataRequest([]))
        except KafkaError:
            return False
        return True

    def _note(self, response: Any, offsets: Mapping[TopicPartition, int]) -> int:
        """Note what the broker answered for each partition; return the number of records.

        Leave in the response what aiokafka acts on: rows with records, and errors but for a refusal.
        """
        total, has_stable_end, topics = 0, response.API_VERSION >= 4, []
        for topic, rows in response.topics:
            kept = []
            for row in rows:
                number, code, end = row[:3]
                partition = TopicPartition(topic, number)
                offset = offsets.get(partition, 0)
                if not code:
                    if has_stable_end and row[3] >= 0:
                        end = row[3]
                    batches = row[-1] or b""
                    self._failing.answered(partition, offset, end, len(batches))
                    if batches:
                        kept.append(row)
                        total += count_records(batches, FULL_RECORDS)
                elif code == _REFUSED:
                    self._failing.refused(partition, offset)
                else:
                    kept.append(row)
                    if code not in _ROUTINE:
                        cause = f"{for_code(code).__name__} (error {code})"
                        self._failing.failed(
                            partition, offset, f"the broker cannot read the records: {cause}"
                        )
            if kept:
                topics.append((topic, kept))
        response.topics = topics
        return total


class CarefulFetcher(GatheringFetcher):
    """Fetches as aiokafka does, through a ``FetchClient``."""

    def __init__(self, client: Any, subscriptions: Any, **options: Any) -> None:
        self.failing = FailingPartitions()

        def received(records: int) -> None:
            self.pace.received(records)

        def apart() -> bool:
            return self.complete_wait_ms > 0

        super().__init__(FetchClient(client, self.failing, received, apart), subscriptions, **options)


def failing_partitions(consumer: AIOKafkaConsumer, assigned: Iterable[TopicPartition]) -> int:
    """Return how many of the assigned partitions the brokers cannot read now."""
    fetcher: Any = consumer._fetcher
    if fetcher is None:
        return 0
    fetcher.failing.keep(list(assigned))
    return len(fetcher.failing)


def refused_topics(consumer: AIOKafkaConsumer) -> frozenset[str]:
    """Return the topics that the login may not read, as far as a fetch has shown it."""
    fetcher: Any = consumer._fetcher
    return frozenset() if fetcher is None else fetcher.failing.refused_topics


def _offsets_of(request: FetchRequest) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic, number): offset for topic, rows in request.topics for number, offset, _ in rows
    }


def _only(request: FetchRequest, partitions: Collection[TopicPartition]) -> LeanFetchRequest:
    """Return the request for these of its partitions."""
    topics = []
    for topic, rows in request.topics:
        kept = [row for row in rows if TopicPartition(topic, row[0]) in partitions]
        if kept:
            topics.append((topic, kept))
    return LeanFetchRequest(
        min(request._max_wait_ms, _PART_WAIT_MS),
        request._min_bytes,
        request._max_bytes,
        request._isolation_level,
        topics,
        rack_id=request._rack_id,
    )


aiokafka.consumer.consumer.Fetcher = CarefulFetcher
