"""What the API and the pages read and do: the Protocols between them and the console's engine.

Invariant: every action is recorded in the audit with who did it and why, before it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bridge.console.event_views import (
    AttemptDetail,
    AttemptRow,
    DigestHour,
    EventTimeline,
    FeedEntry,
    ParkedDetail,
    ParkedRow,
)
from bridge.console.query import AttemptQuery, Page, ParkedQuery
from bridge.console.state_views import (
    ChangeRow,
    ConfigView,
    EndpointState,
    JobRow,
    Overview,
    SchemaRow,
    SwitchRow,
)
from bridge.wiring.replay_plan import ReplayRequest


class Who(NamedTuple):
    """Who acts, and why. ``key`` is an ``Idempotency-Key``: an action with the same key is done once."""

    by: str
    why: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of an action: what was done, in words, and the id of a job or the number of events."""

    message: str
    count: int | None = None
    job: str | None = None
    ids: Sequence[str] = ()


class Reads(Protocol):
    """Reads. ``cursor`` is that of the page before; a wrong one raises ``BadCursor`` (bridge.errors)."""

    async def overview(self) -> Overview:
        """Return the state of everything."""
        ...

    async def attempts(
        self, query: AttemptQuery, cursor: str | None = None, limit: int = 50, *, newer: bool = False
    ) -> Page[AttemptRow]:
        """Return attempts, newest first. With ``newer``, those after the cursor, oldest first (live tail)."""
        ...

    async def attempt(self, attempt_id: str) -> AttemptDetail | None:
        """Return one attempt with its request and answer."""
        ...

    async def event(self, event_id: str) -> EventTimeline | None:
        """Return all attempts of one event, by its id or its ``webhook-id``."""
        ...

    async def endpoints(self) -> Sequence[EndpointState]:
        """Return all endpoints, by name."""
        ...

    async def endpoint(self, name: str) -> EndpointState | None:
        """Return one endpoint."""
        ...

    async def parked(self, query: ParkedQuery, cursor: str | None = None, limit: int = 50) -> Page[ParkedRow]:
        """Return parked events, newest first."""
        ...

    async def parked_one(self, address: str) -> ParkedDetail | None:
        """Return one parked event with its value."""
        ...

    async def jobs(self) -> Sequence[JobRow]:
        """Return all jobs, newest first."""
        ...

    async def job(self, job_id: str) -> JobRow | None:
        """Return one job."""
        ...

    async def switches(self) -> Sequence[SwitchRow]:
        """Return the switches of endpoints and event types that were ever set."""
        ...

    async def schemas(self) -> Sequence[SchemaRow]:
        """Return the schemas of all sources."""
        ...

    async def config(self) -> ConfigView:
        """Return the configuration in force."""
        ...

    async def changes(self, cursor: str | None = None, limit: int = 50) -> Page[ChangeRow]:
        """Return the audit, newest first."""
        ...

    async def feed(self, endpoint: str, after: str | None = None, limit: int = 100) -> Page[FeedEntry]:
        """Return what was sent to an endpoint after a cursor, oldest first."""
        ...

    async def digest(self, endpoint: str, since_s: float, until_s: float) -> Sequence[DigestHour]:
        """Return counts and hashes of the delivered events per hour."""
        ...


class Actions(Protocol):
    """Changes. Each raises ``ActionRefused`` (place, cause, remedy) or ``KafkaUnavailable``."""

    async def switch_endpoint(self, name: str, on: bool, who: Who) -> Done:
        """Turn an endpoint on or off; ``*`` turns all."""
        ...

    async def switch_events(self, pattern: str, endpoint: str, on: bool, who: Who) -> Done:
        """Turn event types on or off, for one endpoint or for all (``*``)."""
        ...

    async def redrive(self, addresses: Sequence[str], who: Who) -> Done:
        """Send parked events again, in order."""
        ...

    async def redrive_all(self, query: ParkedQuery, who: Who) -> Done:
        """Send all parked events again that a query selects."""
        ...

    async def discard(self, addresses: Sequence[str], who: Who) -> Done:
        """Mark parked events as never to be sent."""
        ...

    async def resend(self, attempt_id: str, who: Who, *, render: bool = False, new_id: bool = False) -> Done:
        """Send the event of one attempt again: the stored bytes, or rendered again with ``render``."""
        ...

    async def count(self, query: AttemptQuery) -> int:
        """Return how many events a bulk re-send of this query would send (the dry run)."""
        ...

    async def resend_all(
        self,
        query: AttemptQuery,
        who: Who,
        *,
        render: bool = False,
        new_id: bool = False,
        rate_per_s: float | None = None,
    ) -> Done:
        """Start a job that sends again all events that a query selects."""
        ...

    async def plan_replay(self, request: ReplayRequest, who: Who) -> Done:
        """Return how many events a replay would send (the dry run). It starts nothing."""
        ...

    async def replay(self, request: ReplayRequest, who: Who) -> Done:
        """Start a job that sends the log of the sources again to an endpoint."""
        ...

    async def pause_job(self, job_id: str, who: Who) -> Done:
        """Pause a job."""
        ...

    async def resume_job(self, job_id: str, who: Who) -> Done:
        """Let a paused job go on."""
        ...

    async def cancel_job(self, job_id: str, who: Who) -> Done:
        """End a job for good."""
        ...
