"""Carry out bulk re-sends in the console: those that it started, and those that lost their runner.

Invariant: two runners of one job do not send an event twice, because a job has one writer at a time. So it is
harmless if several consoles take over the same one.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from bridge.console.store.control import ControlQueries
from bridge.core.jobs import JobKind, JobState
from bridge.errors import HookferryError
from bridge.resend.job_store import is_abandoned
from bridge.resend.service import Resending
from bridge.telemetry import events

_log = structlog.get_logger()
EVERY_S = 2.0
_AT_ONCE = 4


class JobRunner:
    """Runs re-sends until it is cancelled; the jobs then stay as they are, for another runner."""

    def __init__(self, control: ControlQueries, resending: Resending) -> None:
        self._control = control
        self._resending = resending
        self._started: list[str] = []
        self._running: dict[str, asyncio.Task[None]] = {}
        self._asked = asyncio.Event()

    def carry_out(self, job_id: str) -> None:
        """Run a job that was started or resumed here."""
        self._started.append(job_id)
        self._asked.set()

    async def run(self) -> None:
        """Run what was started here, and what was abandoned, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for job_id in await self._due():
                    if job_id in self._running:
                        continue
                    if len(self._running) == _AT_ONCE:
                        self._started.append(job_id)
                    else:
                        self._running[job_id] = tasks.create_task(self._carry(job_id), name=f"job {job_id}")
                self._asked.clear()
                try:
                    await asyncio.wait_for(self._asked.wait(), EVERY_S)
                except TimeoutError:
                    continue

    async def _due(self) -> list[str]:
        started, self._started = self._started, []
        try:
            known = await self._control.all_jobs()
        except HookferryError:
            known = []  # the followers report it
        now_s = time.time()
        return [
            *started,
            *(
                job.id
                for job in known
                if job.kind is JobKind.RESEND and job.state is JobState.RUNNING and is_abandoned(job, now_s)
            ),
        ]

    async def _carry(self, job_id: str) -> None:
        try:
            await self._resending.run(job_id)
        except HookferryError as exc:
            _log.error(
                events.CONSOLE_JOB_FAILED,
                job=job_id,
                cause=str(exc),
                remedy="none needed if the broker was not reachable: a console takes it over within a minute",
            )
        finally:
            del self._running[job_id]
