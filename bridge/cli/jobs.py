"""``hookferry jobs``: show the bulk re-sends and replays of the group; pause, resume and cancel re-sends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.output import Output, output_option, show
from bridge.cli.resend import audit_options, author, resume_job
from bridge.cli.run import config_option
from bridge.cli.terminal import read_settings
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.core.jobs import Job, JobState


@click.group(short_help="Show bulk re-sends and replays; pause, resume and cancel re-sends.")
def jobs() -> None:
    """Show the bulk re-sends and replays of the group, and pause, resume or cancel a re-send.

    `hookferry replay` changes replays.
    """


@jobs.command("list", short_help="List the jobs, the oldest first.")
@click.option("--all", "all_", is_flag=True, help="Include jobs that are done, cancelled or failed.")
@watch_option
@output_option
@config_option
def list_(path: Path, all_: bool, output: Output, every_s: float | None) -> None:
    """List the jobs of the group, the oldest first."""
    watch(lambda: _print(path, all_, output), every_s)


def _print(path: Path, all_: bool, output: Output) -> None:
    from bridge.cli.job_output import document, jobs_table
    from bridge.wiring.resend import build_resending

    store = build_resending(read_settings(path)).store
    found = [job for job in progress.run(store.all(), "reading the jobs") if all_ or not job.state.final]
    show(output, [document(job) for job in found], lambda: [jobs_table(found)] if found else [])
    if output is Output.TABLE and not found:
        click.echo(
            "no job" if all_ else "no job is running or paused; --all shows those that have ended", err=True
        )


@jobs.command("show", short_help="Show one job: what it does, how far it is, and what it cannot send.")
@click.argument("job_id", metavar="JOB")
@watch_option
@output_option
@config_option
def show_(path: Path, job_id: str, output: Output, every_s: float | None) -> None:
    """Show one job: what it does, how far it is, and what it cannot send."""
    from bridge.wiring.resend import build_resending

    store = build_resending(read_settings(path)).store
    watch(lambda: _show(progress.run(store.get(job_id), "reading the jobs"), output), every_s)


def _show(job: Job, output: Output) -> None:
    from bridge.cli.job_output import document, page

    show(output, document(job), lambda: page(job))


@jobs.command(short_help="Pause a bulk re-send: it can be resumed.")
@click.argument("job_id", metavar="JOB")
@audit_options
@output_option
@config_option
def pause(path: Path, job_id: str, by: str | None, reason: str, output: Output) -> None:
    """Pause a bulk re-send. Its runner stops within two seconds, wherever it runs."""
    from bridge.core.jobs import JobState

    _show(_change(path, job_id, JobState.PAUSED, by, reason), output)


@jobs.command(short_help="Cancel a bulk re-send for good.")
@click.argument("job_id", metavar="JOB")
@yes_option
@audit_options
@output_option
@config_option
def cancel(path: Path, job_id: str, yes: bool, by: str | None, reason: str, output: Output) -> None:
    """Cancel a bulk re-send. It cannot be resumed; what it wrote to <group>.again is still sent."""
    from bridge.core.jobs import JobState

    confirm(f"Cancel job {job_id}?", yes=yes)
    _show(_change(path, job_id, JobState.CANCELLED, by, reason), output)


@jobs.command(short_help="Resume a bulk re-send here; it takes over from a runner elsewhere.")
@click.argument("job_id", metavar="JOB")
@click.option("--detach", is_flag=True, help="Only set it to running: a console carries it out.")
@audit_options
@output_option
@config_option
def resume(path: Path, job_id: str, detach: bool, by: str | None, reason: str, output: Output) -> None:
    """Resume a bulk re-send that was paused or killed, and carry it out here. Nothing is written twice."""
    from bridge.core.jobs import JobState

    if detach:
        _show(_change(path, job_id, JobState.RUNNING, by, reason), output)
    else:
        resume_job(read_settings(path), job_id, author(by, reason), output)


def _change(path: Path, job_id: str, state: JobState, by: str | None, reason: str) -> Job:
    from bridge.wiring.resend import build_resending

    store = build_resending(read_settings(path)).store
    return progress.run(store.change(job_id, state, author(by, reason)), "writing the job")
