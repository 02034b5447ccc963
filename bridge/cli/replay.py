"""``hookferry replay``: send a part of the log to one endpoint again, while live deliveries go on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.backlog import scan_option
from bridge.cli.output import Output, for_people, output_option, show
from bridge.cli.run import config_option
from bridge.cli.shared_options import InstantType, reason_option
from bridge.cli.shell_names import endpoint_names, event_types
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.core.jobs import Job, JobState
    from bridge.core.replay import ReplayProgress
    from bridge.settings import Settings
    from bridge.wiring.replay_plan import ReplayPlan, ReplayRequest


@click.group(short_help="Send a part of the log to an endpoint again.")
def replay() -> None:
    """Send a part of the log to one endpoint again: a time, a type, an entity.

    The running bridges carry a replay out, next to live deliveries, which do not wait for it.
    """


@replay.command(short_help="Start a replay, or count what it would send.")
@click.option(
    "--endpoint",
    "-e",
    metavar="NAME",
    required=True,
    shell_complete=endpoint_names,
    help="Send to this endpoint.",
)
@click.option(
    "--from",
    "since",
    type=InstantType(),
    required=True,
    help="Begin with the records of this time: 2h or 7d (ago), or an instant.",
)
@click.option("--to", "until", type=InstantType(), help="End before the records of this time. Default: now.")
@click.option(
    "--type",
    "types",
    metavar="PATTERN",
    multiple=True,
    shell_complete=event_types,
    help="Only events of this type: a name or a pattern such as Loan*. May be repeated.",
)
@click.option("--entity", metavar="ID", help="Only events of this entity.")
@click.option("--when", metavar="EXPR", help="Only events that pass this filter, as in an endpoint's when.")
@click.option("--topic", "topics", metavar="NAME", multiple=True, help="Only this topic. May be repeated.")
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(min=0.01),
    help="Send at most N events per second, all bridges together. The endpoint's own rate holds as well.",
)
@click.option(
    "--new-id",
    is_flag=True,
    help="Give each event a new webhook-id, so that a receiver does not drop it as a repetition.",
)
@click.option("--dry-run", is_flag=True, help="Count what would be sent, and send nothing.")
@reason_option
@scan_option
@yes_option
@output_option
@config_option
def start(path: Path, output: Output, scan: int, reason: str, dry_run: bool, yes: bool, **given: Any) -> None:
    """Start a replay: the running bridges send these events to the endpoint again, in the order of the log.

    The end is fixed now: what is written later is not replayed. Each event keeps its webhook-id, so that a
    receiver that remembers it drops the repetition; with --new-id it does not. The endpoint's own events,
    filter and switches hold.
    """
    from bridge.cli import replay_output as shown
    from bridge.wiring.replay_control import start_replay

    settings = counting_settings(path, scan)
    plan = progress.run(_plan(settings, _request(given), reason, scan))
    document = shown.plan_document(plan, started=False)
    if dry_run or plan.is_empty:
        show(output, document, lambda: shown.plan_lines(plan))
        return
    with for_people(output):
        for line in shown.plan_lines(plan):
            click.echo(line)
        confirm("Start this replay?", yes=yes)
    job = progress.run(start_replay(settings, plan))
    show(output, document | {"started": True}, lambda: [f"replay {job.id} started; {_follow(job)}"])


@replay.command("list", short_help="List the replays.")
@watch_option
@output_option
@config_option
def list_(path: Path, output: Output, every_s: float | None) -> None:
    """List the replays, oldest first, with their state and progress."""
    watch(lambda: _print_list(path, output), every_s)


def _print_list(path: Path, output: Output) -> None:
    from bridge.cli import replay_output as shown
    from bridge.cli.terminal import read_settings

    jobs, done = progress.run(_look(read_settings(path)))
    show(output, [shown.document(job, done[job.id]) for job in jobs], lambda: shown.table_of(jobs, done))


@replay.command("show", short_help="Show one replay: progress, and how long it will take.")
@click.argument("job_id", metavar="ID")
@watch_option
@output_option
@config_option
def show_(path: Path, job_id: str, output: Output, every_s: float | None) -> None:
    """Show the replay ID: its progress in offsets, an estimate, and the partitions that are not done."""
    watch(lambda: _print_one(path, job_id, output), every_s)


def _print_one(path: Path, job_id: str, output: Output) -> None:
    from bridge.cli import replay_output as shown
    from bridge.cli.terminal import read_settings

    job, done = progress.run(_look_at(read_settings(path), job_id))
    show(output, shown.document(job, done), lambda: shown.page(job, done, time.time()))


@replay.command(short_help="Pause a replay.")
@click.argument("job_id", metavar="ID")
@reason_option
@output_option
@config_option
def pause(path: Path, job_id: str, reason: str, output: Output) -> None:
    """Pause the replay ID: requests in flight finish, and it keeps its place."""
    from bridge.core.jobs import JobState

    _change(path, job_id, JobState.PAUSED, reason, output)


@replay.command(short_help="Let a paused replay go on.")
@click.argument("job_id", metavar="ID")
@reason_option
@output_option
@config_option
def resume(path: Path, job_id: str, reason: str, output: Output) -> None:
    """Let the replay ID go on where it was paused."""
    from bridge.core.jobs import JobState

    _change(path, job_id, JobState.RUNNING, reason, output)


@replay.command(short_help="End a replay for good.")
@click.argument("job_id", metavar="ID")
@reason_option
@yes_option
@output_option
@config_option
def cancel(path: Path, job_id: str, reason: str, yes: bool, output: Output) -> None:
    """End the replay ID for good: what it has not sent, it does not send."""
    from bridge.core.jobs import JobState

    confirm(f"End replay {job_id}? It cannot go on afterwards.", yes=yes)
    _change(path, job_id, JobState.CANCELLED, reason, output)


def _change(path: Path, job_id: str, state: JobState, reason: str, output: Output) -> None:
    from bridge.cli.terminal import operator_name, read_settings
    from bridge.wiring.replay_control import change_replay

    settings = read_settings(path)
    job = progress.run(change_replay(settings, job_id, state, by=operator_name(), reason=reason))
    line = f"replay {job.id} is {job.state}; every running bridge applies this within a second"
    show(output, {"id": job.id, "endpoint": job.endpoint, "state": job.state.value}, lambda: [line])


def counting_settings(path: Path, scan: int) -> Settings:
    """Read what planning uses: all of the sources only if events are counted."""
    from bridge.cli.terminal import read_settings
    from bridge.settings import uses

    return read_settings(path, uses.COUNTING if scan else uses.LIVE_ROUTING)


def _request(given: dict[str, Any]) -> ReplayRequest:
    from bridge.wiring.replay_plan import ReplayRequest

    return ReplayRequest(
        given["endpoint"],
        given["since"],
        given["until"],
        types=given["types"],
        entity=given["entity"],
        when=given["when"],
        topics=given["topics"],
        rate_per_s=given["rate"],
        new_id=given["new_id"],
    )


async def _plan(settings: Settings, request: ReplayRequest, reason: str, scan: int) -> ReplayPlan:
    from bridge.cli.terminal import operator_name
    from bridge.wiring.replay_plan import plan_replay

    now_ms = int(time.time() * 1000)
    bar = progress.begin("asking the brokers")
    return await plan_replay(
        settings,
        request,
        by=operator_name(),
        now_ms=now_ms,
        reason=reason,
        scan=scan,
        begin=lambda offsets: bar.begin("counting events", offsets),
        step=bar.step,
    )


async def _look(settings: Settings) -> tuple[list[Job], dict[str, ReplayProgress]]:
    from bridge.wiring.replay_control import load_replays, read_progress

    jobs = await load_replays(settings)
    return jobs, dict(await read_progress(settings, jobs))


async def _look_at(settings: Settings, job_id: str) -> tuple[Job, ReplayProgress]:
    from bridge.wiring.replay_control import load_replay, read_progress

    job = await load_replay(settings, job_id)
    return job, (await read_progress(settings, [job]))[job.id]


def _follow(job: Job) -> str:
    return f"`hookferry replay show {job.id} --watch` shows how far it is"
