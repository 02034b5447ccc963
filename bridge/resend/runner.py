"""Carry out a bulk re-send: write what its query selects to ``<group>.again``, in order, each event once.

Invariant: the records of a stretch and the position after them are one transaction, and a runner reads the
position only after it has ended all earlier ones. So a job that is killed and resumed writes nothing twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from bridge.clock import Clock, SystemClock
from bridge.core.jobs import Job, JobState
from bridge.errors import BrokerError, KafkaUnavailable, RecordTooLarge
from bridge.history.scan import AttemptScan
from bridge.kafka.producer import NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.kafka.transactions import Fenced
from bridge.resend.entries import Refusal, Targets, refusal, rendered_entry, request_id, stored_entry
from bridge.resend.job_progress import JobProgress
from bridge.resend.job_store import JobStore, OpenWriter, Writer, now
from bridge.resend.query import ResendQuery, read_query
from bridge.resend.selection import Selection, Turn
from bridge.resend.source_records import fetch_records

MOST_BYTES = 8 * 1024 * 1024
"""The bodies of the events that are read and written at once."""
InThread = Callable[..., Awaitable[Any]]
"""Runs a function with arguments in another thread (``asyncio.to_thread``)."""
_RETRY_S = 2.0
_RETRIES = 30
"""Without any progress, over a minute: then ``run`` raises, and another runner may take the job over."""


class ResendRunner:
    """Runs one job until it is done, or until someone pauses, cancels or takes it over.

    Usable once. ``on_progress`` is called with the job after each change of it. ``run`` may be cancelled: the
    job stays as it is, and another runner can go on with it.
    """

    def __init__(
        self,
        job_id: str,
        store: JobStore,
        *,
        open_writer: OpenWriter,
        open_reader: Callable[[], SideReader],
        scan: Callable[[SideReader], AttemptScan],
        targets: Targets,
        on_progress: Callable[[Job], object] = lambda job: None,
        clock: Clock | None = None,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        """``open_reader`` opens a reader that returns few records at once.

        ``in_thread`` runs what takes too long for the event loop.
        """
        self._id = job_id
        self._store = store
        self._open_writer = open_writer
        self._open_reader = open_reader
        self._scan = scan
        self._targets = targets
        self._on_progress = on_progress
        self._clock = clock or SystemClock()
        self._in_thread = in_thread
        self._runner = secrets.token_hex(6)

    async def run(self) -> Job:
        """Return the job as it is in the end; a broker that fails is tried again for a minute.

        Raises ``JobError`` if there is no such job, and ``KafkaUnavailable`` if the broker does not answer.
        """
        failures, done = 0, -1
        while True:
            try:
                return await self._session()
            except Fenced:
                job = await self._store.get(self._id)
                if job.position.get("runner") != self._runner or job.state is not JobState.RUNNING:
                    return job
            except RecordTooLarge as exc:
                return await self._pause(str(exc))
            except KafkaUnavailable as exc:
                failures += 1
                if failures == _RETRIES:
                    raise
                await asyncio.sleep(_RETRY_S)
                job = await self._latest(exc)
            failures = 0 if job.done > done else failures
            done = job.done

    async def _latest(self, error: KafkaUnavailable) -> Job:
        try:
            return await self._store.get(self._id)
        except BrokerError:
            raise error from None

    async def _session(self) -> Job:
        """Run with one writer, until the job ends or an error does."""
        async with AsyncExitStack() as stack:
            writer = await stack.enter_async_context(self._open_writer(self._id))
            job = await self._store.get(self._id)
            if job.state is not JobState.RUNNING:
                return job
            try:
                query = read_query(job.query)
            except ValueError as exc:
                error = f"its query is not of this release: {exc}"
                return await self._end(writer, job, JobState.FAILED, error)
            reader = await stack.enter_async_context(self._open_reader())
            sources = await stack.enter_async_context(self._open_reader())
            selection = Selection()
            stack.callback(selection.close)
            run = JobProgress(job, query, self._runner, writer, self._store, self._on_progress, self._clock)
            work = _Work(run, self._scan(reader), sources, selection, self._targets)
            return await work.carry_out(self._in_thread)

    async def _end(self, writer: Writer, job: Job, state: JobState, error: str) -> Job:
        job = job._replace(state=state, error=error, changed=now())
        await self._store.write(writer, job)
        await writer.commit()
        self._on_progress(job)
        return job

    async def _pause(self, error: str) -> Job:
        async with self._open_writer(self._id) as writer:
            job = await self._store.get(self._id)
            if job.state is not JobState.RUNNING:
                return job
            return await self._end(writer, job, JobState.PAUSED, error)


class _Work:
    """Select the attempts of a job, and write them."""

    def __init__(
        self, run: JobProgress, scan: AttemptScan, sources: SideReader, selection: Selection, targets: Targets
    ) -> None:
        self._run = run
        self._scan = scan
        self._sources = sources
        self._selection = selection
        self._targets = targets

    async def carry_out(self, in_thread: InThread) -> Job:
        """Return the job when it is done. Raises ``KafkaUnavailable``."""
        run = self._run
        if "ends" not in run.position:
            run.position["ends"] = {str(number): end for number, end in (await self._scan.ends()).items()}
        await run.commit()
        ends = {int(number): end for number, end in run.position["ends"].items()}
        await select(self._scan, run.query, ends, self._targets, self._selection, run.beat)
        await in_thread(self._selection.arrange, run.position["done"])
        if run.job.total is None:
            run.job = run.job._replace(total=self._selection.left)
        run.position["refused"] = {
            reason.name: number for reason, number in self._selection.refused().items()
        }
        await run.commit()
        at = 0
        while turns := self._selection.next_turns(at, run.most, MOST_BYTES):
            at = turns[-1].turn
            records = await self._records(turns)
            await run.add(turns, records)
            await run.pace(len(records))
        await run.commit(JobState.DONE)
        return run.job

    async def _records(self, turns: list[Turn]) -> list[NewRecord]:
        """Return the records of turns, without those whose attempt or record is gone."""
        query, job = self._run.query, self._run.job
        found = await self._scan.fetch([turn.attempt for turn in turns])
        attempts = [found[turn.attempt] for turn in turns if turn.attempt in found]
        self._run.lose(Refusal.ATTEMPT_GONE, len(turns) - len(attempts))
        if not query.render:
            return [
                stored_entry(kept, self._targets, request_id(job.id, kept), new_id=query.new_id)
                for kept in attempts
            ]
        records = await fetch_records(self._sources, [kept.attempt.source for kept in attempts])
        there = [(kept, record) for kept in attempts if (record := records.get(kept.attempt.source))]
        self._run.lose(Refusal.RECORD_GONE, len(attempts) - len(there))
        return [
            rendered_entry(kept, record, self._targets, request_id(job.id, kept), new_id=query.new_id)
            for kept, record in there
        ]


async def select(
    scan: AttemptScan,
    query: ResendQuery,
    ends: Mapping[int, int],
    targets: Targets,
    selection: Selection,
    beat: Callable[[], Awaitable[None]],
) -> None:
    """Pick what a query selects, up to these offsets of the history. ``beat`` is awaited now and then."""
    async for attempts in scan.matching(query.wanted, ends):
        if attempts:
            selection.pick((kept, refusal(kept, targets, render=query.render)) for kept in attempts)
        await beat()
