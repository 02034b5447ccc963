"""What the console shows of the bridge as it is now: endpoints, jobs, switches, schemas, pods. Pure.

Invariant: a view contains no secret, because it is made of records in which secrets are masked already.
Instants are Unix seconds (``_s``), unless a name ends with ``since`` or ``at``: these are RFC 3339 texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """What happened at an endpoint in one interval: attempts, those delivered, and the median latency."""

    at_s: float
    attempts: int
    delivered: int
    latency_p50_s: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One endpoint now.

    ``on`` is its switch, with ``since`` (RFC 3339), ``by`` and ``why``. ``lag_events`` counts the events that
    it selects and that are not settled; None if it cannot be counted; ``lag_bound`` is ``exact``,
    ``at least`` or ``at most``. ``oldest_s`` is the age of the oldest of them in seconds. The rates
    are of the last five minutes, the latencies (from append to 2xx) and the success rate (0 to 1) of the last
    hour; None without attempts.
    ``breaker`` is ``closed``, ``open`` or ``half-open``, or None if no pod reported it; ``limit`` is a text
    such as ``12 requests/s``; ``slow_because`` is why it is limited. ``points`` are the last hour in minutes.
    """

    name: str
    url: str
    preset: str | None
    configured: bool
    on: bool
    since: str = ""
    by: str = ""
    why: str = ""
    lag_events: int | None = None
    lag_bound: str = "exact"
    oldest_s: float | None = None
    attempts_per_s: float | None = None
    delivered_per_s: float | None = None
    success_rate: float | None = None
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    breaker: str | None = None
    limit: str | None = None
    slow_because: str | None = None
    held: int = 0
    parked: int = 0
    last_delivered_s: float | None = None
    last_failed_s: float | None = None
    last_reason: str = ""
    events_off: Sequence[str] = ()
    points: Sequence[Point] = ()

    @property
    def health(self) -> str:
        """Return ``off``, ``failing``, ``slow`` or ``well``: one word for a table or a color."""
        if not self.on:
            return "off"
        if self.breaker == "open" or (self.success_rate is not None and self.success_rate < 0.5):
            return "failing"
        slow = self.slow_because or self.held or (self.success_rate is not None and self.success_rate < 0.99)
        return "slow" if slow else "well"


@dataclass(frozen=True, slots=True)
class JobRow:
    """One bulk re-send or replay, as in ``bridge.core.jobs.Job``, with its progress.

    ``progress`` is 0 to 1, None if the total is not known; ``left_s`` is an estimate in seconds.
    """

    id: str
    kind: str
    state: str
    endpoint: str | None
    query: Mapping[str, Any]
    rate_per_s: float | None
    created: str
    changed: str
    by: str
    reason: str
    total: int | None
    done: int
    error: str = ""
    progress: float | None = None
    left_s: float | None = None

    @property
    def final(self) -> bool:
        """Return True if the job does nothing any more."""
        return self.state not in ("running", "paused")


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """One switch: of an endpoint (``kind`` ``endpoint``) or of event types (``kind`` ``events``)."""

    kind: str
    name: str
    endpoint: str | None
    on: bool
    since: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class SchemaRow:
    """One Avro schema of the folder that a source uses. ``fields`` are its top-level fields."""

    source: str
    name: str
    version: str
    file: str
    fields: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One entry of the audit: who changed what, when, from where, and why."""

    id: str
    at: str
    by: str
    action: str
    subject: str
    reason: str
    details: str


@dataclass(frozen=True, slots=True)
class PodRow:
    """What one pod reports: the hash of its configuration, and what it found wrong."""

    name: str
    reported_s: float
    config_hash: str
    version: str = ""
    error: str = ""
    ready: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigView:
    """The configuration that the console read, masked, and what the pods run.

    ``text`` is YAML without secrets. ``difference`` are lines of a unified diff from what the console read
    at its start to the file as it is now; empty if they are the same.
    """

    path: str
    text: str
    hash: str
    file_hash: str
    read_s: float
    difference: Sequence[str] = ()
    problems: Sequence[str] = ()
    pods: Sequence[PodRow] = ()


@dataclass(frozen=True, slots=True)
class Following:
    """How far the console has read: ``behind`` is how many records of the topics it has not read yet."""

    behind: int
    caught_up: bool
    last_attempt_s: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: the endpoints, totals, and what needs attention."""

    group: str
    endpoints: Sequence[EndpointState]
    parked: int
    held: int
    jobs: Sequence[JobRow]
    pods: Sequence[PodRow]
    following: Following
    again_waiting: int = 0
