"""Start, list and change replays: what a command or the console writes to the control topic.

Invariant: every change by a person is written together with its record of who, when and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.core.changes import Change
from bridge.core.jobs import PREFIX, Job, JobState
from bridge.core.replay import ReplayProgress, group_of, progress_of, stretches_of
from bridge.core.switches import EventTypes, Switches
from bridge.errors import ConfigError
from bridge.kafka.session import AdminSession
from bridge.kafka.topic_setup import CONTROL_CONFIGS
from bridge.pipeline.replay.jobs import ReplayJobs
from bridge.settings import Settings
from bridge.settings.names import require_known
from bridge.wiring.audit import audit_record, now, replay_record, write_control
from bridge.wiring.kafka import build_control, build_kafka_options, control_topic
from bridge.wiring.replay_plan import ReplayPlan

ACTIONS = {
    JobState.PAUSED: ("pause", {JobState.RUNNING}),
    JobState.RUNNING: ("resume", {JobState.PAUSED}),
    JobState.CANCELLED: ("cancel", {JobState.RUNNING, JobState.PAUSED}),
}
"""By new state: the word for it, and the states that it follows."""


async def start_replay(settings: Settings, plan: ReplayPlan, *, also: Sequence[Change] = ()) -> Job:
    """Write the job of a plan, and ``also``; every running bridge begins within a second. Return the job.

    Raises ``KafkaUnavailable``.
    """
    async with AdminSession(build_kafka_options(settings.kafka)) as session:
        await session.ensure_topic(
            control_topic(settings.group),
            create=settings.kafka.create_topics,
            replication_factor=settings.kafka.replication_factor,
            configs=CONTROL_CONFIGS,
        )
    job = plan.job
    await _write(settings, job, "replay start", also)
    return job


async def load_replays(settings: Settings) -> list[Job]:
    """Return all replays, oldest first. Raises ``KafkaUnavailable``."""
    async with AdminSession(build_kafka_options(settings.kafka)) as session:
        if control_topic(settings.group) not in await session.topics():
            return []
    jobs = ReplayJobs()
    control = build_control(settings, Switches[str](), Switches[EventTypes](), "", None, {PREFIX: jobs.apply})
    await control.load()
    return jobs.all()


async def load_replay(settings: Settings, job_id: str) -> Job:
    """Return one replay. Raises ``ConfigError`` if there is none of this id, and ``KafkaUnavailable``."""
    jobs = {job.id: job for job in await load_replays(settings)}
    require_known("there is no replay", job_id, jobs, "the replays are")
    return jobs[job_id]


async def change_replay(
    settings: Settings,
    job_id: str,
    state: JobState,
    *,
    by: str,
    reason: str = "",
    also: Sequence[Change] = (),
) -> Job:
    """Pause, resume or cancel a replay, and write ``also``; every running bridge applies it within a second.

    Raises ``ConfigError`` if there is none of this id, or if its state does not allow it.
    """
    job = await load_replay(settings, job_id)
    word, allowed = ACTIONS[state]
    if job.state is state:
        await write_control(settings, by, _records(also))
        return job
    if job.state not in allowed:
        raise ConfigError([f"replay {job_id} is {job.state}: {word} is not possible any more"])
    done = job.done
    if state is JobState.RUNNING:
        done = (await read_progress(settings, [job]))[job.id].settled
    changed = job._replace(state=state, changed=now(), by=by, reason=reason, error="")
    changed = changed._replace(position={**job.position, "settled_before": done})
    await _write(settings, changed, f"replay {word}", also)
    return changed


async def read_progress(settings: Settings, jobs: Sequence[Job]) -> Mapping[str, ReplayProgress]:
    """Return how far these jobs are, by id. Raises ``KafkaUnavailable``, ``CommitError``."""
    progress = {}
    async with AdminSession(build_kafka_options(settings.kafka)) as session:
        for job in jobs:
            stretches = stretches_of(job)
            if job.state is JobState.DONE:
                total = sum(end - start for start, end in stretches.values())
                progress[job.id] = ReplayProgress(total, total, ())
            else:
                committed = await session.committed(group_of(settings.group, job))
                progress[job.id] = progress_of(stretches, committed)
    return progress


async def _write(settings: Settings, job: Job, action: str, also: Sequence[Change]) -> None:
    change = Change(job.changed, job.by, action, f"{job.endpoint} {job.id}", job.reason, details_of(job))
    await write_control(settings, job.by, {**replay_record(job), **_records([change, *also])})


def _records(of: Sequence[Change]) -> dict[bytes, bytes | None]:
    return {key: value for change in of for key, value in audit_record(change).items()}


def details_of(job: Job) -> str:
    """Return the query of a job for a person."""
    shown = [
        f"{name} {', '.join(value) if isinstance(value, list | tuple) else value}"
        for name, value in job.query.items()
    ]
    return ", ".join(shown + ([f"at most {job.rate_per_s:g} per second"] if job.rate_per_s else []))
