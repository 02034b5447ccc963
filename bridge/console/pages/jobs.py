"""The pages of jobs: bulk re-sends and replays with their progress, and the form that starts a replay.

Invariant: the form of a replay has its state in the URL, and starting is a second step.
"""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

from bridge.console.pages import filters
from bridge.console.pages.attempts import rate
from bridge.console.pages.shell import Problem, Shell, Visit
from bridge.console.pages.words import NoInstant, instant_s
from bridge.console.ports import Actions, Reads

REPLAY_FIELDS = ("endpoint", "from", "to", "type", "entity", "when", "rate")


class JobPages:
    """Jobs and replays."""

    def __init__(self, shell: Shell, reads: Reads, actions: Actions) -> None:
        self._shell = shell
        self._reads = reads
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
        """Show the form of a replay, filled from the URL."""
        given = filters.read(REPLAY_FIELDS, visit.request.query_params)
        names = [state.name for state in await self._reads.endpoints()]
        return self._shell.page(
            visit, "replay.html", given=given, endpoint_names=names, now=self._shell.now_s()
        )

    async def start_replay(self, visit: Visit) -> Response:
        """Start a replay as a job."""
        given = filters.read(REPLAY_FIELDS, {name: visit.value(name) for name in REPLAY_FIELDS})
        now_s = self._shell.now_s()
        try:
            since_s, until_s = (instant_s(given.get(name, ""), now_s) for name in ("from", "to"))
        except NoInstant as exc:
            raise Problem(400, f"Nothing was started: {exc}.") from exc
        if "endpoint" not in given or since_s is None:
            raise Problem(400, "Nothing was started: choose an endpoint, and from when on to replay.")
        done = await self._actions.replay(
            given["endpoint"], since_s, until_s, visit.who(), type=given.get("type"),
            entity=given.get("entity"), when=given.get("when"), rate_per_s=rate(given.get("rate", "")),
        )  # fmt: skip
        return self._shell.then(
            visit, f"/jobs/{quote(done.job, safe='')}" if done.job else "/jobs", done.message
        )
