"""Send the attempts or events again that an operator names, and report what became of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import progress
from bridge.cli.asking import confirm
from bridge.cli.output import terminal_width

if TYPE_CHECKING:
    from bridge.history.attempt import AttemptId, Kept
    from bridge.resend.job_store import Author
    from bridge.resend.service import Resending, Sent
    from bridge.settings import Settings

_CLOCKS_S = 3600.0
"""How far the clock of a bridge may be slow against the one here: its attempts are found by their time."""
_MOST = 10_000


def send_few(
    settings: Settings,
    ids: Sequence[str],
    endpoint: str | None,
    who: Author,
    *,
    render: bool,
    new_id: bool,
    dry_run: bool,
    yes: bool,
    wait_s: float,
    done: dict[str, Any],
) -> bool:
    """Send these again; return False unless all were sent and delivered. ``done`` gets the document.

    Raises ``HookferryError`` for an attempt or event that is not in the history.
    """
    from bridge.cli.history_output import table
    from bridge.wiring.resend import build_resending

    resending = build_resending(settings)
    attempts = progress.run(_find(settings, resending, ids, endpoint), "reading the history")
    plan = progress.run(
        resending.send_now(attempts, who, render=render, new_id=new_id, dry_run=True), "looking at the topics"
    )
    progress.clear()
    chosen = list(plan.requests.values())
    if chosen:
        click.echo("\n".join(table(chosen, terminal_width())))
    done["selected"] = [str(kept.id) for kept in chosen]
    _print_refused(plan, done)
    if dry_run or not chosen:
        return not plan.refused
    if len(chosen) > 1:
        confirm(f"Send {len(chosen)} again?", yes=yes)
    sent = progress.run(resending.send_now(chosen, who, render=render, new_id=new_id), "writing")
    done["written"] = len(sent.requests)
    click.echo(f"{len(sent.requests)} written to {settings.group}.again")
    verdicts = progress.run(_await(settings, sent.requests, wait_s), "waiting for the bridges")
    return _report(verdicts, done, wait_s) and not plan.refused


async def _find(
    settings: Settings, resending: Resending, ids: Sequence[str], endpoint: str | None
) -> list[Kept]:
    """Return the attempts that are named, and the last attempt of each event at each endpoint."""
    from bridge.errors import HookferryError
    from bridge.history.attempt import AttemptId

    numbers: list[AttemptId] = []
    found: dict[AttemptId, Kept] = {}
    for text in ids:
        try:
            numbers.append(AttemptId.parse(text))
        except ValueError:
            found |= {kept.id: kept for kept in await _last_attempts(settings, text, endpoint)}
    named = await resending.fetch(numbers) if numbers else {}
    for number in numbers:
        kept = named.get(number)
        if kept is None or endpoint not in (None, kept.endpoint):
            raise HookferryError(
                f"no attempt {number}{f' of {endpoint}' if endpoint else ''}: the retention of the history"
                " may have deleted it; `hookferry history` prints the ids"
            )
    return list((found | named).values())


async def _last_attempts(settings: Settings, event: str, endpoint: str | None) -> list[Kept]:
    from bridge.errors import HookferryError
    from bridge.history.selection import AttemptFilter
    from bridge.wiring.kafka import build_history_store

    async with build_history_store(settings) as store:
        found = await store.newest(AttemptFilter(endpoint=endpoint, event=event), _MOST, bodies=True)
    last = {(kept.endpoint, kept.attempt.source, kept.attempt.event_index): kept for kept in found.attempts}
    if not last:
        raise HookferryError(
            f"no attempt of an event {event!r}: it was not sent, or the retention of the history has deleted"
            " it; `hookferry history` finds events by their entity"
        )
    return list(last.values())


def _print_refused(plan: Sent, done: dict[str, Any]) -> None:
    done["refused"] = [
        {"attempt": str(kept.id), "cause": reason.cause, "remedy": reason.remedy}
        for kept, reason in plan.refused
    ]
    for one in done["refused"]:
        click.echo(f"{one['attempt']} cannot be sent again: {one['cause']}; {one['remedy']}", err=True)


async def _await(settings: Settings, requests: Mapping[str, Kept], wait_s: float) -> dict[str, str]:
    """Return by request the verdict of its last attempt, or ``waiting``. Wait while there is progress."""
    from bridge.cli.again import await_settled
    from bridge.history.selection import AttemptFilter
    from bridge.wiring.kafka import build_history_store

    since_ms = int((time.time() - _CLOCKS_S) * 1000)
    left = await await_settled(settings, requests.keys(), wait_s)
    verdicts = dict.fromkeys(left, "waiting")
    async with build_history_store(settings) as store:
        for again_id in requests.keys() - left:
            kept = requests[again_id]
            wanted = AttemptFilter(kept.endpoint, kept.attempt.event_id, since_ms=since_ms)
            found = await store.newest(wanted, _MOST, bodies=False)
            own = [one.attempt for one in found.attempts if one.attempt.again_id == again_id]
            verdicts[again_id] = own[-1].verdict if own else "settled"
    return verdicts


def _report(verdicts: Mapping[str, str], done: dict[str, Any], wait_s: float) -> bool:
    """Print what became of requests; return True if none was parked or waits that was waited for."""
    number = {name: list(verdicts.values()).count(name) for name in ("delivered", "park", "waiting")}
    settled = len(verdicts) - sum(number.values())
    done |= {"delivered": number["delivered"], "parked_again": number["park"], "waiting": number["waiting"]}
    if number["delivered"]:
        click.echo(f"{number['delivered']} delivered")
    if settled:
        click.echo(
            f"{settled} settled; their attempts are not in the history yet, or they were parked unsent"
        )
    if number["park"]:
        click.echo(f"{number['park']} parked again; `hookferry parked list` shows why", err=True)
    if number["waiting"]:
        click.echo(
            f"{number['waiting']} wait: no bridge has settled them; is one running, and the endpoint on"
            " (`hookferry endpoints list`)? They are sent later",
            err=True,
        )
    return not number["park"] and (not number["waiting"] or not wait_s)
