"""Which replays run in this process: those of the control topic, for the partitions that are assigned here.

Invariant: a replay is carried out by the members of the group, each for its partitions, so that no record is
replayed by two of them. It is done once the commits of its group reach all of its ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import NamedTuple, Protocol

import structlog

from bridge.core.dedupe import Stretch
from bridge.core.instant import precise_instant
from bridge.core.jobs import Job, JobState
from bridge.core.replay import UnusableReplayError, group_of, progress_of, recreated_topic, runs, stretches_of
from bridge.errors import CommitError, KafkaUnavailable
from bridge.model import Committed, Partition
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.replay.jobs import ReplayJobs
from bridge.pipeline.replay.run import ReplayRun
from bridge.pipeline.topic_watch import Look
from bridge.telemetry import events

_log = structlog.get_logger()
_BEAT_S = 0.25
"""How soon a partition that comes or goes is noticed, while there are replays."""
_FAILED_S = 10.0
_MOST_AT_ONCE = 4
"""Replays that run in a process at the same time; the others wait, the oldest first."""


class ReplayOffsets(Protocol):
    """The offsets of the replays at the broker (``bridge.kafka.offsets.OffsetStore``)."""

    async def fetch(self, group: str, partitions: Collection[Partition]) -> Mapping[Partition, Committed]:
        """Return what is committed. Raises ``CommitError``."""
        ...

    async def groups(self) -> Mapping[str, str]:
        """Return all groups. Raises ``KafkaUnavailable``."""
        ...

    async def delete(self, group: str) -> None:
        """Delete a group with its offsets. Raises ``CommitError``."""
        ...


class Bridge(NamedTuple):
    """What the replays use of the process that they run in.

    ``assigned`` returns the partitions whose cursors are loaded, and nothing while the assignment ends.
    ``open_run`` builds a run. ``write`` writes a job to the control topic, and raises ``KafkaUnavailable``.
    ``forget_files`` deletes what a replay left on this disk. ``who`` is recorded as the author of changes.
    """

    group: str
    endpoints: Collection[str]
    assigned: Callable[[], Collection[Partition]]
    look: Look
    offsets: ReplayOffsets
    open_run: Callable[
        [Job, Mapping[Partition, Stretch], Callable[[str], None]], AbstractAsyncContextManager[ReplayRun]
    ]
    write: Callable[[Job], Awaitable[None]]
    forget_files: Callable[[Job], None]
    who: str


class ReplayCarrier:
    """Starts and stops the runs of one process. ``drain`` and ``end`` are called with the assignment."""

    def __init__(self, jobs: ReplayJobs, changed: asyncio.Event, bridge: Bridge) -> None:
        """``changed`` is set whenever ``jobs`` has another record."""
        self._jobs = jobs
        self._changed = changed
        self._bridge = bridge
        self._outage = OutageBackoff()
        self._carried: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, ReplayRun] = {}
        self._settled: dict[str, frozenset[Partition]] = {}
        """By job: the partitions of this assignment that are settled and committed."""
        self._writes: dict[str, Job] = {}
        self._assignments = 0

    async def run(self) -> None:
        """Carry out the replays until cancelled."""
        before: frozenset[Partition] | None = None
        async with asyncio.TaskGroup() as tasks:
            while True:
                assigned = frozenset(self._bridge.assigned())
                if self._changed.is_set() or assigned != before:
                    self._changed.clear()
                    before = assigned
                    self._reconcile(tasks, assigned)
                try:
                    await self._write_changes()
                    await self._forget_ended()
                except (KafkaUnavailable, CommitError) as exc:
                    await self._outage.wait(exc)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT_S if self._jobs.all() else None):
                        await self._changed.wait()

    def restart(self) -> None:
        """Begin all runs again where they are, with the configuration in force now."""
        for run in self._runs.values():
            run.stop()

    async def drain(self) -> None:
        """Send nothing more, and return when nothing of a replay is in flight."""
        self._assignments += 1
        self._settled.clear()
        await asyncio.gather(*(run.drain() for run in self._runs.values()))

    async def end(self) -> None:
        """Commit all runs for the last time. They start again with the next assignment."""
        await asyncio.gather(*(run.end() for run in list(self._runs.values())))

    def _reconcile(self, tasks: asyncio.TaskGroup, assigned: Collection[Partition]) -> None:
        """Stop what should not run any more, and start what should."""
        wanted = self._wanted(assigned)
        for job_id, run in self._runs.items():
            job, mine = wanted.get(job_id, (None, {}))
            if job is None or (job.rate_per_s, mine) != (run.job.rate_per_s, run.stretches):
                run.stop()
        for job_id, (job, mine) in wanted.items():
            if job_id not in self._carried:
                carrying = self._carry(job, mine)
                self._carried[job_id] = tasks.create_task(carrying, name=f"replay {job_id}")

    def _wanted(self, assigned: Collection[Partition]) -> dict[str, tuple[Job, dict[Partition, Stretch]]]:
        wanted: dict[str, tuple[Job, dict[Partition, Stretch]]] = {}
        for job in self._jobs.all():
            if not runs(job) or job.id in self._writes or job.endpoint not in self._bridge.endpoints:
                continue
            mine = {each: stretch for each, stretch in stretches_of(job).items() if each in assigned}
            if mine and self._settled.get(job.id) != mine.keys() and len(wanted) < _MOST_AT_ONCE:
                wanted[job.id] = job, mine
        return wanted

    async def _carry(self, job: Job, mine: Mapping[Partition, Stretch]) -> None:
        """Carry out a job for these partitions. No failure ends the live deliveries."""
        try:
            await self._run(job, mine)
        except UnusableReplayError as exc:
            self._write(job, JobState.FAILED, error=str(exc))
        except (KafkaUnavailable, CommitError) as exc:
            await self._outage.wait(exc)
        except Exception:
            _log.exception(
                events.REPLAY_FAILED_INSIDE,
                job=job.id,
                endpoint=job.endpoint,
                remedy="none needed: it is tried again; report this with the lines above",
            )
            await asyncio.sleep(_FAILED_S)
        finally:
            del self._carried[job.id]
            self._changed.set()

    async def _run(self, job: Job, mine: Mapping[Partition, Stretch]) -> None:
        assignment = self._assignments
        ids = await self._bridge.look(frozenset(partition.topic for partition in stretches_of(job)))
        if ids is not None and (topic := recreated_topic(job, ids)) is not None:
            self._write(job, JobState.FAILED, error=f"topic {topic} was deleted and created again")
            return
        async with self._bridge.open_run(job, mine, lambda reason: self._pause(job, reason)) as run:
            if assignment != self._assignments or not mine.keys() <= set(self._bridge.assigned()):
                return
            self._runs[job.id] = run
            _log.info(
                events.REPLAY_STARTED, job=job.id, endpoint=job.endpoint, partitions=sorted(map(str, mine))
            )
            try:
                is_settled = await run.run()
            finally:
                del self._runs[job.id]
        if is_settled:
            await self._note_settled(job, mine, assignment)

    async def _note_settled(self, job: Job, mine: Mapping[Partition, Stretch], assignment: int) -> None:
        """Note that our part is done; if all parts are, the job is."""
        stretches = stretches_of(job)
        committed = await self._bridge.offsets.fetch(group_of(self._bridge.group, job), list(stretches))
        progress = progress_of(stretches, committed)
        if mine.keys() & set(progress.open_partitions):
            return  # the broker did not accept the last commit: it is tried again
        if progress.done:
            self._write(job, JobState.DONE, done=job.total or 0)
        elif assignment == self._assignments:
            self._settled[job.id] = frozenset(mine)

    def _pause(self, job: Job, reason: str) -> None:
        """Pause a job in all processes: too many of its events would become dead letters."""
        if job.id not in self._writes:
            self._write(job, JobState.PAUSED, reason=reason)

    def _write(self, job: Job, state: JobState, *, reason: str = "", error: str = "", done: int = 0) -> None:
        """Have a new state of a job written. It does not run here from now on."""
        now = precise_instant(int(time.time() * 1000))
        current, by = self._jobs.get(job.id) or job, self._bridge.who
        self._writes[job.id] = current._replace(
            state=state, changed=now, by=by, reason=reason, error=error, done=done
        )
        self._changed.set()

    async def _write_changes(self) -> None:
        for job in self._jobs.take_unwritten():
            self._writes.setdefault(job.id, job)
        for job_id, job in list(self._writes.items()):
            current = self._jobs.get(job_id)
            if current is None or (current.state.final and current.state is not job.state):
                del self._writes[job_id]
                continue
            await self._bridge.write(job)
            self._jobs.note(job)
            del self._writes[job_id]
            _log_state(job)

    async def _forget_ended(self) -> None:
        """Delete the offsets of jobs that ended, once their runs here have. Others do the same."""
        ended = self._jobs.take_ended()
        self._jobs.put_back(job for job in ended if job.id in self._carried)
        ready = [job for job in ended if job.id not in self._carried]
        if not ready:
            return
        for job in ready:
            self._bridge.forget_files(job)
        try:
            existing = await self._bridge.offsets.groups()
            for job in ready:
                if (group := group_of(self._bridge.group, job)) in existing:
                    await self._bridge.offsets.delete(group)
        except (KafkaUnavailable, CommitError) as exc:
            _log.info(
                events.REPLAY_OFFSETS_KEPT,
                jobs=[job.id for job in ready],
                cause=str(exc),
                remedy="none needed: the broker deletes offsets that nothing commits; or allow this login to"
                " delete groups",
            )


def _log_state(job: Job) -> None:
    """Log a state that this process has written."""
    facts = {"job": job.id, "endpoint": job.endpoint}
    if job.state is JobState.FAILED:
        remedy = "start another replay for what is still to be sent"
        _log.error(events.REPLAY_FAILED, **facts, cause=job.error, remedy=remedy)
    elif job.state is JobState.PAUSED:
        remedy = f"correct the cause, then run: hookferry replay resume {job.id}"
        _log.error(events.REPLAY_PAUSED, **facts, cause=job.reason, remedy=remedy)
    else:
        _log.info(events.REPLAY_ENDED, **facts, state=job.state.value)
