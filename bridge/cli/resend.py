"""``hookferry resend``: send attempts of the history again, a few by id, or many by a query as a job."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.attempt_filters import attempt_filters, wanted_attempts
from bridge.cli.output import Output, for_people, output_option, show
from bridge.cli.parked_selection import refuse_unknown
from bridge.cli.run import config_option
from bridge.cli.shared_options import by_option, reason_option, with_options
from bridge.cli.terminal import operator_name, read_settings

if TYPE_CHECKING:
    from bridge.core.jobs import Job
    from bridge.resend.job_store import Author
    from bridge.resend.query import ResendQuery
    from bridge.settings import Settings

audit_options = with_options([by_option, reason_option])
"""Add ``--by`` and ``--reason``: who does this, and why, for the record in ``<group>.control``."""


def author(by: str | None, reason: str) -> Author:
    """Return who does this, and why."""
    from bridge.resend.job_store import Author

    return Author(by or operator_name(), reason)


@click.command(short_help="Send attempts again, as they were or rendered again.")
@click.argument("ids", nargs=-1, metavar="[ATTEMPT|EVENT]...")
@attempt_filters
@click.option(
    "--render", is_flag=True, help="Render the event again from its record, with today's templates."
)
@click.option(
    "--new-id", is_flag=True, help="Use another webhook-id, so that receivers take it for a new event."
)
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(min=0.1),
    help="At most N events per second, by a query; the limits of the endpoint hold as well.",
)
@click.option("--resume", "job_id", metavar="JOB", help="Go on with a job that was paused or killed.")
@click.option("--dry-run", is_flag=True, help="Only count and print what would be sent.")
@yes_option
@audit_options
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With ids: how long to wait for the bridges after their last progress.",
)
@output_option
@config_option
def resend(
    path: Path,
    ids: tuple[str, ...],
    render: bool,
    new_id: bool,
    rate: float | None,
    job_id: str | None,
    dry_run: bool,
    yes: bool,
    by: str | None,
    reason: str,
    wait_s: float,
    output: Output,
    **given: Any,
) -> None:
    """Send attempts again, delivered ones too: to the same endpoint, in order with its live events.

    An ATTEMPT has an id such as 3:1042:17, which `hookferry history` prints. For an EVENT (its id, or its
    webhook-id), the last attempt at each endpoint is sent. Without either, the filters select attempts, and
    of each event the last of them is sent, by a job: `hookferry jobs` pauses, resumes and cancels it.

    Method, body and rendered headers are sent as they were. URL, secrets and signature are those of today's
    configuration. The webhook-id is the same as before, so a receiver that drops repetitions drops this one,
    too, unless --new-id is given.
    """
    from bridge.cli.resend_few import send_few
    from bridge.resend.query import ResendQuery

    settings = read_settings(path)
    who = author(by, reason)
    with_filters = [name for name, value in given.items() if value is not None]
    _refuse_mixture(ids, with_filters, job_id, rate)
    if job_id is not None:
        resume_job(settings, job_id, who, output)
        return
    if ids:
        done: dict[str, Any] = {"dry_run": dry_run}
        with for_people(output):
            well = send_few(
                settings, ids, given["endpoint"], who, render=render, new_id=new_id, dry_run=dry_run, yes=yes,
                wait_s=wait_s, done=done,
            )  # fmt: skip
        show(output, done, lambda: ())
        if not well:
            raise SystemExit(ExitCode.FAILURE)
        return
    query = ResendQuery(wanted_attempts(given), render, new_id)
    _send_many(settings, query, rate, who, dry_run=dry_run, yes=yes, output=output, given=given)


def _refuse_mixture(
    ids: tuple[str, ...], with_filters: list[str], job_id: str | None, rate: float | None
) -> None:
    """Raise ``UsageError`` for what does not go together."""
    if job_id is not None and (ids or with_filters or rate):
        raise click.UsageError("--resume goes on with a job as it was started; give nothing else")
    if ids and (set(with_filters) - {"endpoint"} or rate):
        raise click.UsageError("give either attempts and events, or filters; --endpoint goes with both")
    if not (ids or with_filters or job_id):
        raise click.UsageError("give an attempt, an event, or a filter; --since 30d selects a month")


def _send_many(
    settings: Settings,
    query: ResendQuery,
    rate: float | None,
    who: Author,
    *,
    dry_run: bool,
    yes: bool,
    output: Output,
    given: dict[str, Any],
) -> None:
    """Count, ask, and carry out a job."""
    from bridge.cli.job_output import document, refusal_documents
    from bridge.wiring.resend import build_resending

    resending = build_resending(settings)
    preview = progress.run(resending.preview(query), "counting in the history")
    refused = refusal_documents(preview.refused)
    job: Job | None = None
    done: dict[str, Any] = {
        "dry_run": dry_run, "total": preview.total, "by_endpoint": preview.by_endpoint, "refused": refused,
        "job": None,
    }  # fmt: skip
    if not preview.total and not refused:
        refuse_unknown(settings, given, set())
    with for_people(output):
        counts = ", ".join(f"{number} to {name}" for name, number in sorted(preview.by_endpoint.items()))
        click.echo(f"send again: {counts}" if counts else "nothing to send again")
        click.echo(_how(query))
        for one in refused:
            click.echo(f"{one['events']} cannot be sent: {one['cause']}; {one['remedy']}", err=True)
        if not dry_run and preview.total:
            if preview.total > 1:
                confirm(f"Send {preview.total} again?", yes=yes)
            job = progress.run(resending.start(query, rate, who), "writing the job")
            job = _run_job(settings, job)
            done["job"] = document(job)
    show(output, done, lambda: ())
    if job is not None:
        _print_end(job)
    elif refused and not preview.total:
        raise SystemExit(ExitCode.FAILURE)


def _how(query: ResendQuery) -> str:
    """Return in words what is sent."""
    body = "rendered again from their records" if query.render else "as they were"
    same = "a new webhook-id each" if query.new_id else "the same webhook-id as before"
    return f"{body}, with {same}; URL, secrets and signature are those of today"


def resume_job(settings: Settings, job_id: str, who: Author, output: Output) -> None:
    """Carry out a job here that was paused or killed, print it, and exit with 1 unless it is done."""
    from bridge.cli.job_output import document, page
    from bridge.core.jobs import JobState
    from bridge.wiring.resend import build_resending

    store = build_resending(settings).store
    job = progress.run(store.change(job_id, JobState.RUNNING, who), "writing the job")
    job = _run_job(settings, job)
    show(output, document(job), lambda: page(job))
    _print_end(job)


def _run_job(settings: Settings, job: Job) -> Job:
    """Carry out a job here, with a progress bar. Ctrl-C pauses it."""
    from bridge.core.jobs import JobState
    from bridge.resend.job_store import Author
    from bridge.wiring.resend import build_resending

    resending = build_resending(settings)
    progress.clear()
    click.echo(f"job {job.id}; Ctrl-C pauses it", err=True)

    async def carry_out() -> Job:
        bar = progress.begin("selecting")

        def step(now: Job) -> None:
            nonlocal bar
            if now.total and bar.total != now.total:
                bar = progress.begin("writing", now.total)
            bar.step(now.done - bar.done)

        return await resending.run(job.id, step)

    try:
        return progress.run(carry_out(), "selecting")
    except KeyboardInterrupt:
        stopped = Author(operator_name(), "stopped with Ctrl-C")
        return asyncio.run(resending.store.change(job.id, JobState.PAUSED, stopped))


def _print_end(job: Job) -> None:
    """Print on standard error what became of a job; exit with 1 unless it is done."""
    from bridge.core.jobs import JobState

    progress.clear()
    if job.state is JobState.DONE:
        click.echo(
            f"job {job.id}: {job.done} written to <group>.again. The bridges send them in order with live"
            " events; `hookferry history` shows each attempt with the one that it repeats",
            err=True,
        )
        return
    if job.state is JobState.RUNNING:
        click.echo(
            f"job {job.id}: another runner has taken over; see `hookferry jobs show {job.id}`", err=True
        )
    else:
        why = f": {job.error}" if job.error else ""
        then = f"; go on with `hookferry resend --resume {job.id}`" if job.state is JobState.PAUSED else ""
        click.echo(f"job {job.id} is {job.state} after {job.done} events{why}{then}", err=True)
    raise SystemExit(ExitCode.FAILURE)
