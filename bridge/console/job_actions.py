"""Start re-sends and replays, and change jobs, for the console.

Invariant: who did it and why is written together with what is done, by the parts that do it. So is the
receipt: a process that is killed has either done both or nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from bridge.console.ports import Done, Who
from bridge.console.query import AttemptQuery
from bridge.console.store.control import ControlQueries
from bridge.core.changes import Change
from bridge.core.jobs import Job, JobKind, JobState
from bridge.errors import ActionRefused, ConfigError
from bridge.history.attempt import AttemptId
from bridge.history.selection import AttemptFilter
from bridge.resend.job_store import Author, JobError
from bridge.resend.query import ResendQuery
from bridge.resend.service import Resending, Sent
from bridge.settings import Settings
from bridge.wiring.replay_control import change_replay, start_replay
from bridge.wiring.replay_plan import ReplayPlan, ReplayRequest, plan_replay

Receipt = Callable[[Done], Sequence[Change]]
"""Return the records that keep an answer, to write them in the transaction of what was done."""
_LISTED_WITHIN_S = 10.0
_LOOK_S = 0.05
_WORDS = {JobState.PAUSED: "paused", JobState.RUNNING: "resumed", JobState.CANCELLED: "cancelled"}


class JobActions:
    """Re-sends, replays and jobs. Methods raise ``ActionRefused`` and ``KafkaUnavailable``.

    ``carry_out`` is called with the id of a re-send that this console has started or resumed.
    """

    def __init__(
        self,
        settings: Settings,
        control: ControlQueries,
        resending: Resending,
        carry_out: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._control = control
        self._resending = resending
        self._carry_out = carry_out

    async def resend(
        self, attempt_id: str, who: Who, receipt: Receipt, *, render: bool, new_id: bool
    ) -> Done:
        """Send the event of one attempt again."""
        try:
            place = AttemptId.parse(attempt_id)
        except ValueError as exc:
            raise ActionRefused("the attempt", str(exc), "take the id from the list of attempts") from exc
        kept = (await self._resending.fetch([place])).get(place)
        if kept is None:
            raise ActionRefused(
                f"attempt {attempt_id}",
                "the history in Kafka does not have it any more",
                "replay the time of its event instead, which reads the source topic",
            )

        def done(sent: Sent) -> Done:
            (again_id,) = sent.requests
            waits = f"{kept.attempt.type} {kept.attempt.event_id} waits to be sent to {kept.endpoint} again"
            return Done(f"{waits} (request {again_id})", 1, ids=[again_id])

        sent = await self._resending.send_now(
            [kept],
            Author(who.by, who.why),
            render=render,
            new_id=new_id,
            also=lambda sent: receipt(done(sent)),
        )
        for _, reason in sent.refused:
            raise ActionRefused(
                f"attempt {attempt_id}", str(reason), "choose another attempt, or render it again"
            )
        return done(sent)

    async def resend_all(
        self,
        query: AttemptQuery,
        who: Who,
        receipt: Receipt,
        *,
        render: bool,
        new_id: bool,
        rate_per_s: float | None,
    ) -> Done:
        """Start a bulk re-send, which this console carries out."""
        wanted = AttemptFilter(
            query.endpoint, query.event, query.type, query.entity, query.tenant, _ms(query.since_s),
            _ms(query.until_s), query.status, query.verdict, query.text,
        )  # fmt: skip

        def done(job: Job) -> Done:
            return Done(f"re-send {job.id} has begun", job=job.id)

        job = await self._resending.start(
            ResendQuery(wanted, render, new_id),
            rate_per_s,
            Author(who.by, who.why),
            also=lambda job: receipt(done(job)),
        )
        self._carry_out(job.id)
        await self._until_listed(job.id)
        return done(job)

    async def plan_replay(self, request: ReplayRequest, who: Who) -> Done:
        """Count what a replay would send."""
        plan = await self._plan(request, who)
        selected = plan.selected
        if selected is None:
            return Done(f"it reads {plan.offsets:,} offsets of the log", ids=plan.notes)
        bound = "" if selected.exact else "at least "
        text = f"{bound}{selected.events:,} events, of {plan.offsets:,} offsets of the log"
        return Done(text, selected.events, ids=plan.notes)

    async def replay(self, request: ReplayRequest, who: Who, receipt: Receipt) -> Done:
        """Start a replay, which the bridges carry out."""
        plan = await self._plan(request, who)
        notes = "".join(f"; {note}" for note in plan.notes)
        text = f"replay {plan.job.id} to {request.endpoint} has begun{notes}"
        done = Done(text, plan.job.total, plan.job.id)
        await start_replay(self._settings, plan, also=receipt(done))
        await self._until_listed(plan.job.id)
        return done

    async def _until_listed(self, job_id: str) -> None:
        """Return once this console has read the job, so that what is asked about it next is answered.

        It returns after some seconds in any case: the job has begun, and the answer must say so.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTED_WITHIN_S):
                while all(job.id != job_id for job in await self._control.all_jobs()):  # noqa: ASYNC110 - the store has no event
                    await asyncio.sleep(_LOOK_S)

    async def _plan(self, request: ReplayRequest, who: Who) -> ReplayPlan:
        try:
            plan = await plan_replay(
                self._settings, request, by=who.by, now_ms=int(time.time() * 1000), reason=who.why
            )
        except ConfigError as exc:
            raise ActionRefused("the replay", exc.problems[0], "correct it") from exc
        if plan.is_empty:
            raise ActionRefused("the replay", "it selects no event", "change the times or the filters")
        return plan

    async def set_state(self, job_id: str, state: JobState, who: Who, receipt: Receipt) -> Done:
        """Pause, resume or cancel a job."""
        done = Done(f"job {job_id} is {_WORDS[state]}", job=job_id)
        job = next((job for job in await self._control.all_jobs() if job.id == job_id), None)
        if job is None:
            raise ActionRefused(f"job {job_id[:60]!r}", "it does not exist", "see the list of jobs")
        try:
            if job.kind is JobKind.REPLAY:
                await change_replay(
                    self._settings, job_id, state, by=who.by, reason=who.why, also=receipt(done)
                )
            else:
                await self._resending.store.change(job_id, state, Author(who.by, who.why), also=receipt(done))
        except (JobError, ConfigError) as exc:
            raise ActionRefused(f"job {job_id}", str(exc), "start a new one") from exc
        if job.kind is JobKind.RESEND and state is JobState.RUNNING:
            self._carry_out(job_id)
        return done


def _ms(at_s: float | None) -> int | None:
    return None if at_s is None else round(at_s * 1000)
