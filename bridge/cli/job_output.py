"""Lay jobs out as a table, in full, or as JSON values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bridge.cli.output import table
from bridge.cli.parked_output import one_line

if TYPE_CHECKING:
    from bridge.core.jobs import Job
    from bridge.resend.entries import Refusal

_COLUMNS = ("JOB", "KIND", "STATE", "ENDPOINT", "DONE", "OF", "LEFT", "CREATED", "BY", "WHAT")


def document(job: Job) -> dict[str, Any]:
    """Return a job as JSON values."""
    return {
        "id": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "runs": _runs(job),
        "endpoint": job.endpoint,
        "query": dict(job.query),
        "rate_per_s": job.rate_per_s,
        "created": job.created,
        "changed": job.changed,
        "by": job.by,
        "reason": job.reason,
        "total": job.total,
        "done": job.done,
        "seconds_left": _seconds_left(job),
        "refused": refusal_documents(_counts(job, "refused")),
        "gone": refusal_documents(_counts(job, "lost")),
        "error": job.error,
    }


def _runs(job: Job) -> bool:
    """Return True if a runner works on the job, as far as its last record shows."""
    from bridge.core.jobs import JobState
    from bridge.resend.job_store import is_abandoned

    return job.state is JobState.RUNNING and not is_abandoned(job, time.time())


def _counts(job: Job, name: str) -> dict[Refusal, int]:
    from bridge.resend.entries import Refusal

    counts = job.position.get(name, {})
    return {Refusal[reason]: number for reason, number in counts.items() if reason in Refusal.__members__}


def refusal_documents(refused: Mapping[Refusal, int]) -> list[dict[str, Any]]:
    """Return what cannot be sent as JSON values."""
    return [
        {"events": number, "cause": reason.cause, "remedy": reason.remedy}
        for reason, number in refused.items()
    ]


def _seconds_left(job: Job) -> float | None:
    """Estimate how long a job still takes, by its pace so far; None if that is not known."""
    if job.total is None or not job.done or job.state.final:
        return None
    left = max(0, job.total - job.done)
    if job.rate_per_s:
        return round(left / job.rate_per_s, 1)
    took_s = (datetime.fromisoformat(job.changed) - datetime.fromisoformat(job.created)).total_seconds()
    return round(left * took_s / job.done, 1)


def jobs_table(jobs: Sequence[Job]) -> str:
    """Return the jobs as a table."""
    return table([_COLUMNS, *(_cells(job) for job in jobs)])


def _cells(job: Job) -> tuple[str, ...]:
    left = _seconds_left(job)
    state = job.state.value if _runs(job) or job.state.value != "running" else "running (no runner)"
    return (
        job.id, job.kind.value, state, one_line(job.endpoint or "-"), str(job.done),
        "-" if job.total is None else str(job.total), "-" if left is None else f"{left:.0f} s", job.created,
        one_line(job.by), one_line(_query(job)),
    )  # fmt: skip


def _query(job: Job) -> str:
    """Return what a job selects, in the words of the command."""
    given = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for name, value in job.query.items()
        if value not in (None, False)
    ]
    return " ".join(given)


def page(job: Job) -> Iterator[str]:
    """Yield a job for people: one line per fact."""
    shown = document(job)
    total = "" if job.total is None else f" of {job.total}"
    left = shown["seconds_left"]
    facts = {
        "job": f"{job.id}, a {job.kind.value}",
        "state": _cells(job)[2],
        "done": f"{job.done}{total}" + ("" if left is None else f", about {left:.0f} s left"),
        "selects": _query(job),
        "rate": job.rate_per_s and f"{job.rate_per_s:g} per second",
        "created": job.created,
        "changed": job.changed,
        "by": f"{job.by}{': ' if job.reason else ''}{job.reason}",
        "error": job.error or None,
    }
    for name, fact in facts.items():
        if fact is not None:
            yield f"{name:<10}{one_line(str(fact))}"
    for refused in (*shown["refused"], *shown["gone"]):
        yield f"{'not sent':<10}{refused['events']}: {refused['cause']}; {refused['remedy']}"
