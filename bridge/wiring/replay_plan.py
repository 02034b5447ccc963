"""Plan a replay from what an operator requests, and count what it would send. For commands and the console.

    plan = await plan_replay(settings, ReplayRequest("crm", since_ms), by="ann at ops")
    job = await start_replay(settings, plan)          # bridge/wiring/replay_control.py

Invariant: a plan changes nothing. Its offsets are those that the replay has, however long it takes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from bridge.core.dedupe import Stretch
from bridge.core.filter import BadExpression, Filter
from bridge.core.instant import precise_instant
from bridge.core.jobs import Job, JobKind, JobState
from bridge.core.replay import ReplayQuery, to_position
from bridge.core.routing import Patterns, Router
from bridge.errors import ConfigError
from bridge.kafka.session import AdminSession
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topic_ids import TopicIds
from bridge.model import Partition
from bridge.settings import Settings
from bridge.settings.models.values import event_pattern
from bridge.settings.names import require_known, require_selected, require_type
from bridge.settings.problem import printable
from bridge.wiring.counting import DEFAULT_SCAN, Selected, count_selected
from bridge.wiring.kafka import build_kafka_options
from bridge.wiring.replay import subscription_of
from bridge.wiring.topics import build_selection

_LONGEST_FILTER = 2_000


class ReplayRequest(NamedTuple):
    """What is to be sent again to an endpoint.

    ``since_ms`` and ``until_ms`` (None: now) are Unix milliseconds, compared with the timestamps of the
    records. ``types`` are patterns, ``topics`` names; empty: all that the endpoint selects. ``rate_per_s`` is
    for all bridges together. With ``new_id``, every event gets a new webhook-id.
    """

    endpoint: str
    since_ms: int
    until_ms: int | None = None
    types: tuple[str, ...] = ()
    entity: str | None = None
    when: str | None = None
    topics: tuple[str, ...] = ()
    rate_per_s: float | None = None
    new_id: bool = False

    def query(self) -> ReplayQuery:
        """Return the query of the job."""
        until = None if self.until_ms is None else precise_instant(self.until_ms)
        since = precise_instant(self.since_ms)
        return ReplayQuery(since, until, self.types, self.entity, self.when, self.topics, self.new_id)


class ReplayPlan(NamedTuple):
    """A replay that could be started.

    ``selected`` is what was counted, None if nothing was. ``offsets`` are how many offsets it reads, and
    ``notes`` are for an operator, such as records that retention deleted.
    """

    job: Job
    stretches: Mapping[Partition, Stretch]
    selected: Selected | None
    notes: tuple[str, ...]

    @property
    def offsets(self) -> int:
        """Return how many offsets the replay reads."""
        return sum(end - start for start, end in self.stretches.values())

    @property
    def is_empty(self) -> bool:
        """Return True if nothing would be sent."""
        return not self.stretches or (
            self.selected is not None and self.selected.exact and not self.selected.events
        )


async def plan_replay(
    settings: Settings,
    request: ReplayRequest,
    *,
    by: str,
    now_ms: int,
    reason: str = "",
    scan: int = DEFAULT_SCAN,
    begin: Callable[[int], None] = lambda offsets: None,
    step: Callable[[int], None] = lambda records: None,
) -> ReplayPlan:
    """Return the plan for a request. ``scan``: count the events of so many records at most; 0: do not count.

    ``begin`` is called with the number of offsets before they are counted, and ``step`` with those that
    were. Raises ``ConfigError`` for a request that cannot be carried out, and ``KafkaUnavailable``.
    """
    request = request._replace(since_ms=max(0, request.since_ms))
    check_request(settings, request, now_ms)
    async with AdminSession(build_kafka_options(settings.kafka)) as session:
        topics = _topics(settings, request, await session.topics())
        ends = await session.log_ends(topics)
        stretches, notes = await _stretches(settings, request, ends)
    topic_ids = await _topic_ids(settings, {partition.topic for partition in stretches})
    selected = None
    if scan and stretches:
        endpoint = settings.endpoints[request.endpoint]
        router = Router({request.endpoint: subscription_of(endpoint, request.query())})
        begin(min(scan, sum(end - start for start, end in stretches.values())))
        selected = await count_selected(settings, router, stretches, scan=scan, step=step)
    created = precise_instant(now_ms)
    job = Job(
        secrets.token_hex(4),
        JobKind.REPLAY,
        JobState.RUNNING,
        request.endpoint,
        request.query().to_json(),
        request.rate_per_s,
        created,
        created,
        by,
        reason,
        total=selected.events if selected is not None and selected.exact else None,
        position=to_position(stretches, topic_ids),
    )
    return ReplayPlan(job, stretches, selected, tuple(notes))


def check_request(settings: Settings, request: ReplayRequest, now_ms: int) -> None:
    """Raise ``ConfigError`` for names that do not exist, and for what is no filter, pattern or stretch."""
    require_known("there is no endpoint", request.endpoint, settings.endpoints, "the endpoints are")
    for pattern in request.types:
        _check_pattern(pattern)
        require_type(pattern, settings.sources.values())
        require_selected(pattern, settings, request.endpoint)
    if request.when is not None:
        _check_filter(request.when)
    if request.rate_per_s is not None and not 0.01 <= request.rate_per_s <= 100_000:
        raise ConfigError([f"the rate {request.rate_per_s:g} is not between 0.01 and 100000 per second"])
    if request.since_ms >= (now_ms if request.until_ms is None else min(request.until_ms, now_ms)):
        raise ConfigError(
            ["the replay begins at its end or after it, or in the future; give an earlier time"]
        )


def _check_pattern(pattern: str) -> None:
    try:
        event_pattern(pattern)
    except PydanticCustomError as exc:
        raise ConfigError([f'"{printable(pattern)}" {exc.message()}']) from None
    if pattern.startswith("!"):
        raise ConfigError([f'"{printable(pattern)}" is an exclusion; use a filter: not type == "…"'])


def _check_filter(text: str) -> None:
    if len(text) > _LONGEST_FILTER:
        raise ConfigError([f"the filter has more than {_LONGEST_FILTER} characters"])
    try:
        Filter(text)
    except BadExpression as exc:
        raise ConfigError([f"the filter cannot be read: {exc}"]) from None


def _topics(settings: Settings, request: ReplayRequest, existing: frozenset[str]) -> list[str]:
    """Return the topics that the endpoint gets events from, as far as the request selects them."""
    endpoint, selection = settings.endpoints[request.endpoint], build_selection(settings)
    patterns = Patterns(endpoint.topics)
    known = sorted(
        topic
        for topic in selection.select(existing)
        if patterns.match(topic) and (not endpoint.sources or selection.source_of(topic) in endpoint.sources)
    )
    for topic in request.topics:
        what = f"endpoint {request.endpoint} gets no events of a topic"
        require_known(what, topic, known, "its topics are")
    return list(dict.fromkeys(request.topics)) or known


async def _stretches(
    settings: Settings, request: ReplayRequest, ends: Mapping[Partition, int]
) -> tuple[dict[Partition, Stretch], list[str]]:
    """Return the offsets between the two times, and notes on what is gone."""
    stretches: dict[Partition, Stretch] = {}
    notes = []
    async with SideReader(build_kafka_options(settings.kafka)) as reader:
        partitions = list(ends)
        begins = await reader.begins(partitions) if partitions else {}
        starts = await _offsets_at(reader, partitions, request.since_ms)
        until = {} if request.until_ms is None else await _offsets_at(reader, partitions, request.until_ms)
    for partition, log_end in ends.items():
        end = min(until.get(partition, log_end), log_end)
        start = starts.get(partition, log_end)
        if begins[partition] and start == begins[partition]:
            notes.append(
                f"{partition} begins at offset {start}: retention deleted what was before it, which may"
                " belong to the time of the replay"
            )
        if start < end:
            stretches[partition] = Stretch(start, end)
    return stretches, notes


async def _offsets_at(reader: SideReader, partitions: list[Partition], at_ms: int) -> dict[Partition, int]:
    return await reader.offsets_at(partitions, max(0, at_ms)) if partitions else {}


async def _topic_ids(settings: Settings, topics: set[str]) -> Mapping[str, str | None]:
    ids = TopicIds(build_kafka_options(settings.kafka))
    try:
        await ids.start()
        return await ids.look(topics) or {}
    finally:
        await ids.close()
