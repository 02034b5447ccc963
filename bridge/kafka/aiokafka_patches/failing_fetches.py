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
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiokafka.consumer.consumer
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from bridge.core.fetch_pace import FULL_RECORDS
from bridge.kafka.aiokafka_patches.fetch_codec import LeanFetchRequest, count_records
from bridge.kafka.aiokafka_patches.gathered_fetches import GatheringFetcher
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_ROUTINE = {0, 1, 3, 5, 6, 9, 74, 75, 78}
"""Codes that aiokafka handles, or that a change of leaders causes: no fault of the partition."""
_REFUSED = TopicAuthorizationFailedError.errno
_FIRST_BACKOFF_S, _MOST_BACKOFF_S = 1.0, 30.0
_SILENT_S, _SILENT_TIMES = 30.0, 20
"""How long, and how often, a broker may send nothing of a partition although its log goes on: responses are
limited."""
_SUSPECT_AFTER = 2
_IDLE_S = 0.2
_PART_WAIT_MS = 50
"""How long a broker may wait for records of a part of its partitions: the others wait for the answer."""
_OWN_CONNECTION = 2
"""The connection to a broker that only fetches use, beside aiokafka's ``ConnectionGroup`` of 0 and 1. A
broker answers the requests of a connection in turn, so that others would wait for what a fetch waits for."""
_NOTHING = SimpleNamespace(topics=[], API_VERSION=4)
"""What aiokafka reads of a response, without partitions."""
_REMEDY = (
    "check the broker's log and its disk, and the partition's other replicas; nothing is skipped, the bridge"
    " tries again at least every 30 s"
)
_GRANT = (
    "grant this login the right to read the topic (ACL operation Read); nothing is skipped, the bridge tries"
    " again at least every 30 s"
)


class _Silence(NamedTuple):
    """Responses without records from one offset on: since when, and how many."""

    offset: int
    since: float
    times: int = 1


class FailingPartitions:
    """The partitions that their broker cannot read, and when each may be fetched again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: monotonic seconds."""
        self._clock = clock
        self._backoffs: dict[TopicPartition, tuple[float, float]] = {}  # the last wait, and until when
        self._silent: dict[TopicPartition, _Silence] = {}
        self._refused: dict[TopicPartition, str] = {}  # to its topic
        self._lines = Throttle(now=clock)

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._backoffs

    def keys(self) -> Set[TopicPartition]:
        """Return the partitions whose last fetch failed."""
        return self._backoffs.keys()

    def __len__(self) -> int:
        return len(self._backoffs) + sum(map(self._too_long, self._silent.values()))

    def due(self, partition: TopicPartition) -> bool:
        """Return True if the partition may be fetched now."""
        return partition not in self._backoffs or self._clock() >= self._backoffs[partition][1]

    def refused(self, partition: TopicPartition, offset: int) -> None:
        """Note that the login may not read the topic; ``failed`` otherwise."""
        self._refused[partition] = partition.topic
        self.failed(partition, offset, "this login may not read the topic", _GRANT)

    @property
    def refused_topics(self) -> frozenset[str]:
        """The topics that the login may not read, as of the last fetch of each."""
        return frozenset(self._refused.values())

    def failed(self, partition: TopicPartition, offset: int, cause: str, remedy: str = _REMEDY) -> None:
        """Note that a fetch from this offset failed; wait twice as long as the last time."""
        wait_s = min(_MOST_BACKOFF_S, 2 * self._backoffs.get(partition, (_FIRST_BACKOFF_S / 2, 0))[0])
        self._backoffs[partition] = wait_s, self._clock() + wait_s
        self._report(partition, offset, cause, remedy)

    def answered(self, partition: TopicPartition, offset: int, end: int, size: int) -> None:
        """Note a response without an error: its bytes, and the end of what the broker would send."""
        silence = self._silent.pop(partition, None)
        if size == 0 and offset < end:
            if silence is None or silence.offset != offset:
                silence = _Silence(offset, self._clock(), 0)
            self._silent[partition] = silence = silence._replace(times=silence.times + 1)
            if self._too_long(silence):
                self._report(partition, offset, f"the broker sends no records, but its log ends at {end}")
        self._refused.pop(partition, None)
        if self._backoffs.pop(partition, None) is not None:
            _log.info(events.FETCH_RECOVERED, partition=_name(partition), next_offset=offset)

    def keep(self, partitions: Collection[TopicPartition]) -> None:
        """Forget all other partitions: they are no longer read here."""
        for known in (self._backoffs, self._silent, self._refused):
            for partition in known.keys() - set(partitions):
                del known[partition]

    def _too_long(self, silence: _Silence) -> bool:
        return silence.times >= _SILENT_TIMES and self._clock() - silence.since >= _SILENT_S

    def _report(self, partition: TopicPartition, offset: int, cause: str, remedy: str = _REMEDY) -> None:
        if self._lines.allows(partition):
            _log.error(
                events.FETCH_FAILED,
                partition=_name(partition),
                next_offset=offset,
                cause=cause,
                remedy=remedy,
            )


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


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"


aiokafka.consumer.consumer.Fetcher = CarefulFetcher
