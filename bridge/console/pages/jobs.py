"""The pages of jobs: bulk re-sends and replays with their progress, and the form that starts a replay.

Invariant: the form of a replay has its state in the URL, and starting is a second step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from fastapi import Response

from bridge.console.pages import filters
from bridge.console.pages.attempts import rate
from bridge.console.pages.names import EndpointNames
from bridge.console.pages.page_request import Problem
from bridge.console.pages.shell import Shell, Visit
from bridge.console.pages.words import NoInstant, instant_s, iso
from bridge.console.ports import Actions, Done, Reads, Who
from bridge.errors import ActionRefused
from bridge.wiring.replay_plan import ReplayRequest

_Replay = Callable[[ReplayRequest, Who], Awaitable[Done]]
"""``Actions.replay``, or ``Actions.plan_replay``, which only counts."""
REPLAY_FIELDS = ("endpoint", "from", "to", "type", "entity", "when", "rate")


class JobPages:
    """Jobs and replays."""

    def __init__(self, shell: Shell, reads: Reads, actions: Actions, names: EndpointNames) -> None:
        self._shell = shell
        self._reads = reads
        self._names = names
        self._actions = actions

    async def listing(self, visit: Visit) -> Response:
        """Show all jobs, newest first."""
        return self._shell.page(visit, "jobs.html", jobs=await self._reads.jobs(), now=self._shell.now_s())

    async def one(self, visit: Visit) -> Response:
        """Show one job with its progress."""
        job_id = visit.request.path_params["job"]
        job = await self._reads.job(job_id)
        if job is None:
            return self._shell.page(visit, "job_missing.html", 404, job_id=job_id)
        return self._shell.page(visit, "job.html", job=job, now=self._shell.now_s())

    async def act(self, visit: Visit) -> Response:
        """Pause, resume or cancel a job."""
        job_id = visit.request.path_params["job"]
        actions = {
            "pause": self._actions.pause_job,
            "resume": self._actions.resume_job,
            "cancel": self._actions.cancel_job,
        }
        action = actions.get(visit.value("action"))
        if action is None:
            raise Problem(400, "This action does not exist.")
        done = await action(job_id, visit.who())
        return self._shell.then(visit, f"/jobs/{quote(job_id, safe='')}", done.message)

    async def replay_form(self, visit: Visit) -> Response:
        """Show the form of a replay, filled from the URL, and how many events it would send: the dry run."""
        given = filters.read(REPLAY_FIELDS, visit.request.query_params)
        names = await self._names.all()
        plan, mistake = None, ""
        if "from" in visit.request.query_params:  # a link from an endpoint's page only chooses the endpoint
            try:
                given = self._exact(given)
                plan = await self._replayed(self._actions.plan_replay, visit, given)
            except (Problem, ActionRefused) as exc:
                mistake = str(exc)
        return self._shell.page(
            visit, "replay.html", given=given, endpoint_names=names, plan=plan, mistake=mistake
        )

    async def start_replay(self, visit: Visit) -> Response:
        """Start a replay as a job."""
        given = filters.read(REPLAY_FIELDS, {name: visit.value(name) for name in REPLAY_FIELDS})
        done = await self._replayed(self._actions.replay, visit, given)
        path = f"/jobs/{quote(done.job, safe='')}" if done.job else "/jobs"
        return self._shell.then(visit, path, done.message)

    def _exact(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the fields with exact times, so that what is started is what was counted."""
        times = {name: self._time(given, name) for name in ("from", "to")}
        return {**given, **{name: iso(at_s) for name, at_s in times.items() if at_s is not None}}

    def _time(self, given: Mapping[str, str], name: str) -> float | None:
        try:
            return instant_s(given.get(name, ""), self._shell.now_s())
        except NoInstant as exc:
            raise Problem(400, f"{exc}.") from exc

    async def _replayed(self, act: _Replay, visit: Visit, given: Mapping[str, str]) -> Done:
        since_s, until_s = self._time(given, "from"), self._time(given, "to")
        if "endpoint" not in given or since_s is None:
            raise Problem(400, "Choose an endpoint, and from when on to replay.")
        request = ReplayRequest(
            given["endpoint"],
            round(since_s * 1000),
            None if until_s is None else round(until_s * 1000),
            (given["type"],) if "type" in given else (),
            given.get("entity"),
            given.get("when"),
            rate_per_s=rate(given.get("rate", "")),
        )
        return await act(request, visit.who())
