"""How far a bulk re-send is, while one writer carries it out: what is committed, when, and at which rate.

Invariant: a commit contains the records that were added and the position after them, or neither.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from bridge.clock import Clock
from bridge.core.jobs import Job, JobState
from bridge.kafka.producer import NewRecord
from bridge.resend.entries import Refusal
from bridge.resend.job_store import JobStore, Writer, now
from bridge.resend.query import ResendQuery
from bridge.resend.selection import Turn

MOST = 200
"""Events that are written at once."""
COMMIT_S = 1.0
"""Time between two commits, at least. A transaction is open for about as long."""
BEAT_S = 10.0
"""Time between two commits, at most: by them others see that the job has a runner."""
LEAST_RATE = 0.1


class JobProgress:
    """The job while one writer carries it out. Methods raise ``BrokerError``."""

    def __init__(
        self,
        job: Job,
        query: ResendQuery,
        runner: str,
        writer: Writer,
        store: JobStore,
        on_progress: Callable[[Job], object],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self.query = query
        self.job = job
        self.position: dict[str, Any] = {"done": {}, "lost": {}, **job.position, "runner": runner}
        self._writer = writer
        self._store = store
        self._on_progress = on_progress
        self._committed_at = -math.inf
        self.rate = None if job.rate_per_s is None else max(LEAST_RATE, job.rate_per_s)
        self._free_at = self._clock.monotonic()

    async def add(self, turns: list[Turn], records: list[NewRecord]) -> None:
        """Write the records of turns, and move the position past them."""
        await self._writer.add(records)
        for turn in turns:
            numbers = self.position["done"].setdefault(turn.endpoint, {}).setdefault(turn.topic, {})
            numbers[str(turn.number)] = turn.spot
        self.job = self.job._replace(done=self.job.done + len(records))

    def lose(self, reason: Refusal, number: int) -> None:
        """Count events that turned out to be gone."""
        if number:
            self.position["lost"][reason.name] = self.position["lost"].get(reason.name, 0) + number

    async def beat(self, every_s: float = BEAT_S) -> None:
        """Commit if the last commit is this long ago."""
        if self._clock.monotonic() - self._committed_at >= every_s:
            await self.commit()

    async def commit(self, state: JobState = JobState.RUNNING) -> None:
        """Commit what was added, with the position after it."""
        self.job = self.job._replace(state=state, changed=now(), position=self.position)
        await self._store.write(self._writer, self.job)
        await self._writer.commit()
        self._committed_at = self._clock.monotonic()
        self._on_progress(self.job)

    async def pace(self, number: int) -> None:
        """Wait as the rate of the job requires after so many records. No transaction is open for long."""
        wait_s = 0.0
        if self.rate is not None:
            self._free_at = max(self._free_at, self._clock.monotonic() - COMMIT_S) + number / self.rate
            wait_s = max(0.0, self._free_at - self._clock.monotonic())
        await self.beat(COMMIT_S - wait_s)
        await asyncio.sleep(wait_s)

    @property
    def most(self) -> int:
        """Return how many events are written at once."""
        return MOST if self.rate is None else max(1, min(MOST, int(self.rate * COMMIT_S)))
