"""Read what the control topic has from the store: switches, jobs, the audit, held lanes, reports of pods."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from bridge.console.query import Page
from bridge.console.state_views import ChangeRow, JobRow, PodRow, SwitchRow
from bridge.console.store.database import Database
from bridge.console.store.sources import CHANGE
from bridge.core import changes, jobs
from bridge.core.changes import Change, DamagedChangeError
from bridge.core.instant import instant_ms
from bridge.core.jobs import DamagedJobError, Job
from bridge.core.replay import ReplayProgress
from bridge.core.switches import (
    DamagedSwitchError,
    EventTypes,
    Subject,
    Switch,
    Switches,
    read_switch,
    subject_of,
)
from bridge.dead_letters.hold import read_key

ANSWER = "answer"
"""The action of a record that only keeps the answer for an ``Idempotency-Key``; the audit omits it."""
_JOB = jobs.PREFIX.decode().rstrip("/")


class ControlQueries:
    """Reads the control topic as it is in the store. Methods raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def _of_kind(self, kind: str) -> list[tuple[str, bytes]]:
        rows = await self._db.fetch("SELECT name, value FROM control WHERE kind = ? ORDER BY name", (kind,))
        return [(row[0], bytes(row[1])) for row in rows]

    async def subjects(self) -> list[tuple[Subject, Switch]]:
        """Return every switch that was ever set."""
        found = []
        for kind in ("endpoint", "events"):
            for name, value in await self._of_kind(kind):
                subject = subject_of(name.encode())
                try:
                    if subject is not None:
                        found.append((subject, read_switch(value)))
                except DamagedSwitchError:
                    continue
        return found

    async def switches(self) -> list[SwitchRow]:
        """Return the switches as they are shown."""
        return [_switch_row(subject, switch) for subject, switch in await self.subjects()]

    async def states(self) -> tuple[Switches[str], Switches[EventTypes]]:
        """Return the switches of endpoints, and of event types."""
        endpoints, types = Switches[str](), Switches[EventTypes]()
        for subject, switch in await self.subjects():
            if isinstance(subject, EventTypes):
                types.put(subject, switch)
            else:
                endpoints.put(subject, switch)
        return endpoints, types

    async def all_jobs(self) -> list[Job]:
        """Return all jobs, newest first."""
        found = []
        for name, value in await self._of_kind(_JOB):
            job_id = jobs.job_id_of(name.encode())
            try:
                if job_id is not None:
                    found.append(jobs.read_job(job_id, value))
            except DamagedJobError:
                continue
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)

    async def held(self) -> Counter[str]:
        """Return how many lanes are held, by endpoint."""
        keys = [read_key(name.encode()) for name, _ in await self._of_kind("hold")]
        return Counter(key.endpoint for key in keys if key is not None)

    async def pods(self) -> list[PodRow]:
        """Return what the pods report."""
        return [row for name, value in await self._of_kind("pod") if (row := _pod_row(name, value))]

    async def changes(self, cursor: str | None, limit: int) -> Page[ChangeRow]:
        """Return the audit, newest first: its keys begin with the instant."""
        before = f"{CHANGE}/~" if cursor is None else f"{CHANGE}/{cursor}"
        rows = await self._db.fetch(
            "SELECT name, value FROM control WHERE kind = ? AND name < ? ORDER BY name DESC LIMIT ?",
            (CHANGE, before, limit),
        )
        found = [row for name, value in rows if (row := _change_row(name.partition("/")[2], bytes(value)))]
        last = rows[-1][0].partition("/")[2] if len(rows) == limit else None
        return Page(found, last)

    async def change_with(self, key: str) -> list[Change]:
        """Return the changes that were made with an ``Idempotency-Key``."""
        rows = await self._db.fetch("SELECT value FROM control WHERE token = ?", (key,))
        found = []
        for row in rows:
            try:
                found.append(changes.read_change(bytes(row[0])))
            except DamagedChangeError:
                continue
        return found


def _switch_row(subject: Subject, switch: Switch) -> SwitchRow:
    facts = (switch.on, switch.since, switch.by, switch.reason)
    if isinstance(subject, EventTypes):
        return SwitchRow("events", subject.pattern, subject.endpoint, *facts)
    return SwitchRow("endpoint", subject, subject, *facts)


def _change_row(name: str, value: bytes) -> ChangeRow | None:
    try:
        change = changes.read_change(value)
    except DamagedChangeError:
        return None
    if change.action == ANSWER:
        return None
    return ChangeRow(name, change.at, change.by, change.action, change.subject, change.reason, change.details)


def _pod_row(name: str, value: bytes) -> PodRow | None:
    try:
        document: dict[str, Any] = orjson.loads(value)
        return PodRow(
            name=name.partition("/")[2],
            reported_s=_seconds(str(document.get("at", ""))),
            config_hash=str(document.get("config_hash", "")),
            version=str(document.get("version", "")),
            error=str(document.get("config_error", "")),
            ready=bool(document.get("ready")),
            details=document,
        )
    except (ValueError, TypeError, AttributeError):
        return None


def _seconds(instant: str) -> float:
    """Return an RFC 3339 instant in Unix seconds; 0 if it is none."""
    return (instant_ms(instant) or 0) / 1000


def job_row(job: Job, now_s: float, replayed: ReplayProgress | None = None) -> JobRow:
    """Return a job as it is shown, with its progress and an estimate.

    Without ``replayed``, the progress is that of its record. A replay's is in offsets of the log.
    """
    total, done = (job.total, job.done) if replayed is None else (replayed.total, replayed.settled)
    progress = min(1.0, done / total) if total else None
    left_s: float | None = None
    if total is not None and not job.state.final:
        elapsed_s = max(1.0, now_s - _seconds(job.created))
        rate = job.rate_per_s or (done / elapsed_s if done else None)
        left_s = (total - done) / rate if rate else None
    return JobRow(
        id=job.id,
        kind=job.kind.value,
        state=job.state.value,
        endpoint=job.endpoint,
        query=job.query,
        rate_per_s=job.rate_per_s,
        created=job.created,
        changed=job.changed,
        by=job.by,
        reason=job.reason,
        total=total,
        done=done,
        error=job.error,
        progress=progress,
        left_s=left_s,
    )
