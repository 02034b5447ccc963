"""What the API and the pages read: from the store, the lag, and the settings.

It implements ``bridge.console.ports.Reads``.

Invariant: nothing here waits for Kafka, except the value of one parked event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from bridge.console.config_view import ConfigFile
from bridge.console.endpoint_state import endpoint_state
from bridge.console.event_views import (
    AttemptDetail,
    AttemptRow,
    DigestHour,
    EventTimeline,
    FeedEntry,
    ParkedDetail,
    ParkedRow,
)
from bridge.console.follower import TopicFollower, following
from bridge.console.lags import LagWatch
from bridge.console.query import AttemptQuery, Page, ParkedQuery
from bridge.console.schema_view import list_schemas
from bridge.console.state_views import (
    ChangeRow,
    ConfigView,
    EndpointState,
    Following,
    JobRow,
    Overview,
    PodRow,
    SchemaRow,
    SwitchRow,
)
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.control import ControlQueries, job_row
from bridge.console.store.database import Database
from bridge.console.store.endpoint_stats import EndpointStats, read_stats
from bridge.console.store.feed import FeedQueries
from bridge.console.store.parked import ParkedQueries
from bridge.core.switches import ALL
from bridge.dead_letters.letter import Address
from bridge.errors import KafkaUnavailable
from bridge.settings import Settings
from bridge.telemetry.scrub import scrub
from bridge.wiring.kafka import attempts_topic, build_letters

_GONE_AFTER_S = 180.0
"""A pod whose last report is older has died: each writes one per minute."""
_MOST_VALUE = 256 * 1024


class StoreReads:
    """See ``bridge.console.ports.Reads``."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        lags: LagWatch,
        followers: Sequence[TopicFollower],
        config: ConfigFile,
    ) -> None:
        topic = attempts_topic(settings)
        self._settings = settings
        self._db = database
        self._lags = lags
        self._followers = followers
        self._config = config
        self._attempts = AttemptQueries(database, topic)
        self._parked = ParkedQueries(database)
        self._control = ControlQueries(database)
        self._feed = FeedQueries(database, topic)

    async def overview(self) -> Overview:
        """Return the state of everything."""
        endpoints = await self.endpoints()
        counts = await self._parked.counts()
        return Overview(
            group=self._settings.group,
            endpoints=endpoints,
            parked=sum(counts.values()),
            held=sum(state.held for state in endpoints),
            jobs=[job for job in await self.jobs() if not job.final],
            pods=await self._pods(),
            following=await self._following(),
            again_waiting=self._lags.again_waiting,
        )

    async def _following(self) -> Following:
        rows = await self._db.fetch("SELECT sent_ms FROM attempts ORDER BY sent_ms DESC, id DESC LIMIT 1")
        return following(self._followers, rows[0][0] / 1000 if rows else None)

    async def _pods(self) -> list[PodRow]:
        now_s = time.time()
        return [pod for pod in await self._control.pods() if now_s - pod.reported_s < _GONE_AFTER_S]

    async def attempts(
        self, query: AttemptQuery, cursor: str | None = None, limit: int = 50, *, newer: bool = False
    ) -> Page[AttemptRow]:
        """Return attempts, newest first; with ``newer``, those after the cursor, oldest first."""
        if newer:
            return await self._attempts.newer(query, cursor, limit)
        return await self._attempts.page(query, cursor, limit)

    async def attempt(self, attempt_id: str) -> AttemptDetail | None:
        """Return one attempt with its request and answer."""
        return await self._attempts.one(attempt_id)

    async def event(self, event_id: str) -> EventTimeline | None:
        """Return all attempts of one event, and where it is parked."""
        rows = await self._attempts.of_event(event_id)
        parked = await self._parked.of_event(event_id, event_id)
        if rows:
            first = rows[0]
            detail = await self._attempts.one(first.id)
            parked = parked or await self._parked.of_event(first.event_id, first.webhook_id)
            event_time = "" if detail is None else detail.event_time
            facts = (first.event_id, first.type, first.entity, first.tenant, event_time, first.place)
        elif parked:
            letter = parked[0]
            known = letter.event_id or "", letter.type or "", letter.entity, letter.tenant
            facts = (*known, "", letter.place)
        else:
            return None
        return EventTimeline(*facts, attempts=rows, parked=parked)

    async def endpoints(self) -> Sequence[EndpointState]:
        """Return all endpoints by name: those of the settings, and those that were removed."""
        now_s = time.time()
        stats = await read_stats(self._db, now_s)
        switches, types = await self._control.states()
        parked, held = await self._parked.counts(), await self._control.held()
        pods = await self._pods()
        last = await self._attempts.last_of_each()
        off = list(types.off())
        names = sorted({*self._settings.endpoints, *stats, *(parked.keys() - {ALL}), *held})
        return [
            replace(
                endpoint_state(
                    name,
                    self._settings.endpoints.get(name),
                    switches[name],
                    stats.get(name, EndpointStats()),
                    self._lags.by_endpoint.get(name),
                    pods,
                    now_s,
                ),
                parked=parked.get(name, 0),
                held=held.get(name, 0),
                events_off=tuple(types.pattern for types in off if types.endpoint in (ALL, name)),
                **last.get(name, {}),
            )
            for name in names
        ]

    async def endpoint(self, name: str) -> EndpointState | None:
        """Return one endpoint."""
        return next((state for state in await self.endpoints() if state.name == name), None)

    async def parked(self, query: ParkedQuery, cursor: str | None = None, limit: int = 50) -> Page[ParkedRow]:
        """Return parked events, newest first."""
        return await self._parked.page(query, cursor, limit)

    async def parked_one(self, address: str) -> ParkedDetail | None:
        """Return one parked event, with its value as text if the broker answers."""
        detail = await self._parked.one(address)
        if detail is None:
            return None
        place = Address.parse(address)
        try:
            async with build_letters(self._settings) as dead:
                letter = (await dead.fetch([place])).get(place)
        except KafkaUnavailable:
            return detail
        value = None if letter is None else letter.origin.value
        if value is None:
            return detail
        text = scrub(value[:_MOST_VALUE].decode("utf-8", "replace"))
        return ParkedDetail(detail.row, detail.facts, text, detail.history)

    async def jobs(self) -> Sequence[JobRow]:
        """Return all jobs, newest first."""
        now_s, progress = time.time(), self._lags.replays
        return [job_row(job, now_s, progress.get(job.id)) for job in await self._control.all_jobs()]

    async def job(self, job_id: str) -> JobRow | None:
        """Return one job."""
        return next((row for row in await self.jobs() if row.id == job_id), None)

    async def switches(self) -> Sequence[SwitchRow]:
        """Return the switches that were ever set."""
        return await self._control.switches()

    async def schemas(self) -> Sequence[SchemaRow]:
        """Return the schemas of all sources."""
        return await asyncio.to_thread(list_schemas, self._settings)

    async def config(self) -> ConfigView:
        """Return the configuration in force."""
        return await asyncio.to_thread(self._config.view, await self._pods())

    async def changes(self, cursor: str | None = None, limit: int = 50) -> Page[ChangeRow]:
        """Return the audit, newest first."""
        return await self._control.changes(cursor, limit)

    async def feed(self, endpoint: str, after: str | None = None, limit: int = 100) -> Page[FeedEntry]:
        """Return what was sent to an endpoint after a cursor, oldest first."""
        return await self._feed.page(endpoint, after, limit)

    async def digest(self, endpoint: str, since_s: float, until_s: float) -> Sequence[DigestHour]:
        """Return counts and hashes of the delivered events per hour."""
        return await self._feed.digest(endpoint, since_s, until_s)
