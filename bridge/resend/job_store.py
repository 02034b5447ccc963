"""Jobs in ``<group>.control``: read them, create one, and change the state of one while a runner works.

Invariant: a job's record is written only by the newest writer with the job's transactional id, after it has
read the job to the end of the topic. So no writer overwrites a position with an older one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from bridge.core import changes, jobs
from bridge.core.changes import Change
from bridge.core.instant import precise_instant
from bridge.core.jobs import DamagedJobError, Job, JobKind, Jobs, JobState
from bridge.errors import HookferryError, RecordsDeleted
from bridge.kafka.control_reader import ControlReader
from bridge.kafka.producer import NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.model import Record
from bridge.resend.query import ResendQuery
from bridge.telemetry.scrub import scrub

ABANDONED_S = 30.0
"""A running job without a record for so long has no runner: one writes every 10 s at least."""


class JobError(HookferryError):
    """A job that does not exist, or whose state does not allow what was requested."""


class Writer(Protocol):
    """Writes transactions (``bridge.kafka.transactions.TransactionalWriter``)."""

    async def add(self, records: list[NewRecord]) -> None:
        """Write records; they are not visible yet. Raises ``BrokerError``."""
        ...

    async def commit(self) -> None:
        """Make visible what was added. Raises ``BrokerError``."""
        ...


OpenWriter = Callable[[str], AbstractAsyncContextManager[Writer]]
"""Opens the only writer for a job's id; ends all older ones. Raises ``BrokerError``."""


class Author(NamedTuple):
    """Who changes a job, and why."""

    by: str
    reason: str = ""


def now() -> str:
    """Return the time as an RFC 3339 instant."""
    return precise_instant(time.time_ns() // 1_000_000)


def is_abandoned(job: Job, at_s: float) -> bool:
    """Return True if a re-send runs but has no runner any more, at a Unix second: it may be taken over."""
    if job.kind is not JobKind.RESEND or job.state is not JobState.RUNNING:
        return False
    return at_s - datetime.fromisoformat(job.changed).timestamp() > ABANDONED_S


class JobStore:
    """The jobs of a group. Methods raise ``KafkaUnavailable``."""

    def __init__(self, topic: str, open_reader: Callable[[], SideReader], open_writer: OpenWriter) -> None:
        """``topic`` is ``<group>.control``."""
        self._topic = topic
        self._open_reader = open_reader
        self._open_writer = open_writer

    async def all(self) -> list[Job]:
        """Return the jobs of all kinds as of now, oldest first."""
        found = Jobs()

        def apply(record: Record) -> None:
            job_id = jobs.job_id_of(record.key)
            if job_id is None:
                return
            try:
                found.put(job_id, None if record.value is None else jobs.read_job(job_id, record.value))
            except DamagedJobError:
                found.put(job_id, None)

        async with ControlReader(self._open_reader(), self._topic, apply, None) as reader:
            while True:
                try:
                    await reader.read_to_end()
                    return found.all()
                except RecordsDeleted:
                    await reader.rewind()

    async def get(self, job_id: str) -> Job:
        """Return a job as of now. Raises ``JobError``."""
        for job in await self.all():
            if job.id == job_id:
                return job
        raise JobError(f"there is no job {job_id!r}; `hookferry jobs list` prints them")

    async def create(
        self,
        query: ResendQuery,
        rate_per_s: float | None,
        author: Author,
        also: Callable[[Job], Sequence[Change]] = lambda job: (),
    ) -> Job:
        """Write a new re-send, running, the audit of it, and what ``also`` returns: all or nothing."""
        at = now()
        job = Job(
            id=secrets.token_hex(4),
            kind=JobKind.RESEND,
            state=JobState.RUNNING,
            endpoint=query.wanted.endpoint,
            query=query.to_json(),
            rate_per_s=rate_per_s,
            created=at,
            changed=at,
            by=author.by,
            reason=scrub(author.reason),
        )
        async with self._open_writer(job.id) as writer:
            await self.write(writer, job, self._change("resend start", job, author), *also(job))
            await writer.commit()
        return job

    async def change(self, job_id: str, state: JobState, author: Author, also: Sequence[Change] = ()) -> Job:
        """Pause, resume or cancel a re-send; return the job as it is now.

        The audit of it, and ``also``, are written in the same transaction.
        Its runner stops within a second or two. After ``RUNNING``, start a runner. Raises ``JobError``.
        """
        async with self._open_writer(job_id) as writer:
            job = await self.get(job_id)
            check_change(job, state)
            job = job._replace(
                state=state, changed=now(), by=author.by, reason=scrub(author.reason), error=""
            )
            await self.write(writer, job, self._change(f"resend {_VERBS[state]}", job, author), *also)
            await writer.commit()
        return job

    async def write(self, writer: Writer, job: Job, *changed: Change) -> None:
        """Add the record of a job to a transaction, and those of changes."""
        records = [NewRecord(self._topic, job.to_bytes(), jobs.key_of(job.id), 0)]
        records += [NewRecord(self._topic, one.to_bytes(), changes.new_key(one), 0) for one in changed]
        await writer.add(records)

    def _change(self, action: str, job: Job, author: Author) -> Change:
        details = " ".join(f"{name}={value}" for name, value in job.query.items())
        return Change(now(), author.by, action, f"job {job.id}", scrub(author.reason), scrub(details))


_VERBS = {JobState.PAUSED: "pause", JobState.RUNNING: "resume", JobState.CANCELLED: "cancel"}


def check_change(job: Job, state: JobState) -> None:
    """Raise ``JobError`` if a person may not give a job this state."""
    if job.kind is not JobKind.RESEND:
        raise JobError(f"job {job.id} is a replay; use `hookferry replay {_VERBS[state]} {job.id}`")
    if job.state.final:
        raise JobError(f"job {job.id} is {job.state}: it does nothing any more")
