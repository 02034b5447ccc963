"""Print plans of replays, and replays, as documents and for people.

Invariant: progress is in offsets, and named so: not every offset holds an event that is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.cli.output import colored, table
from bridge.core.jobs import Job, JobState
from bridge.core.replay import ReplayProgress, stretches_of
from bridge.wiring.counting import Selected
from bridge.wiring.replay_control import details_of
from bridge.wiring.replay_plan import ReplayPlan

_COLORS = {JobState.RUNNING: "green", JobState.PAUSED: "yellow", JobState.FAILED: "red"}
_BAR = 30
_MOST_PARTITIONS = 10


def plan_document(plan: ReplayPlan, *, started: bool) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {
        "id": plan.job.id,
        "endpoint": plan.job.endpoint,
        "started": started,
        "query": dict(plan.job.query),
        "rate_per_s": plan.job.rate_per_s,
        **selected_document(plan.selected),
        "offsets": plan.offsets,
        "partitions": [
            {"topic": topic, "partition": number, "from": start, "to": end}
            for (topic, number), (start, end) in sorted(plan.stretches.items())
        ],
        "notes": list(plan.notes),
    }


def selected_document(selected: Selected | None) -> dict[str, Any]:
    """Return what was counted as JSON values; null if nothing was."""
    if selected is None:
        return {"events": None, "events_are": None, "by_type": None}
    bound = "exact" if selected.exact else "at least"
    return {"events": selected.events, "events_are": bound, "by_type": dict(selected.by_type.most_common())}


def plan_lines(plan: ReplayPlan) -> Iterable[str]:
    """Return what would be sent, for people."""
    yield from plan.notes
    if not plan.stretches:
        yield "nothing to replay: no record of the endpoint's topics is of this time"
        return
    if plan.is_empty:
        yield f"nothing to replay: {plan.offsets} offsets hold no event that is selected"
        return
    events = count_text(plan.selected, plan.offsets)
    yield f"to {plan.job.endpoint}: {events}, {details_of(plan.job)}"
    yield from type_lines(plan.selected)


def count_text(selected: Selected | None, offsets: int) -> str:
    """Return how many events there are, as far as that is known."""
    if selected is None:
        return f"the events in {offsets} offsets (not counted)"
    more = "" if selected.exact else " or more"
    return f"{selected.events}{more} events in {offsets} offsets"


def type_lines(selected: Selected | None) -> Iterable[str]:
    """Return the numbers of events by type."""
    for name, number in selected.by_type.most_common() if selected is not None else ():
        yield f"  {number:>8}  {name}"
    if selected is not None and selected.faulty:
        yield f"for {selected.faulty} of them a filter cannot be evaluated: these become dead letters"


def document(job: Job, progress: ReplayProgress) -> dict[str, Any]:
    """Return a replay as JSON values."""
    return {
        "id": job.id,
        "endpoint": job.endpoint,
        "state": job.state.value,
        "query": dict(job.query),
        "rate_per_s": job.rate_per_s,
        "events": job.total,
        "offsets": progress.total,
        "offsets_settled": progress.settled,
        "open_partitions": [str(partition) for partition in progress.open_partitions],
        "created": job.created,
        "changed": job.changed,
        "by": job.by,
        "reason": job.reason,
        "error": job.error,
    }


def table_of(jobs: Sequence[Job], progress: Mapping[str, ReplayProgress]) -> Iterable[str]:
    """Return the replays as a table."""
    if not jobs:
        yield "there is no replay"
        return
    rows = [("ID", "ENDPOINT", "STATE", "DONE", "EVENTS", "STARTED", "BY", "WHAT")]
    for job in jobs:
        events = "-" if job.total is None else str(job.total)
        state, done = colored(job.state.value, _COLORS.get(job.state, "white")), _percent(progress[job.id])
        rows.append((job.id, job.endpoint or "", state, done, events, job.created, job.by, details_of(job)))
    yield table(rows)


def page(job: Job, progress: ReplayProgress, now_s: float) -> Iterable[str]:
    """Return one replay for people."""
    rows = {
        "replay": job.id,
        "endpoint": job.endpoint or "",
        "state": f"{job.state.value} since {job.changed}, by {job.by}",
        "reason": job.reason,
        "error": job.error,
        "what": details_of(job),
        "events": "not counted" if job.total is None else str(job.total),
        "progress": f"{_bar(progress)} {progress.settled} of {progress.total} offsets",
        "left": _left(job, progress, now_s),
        "open": _partitions(job, progress),
        "started": job.created,
    }
    return [f"{name:<10}{text}" for name, text in rows.items() if text]


def _percent(progress: ReplayProgress) -> str:
    return f"{100 * progress.settled // progress.total if progress.total else 100}%"


def _bar(progress: ReplayProgress) -> str:
    part = progress.settled / progress.total if progress.total else 1.0
    return f"[{'#' * int(part * _BAR):-<{_BAR}}] {_percent(progress)}"


def _left(job: Job, progress: ReplayProgress, now_s: float) -> str:
    if job.state is not JobState.RUNNING:
        return ""
    elapsed_s = now_s - datetime.fromisoformat(job.changed).timestamp()
    left_s = progress.seconds_left(int(job.position.get("settled_before", 0)), elapsed_s)
    if left_s is None:
        return "unknown: nothing is committed yet; a bridge must run, and the endpoint must be on"
    return f"about {duration(left_s)}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = max(1, round(seconds))
    for unit, length, smaller, part in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // part}{smaller}"
    return f"{whole}s"


def _partitions(job: Job, progress: ReplayProgress) -> str:
    if job.state.final or not progress.open_partitions:
        return ""
    shown = ", ".join(map(str, progress.open_partitions[:_MOST_PARTITIONS]))
    more = len(progress.open_partitions) - _MOST_PARTITIONS
    of_all = f"{len(progress.open_partitions)} of {len(stretches_of(job))} partitions"
    return f"{of_all}: {shown}" + (f" and {more} more" if more > 0 else "")
