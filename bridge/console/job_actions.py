"""Start re-sends and replays, and change jobs, for the console."""

from __future__ import annotations

from bridge.console.ports import Who
from bridge.console.store.control import ControlQueries
from bridge.console.views import AttemptQuery, Done
from bridge.core import jobs
from bridge.core.jobs import JobState
from bridge.errors import ActionRefused
from bridge.settings import Settings
from bridge.telemetry.scrub import scrub
from bridge.wiring.audit import now, write_control

_WORDS = {JobState.PAUSED: "paused", JobState.RUNNING: "resumed", JobState.CANCELLED: "cancelled"}


class JobActions:
    """Re-sends, replays and jobs. Methods raise ``ActionRefused`` and ``KafkaUnavailable``."""

    def __init__(self, settings: Settings, control: ControlQueries) -> None:
        self._settings = settings
        self._control = control

    async def resend(self, attempt_id: str, who: Who, *, render: bool, new_id: bool) -> Done:
        """Send the event of one attempt again."""
        raise _missing("re-sends")

    async def resend_all(
        self, query: AttemptQuery, who: Who, *, render: bool, new_id: bool, rate_per_s: float | None
    ) -> Done:
        """Start a bulk re-send."""
        raise _missing("bulk re-sends")

    async def replay(
        self,
        endpoint: str,
        since_s: float,
        until_s: float | None,
        who: Who,
        *,
        type: str | None,
        entity: str | None,
        when: str | None,
        rate_per_s: float | None,
    ) -> Done:
        """Start a replay."""
        raise _missing("replays")

    async def set_state(self, job_id: str, state: JobState, who: Who) -> Done:
        """Pause, resume or cancel a job."""
        job = next((job for job in await self._control.all_jobs() if job.id == job_id), None)
        if job is None:
            raise ActionRefused(f"job {job_id[:60]!r}", "it does not exist", "see the list of jobs")
        if job.state.final:
            raise ActionRefused(f"job {job_id}", f"it is {job.state} already", "start a new one")
        changed = job._replace(state=state, changed=now(), by=who.by, reason=scrub(who.why))
        await write_control(self._settings, who.by, {jobs.key_of(job_id): changed.to_bytes()})
        return Done(f"job {job_id} is {_WORDS[state]}", job=job_id)


def _missing(what: str) -> ActionRefused:
    return ActionRefused(what, "this release of the console cannot start them", "use the command")
