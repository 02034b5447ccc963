"""Jobs as records of ``<group>.control``: bulk re-sends and replays, for every pod and console. Pure.

Invariant: the last record of a job is its state. A change writes the whole record again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

PREFIX = b"job/"
"""Keys are ``job/<id>``. A tombstone deletes a job that is not needed any more."""
_TEXT_CHARS = 500


class JobKind(StrEnum):
    """What a job does."""

    RESEND = "resend"
    """It writes stored attempts to ``<group>.again``; a command or a console carries it out."""
    REPLAY = "replay"
    """It is a temporary cursor; the bridges carry it out, each for its partitions."""


class JobState(StrEnum):
    """The state of a job. ``RUNNING`` and ``PAUSED`` can change; the others are final."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Return True if the job does nothing any more."""
        return self not in (JobState.RUNNING, JobState.PAUSED)


class DamagedJobError(ValueError):
    """A record of the control topic that is no job of this format."""


class Job(NamedTuple):
    """One bulk re-send or replay, as its last record states it.

    ``query`` are the filters as the operator gave them, by name (JSON values). ``created`` and ``changed``
    are RFC 3339 instants. ``by`` and ``reason`` are of the last change by a person. ``total`` is how many
    events it was to send, if that was counted; ``done`` how many it has sent; ``position`` is where it goes
    on, in a form of its kind. ``error`` is why it failed.
    """

    id: str
    kind: JobKind
    state: JobState
    endpoint: str | None
    query: Mapping[str, Any]
    rate_per_s: float | None
    created: str
    changed: str
    by: str
    reason: str = ""
    total: int | None = None
    done: int = 0
    position: Mapping[str, Any] = {}
    error: str = ""

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        document = self._asdict()
        document.pop("id")
        return orjson.dumps(document | {"by": self.by[:_TEXT_CHARS], "reason": self.reason[:_TEXT_CHARS]})


def key_of(job_id: str) -> bytes:
    """Return the key of a job's records."""
    return PREFIX + job_id.encode()


def job_id_of(key: bytes | None) -> str | None:
    """Return the id of a job by the key of its record; None if it is no job."""
    text = (key or b"").decode("utf-8", "replace")
    prefix = PREFIX.decode()
    return text.removeprefix(prefix) if text.startswith(prefix) and text != prefix else None


def read_job(job_id: str, value: bytes) -> Job:
    """Return the job in a record's value. Raises ``DamagedJobError``."""
    try:
        document = orjson.loads(value)
        fields = {name: document[name] for name in Job._fields if name != "id" and name in document}
        job = Job(id=job_id, **fields)
        return job._replace(kind=JobKind(job.kind), state=JobState(job.state), query=dict(job.query))
    except (ValueError, TypeError, KeyError) as exc:
        raise DamagedJobError("it is no job of this release") from exc


class Jobs:
    """All jobs of the group by id, as read from the topic. ``on_change`` is called with each that changed."""

    def __init__(self, on_change: Callable[[Job], object] | None = None) -> None:
        self._on_change = on_change
        self._jobs: dict[str, Job] = {}

    def put(self, job_id: str, job: Job | None) -> None:
        """Set the state of a job; None removes it."""
        before = self._jobs.pop(job_id, None)
        if job is None:
            return
        self._jobs[job_id] = job
        if job != before and self._on_change is not None:
            self._on_change(job)

    def __getitem__(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def all(self) -> list[Job]:
        """Return the jobs, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.created, job.id))
