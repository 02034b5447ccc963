"""The replays of the group, as the control topic has them.

Invariant: a job that ended stays ended. A change by an author who had not read the end is answered with it,
written once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from bridge.core import jobs
from bridge.core.jobs import DamagedJobError, Job, JobKind
from bridge.core.replay import check_replay
from bridge.model import Record
from bridge.telemetry import events

_log = structlog.get_logger()


class ReplayJobs:
    """Follows the records of jobs. ``changed`` is called after each one of a replay."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._jobs: dict[str, Job] = {}
        self._unwritten: dict[str, Job] = {}
        self._ended: list[Job] = []

    def apply(self, record: Record) -> None:
        """Take over a record of the control topic, whose key is that of a job."""
        job_id = jobs.job_id_of(record.key)
        if job_id is None:
            return
        if record.value is None:
            self._forget(job_id)
            return
        try:
            job = jobs.read_job(job_id, record.value)
            if job.kind is JobKind.REPLAY:
                check_replay(job)
        except DamagedJobError as exc:
            _log.error(
                events.CONTROL_IGNORED,
                place=record.place,
                job=job_id,
                cause=str(exc),
                remedy="its state is unchanged; cancel it with `hookferry replay cancel`, and start another",
            )
            return
        if job.kind is JobKind.REPLAY:
            self._put(job)

    def _put(self, job: Job) -> None:
        before = self._jobs.get(job.id)
        if before is not None and before.state.final:
            if not job.state.final:
                self._unwritten[job.id] = before
        else:
            self._jobs[job.id] = job
            if job.state.final:
                self._ended.append(job)
        self._changed()

    def _forget(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._ended.append(job)
            self._changed()

    def all(self) -> list[Job]:
        """Return the replays, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.created, job.id))

    def get(self, job_id: str) -> Job | None:
        """Return a replay."""
        return self._jobs.get(job_id)

    def note(self, job: Job) -> None:
        """Take over a state that this process has written."""
        self._put(job)

    def put_back(self, ended: Iterable[Job]) -> None:
        """Return these at the next ``take_ended`` again."""
        self._ended += ended

    def take_ended(self) -> list[Job]:
        """Return the replays that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def take_unwritten(self) -> list[Job]:
        """Return the ends that have to be written once more."""
        unwritten, self._unwritten = list(self._unwritten.values()), {}
        return unwritten
