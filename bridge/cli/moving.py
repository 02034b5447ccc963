"""``hookferry rewind`` and ``skip-to``: move the endpoint's own cursor, while the bridges run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.backlog import scan_option
from bridge.cli.output import Output, for_people, output_option, show
from bridge.cli.run import config_option
from bridge.cli.shared_options import Command, InstantType, reason_option, with_options
from bridge.cli.shell_names import endpoint_names

if TYPE_CHECKING:
    from bridge.core.moves import Move
    from bridge.settings import Settings
    from bridge.wiring.cursor_moves import MovePlan, MoveRequest, Target

_PLACE = re.compile(r"(.+)-(\d{1,9})@(\d{1,18})")
_POLL_S = 0.3


class TargetType(click.ParamType):  # type: ignore[type-arg]  # no type argument before click 8.5
    """Where a cursor is to go on: a word, an instant, or offsets."""

    name = "place"

    def __init__(self, word: str) -> None:
        self._word = word

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """Return the word, Unix milliseconds, or offsets by partition."""
        from bridge.model import Partition

        if value == self._word:
            return value  # type: ignore[no-any-return]  # click passes the text as Any
        if "@" not in value:
            try:
                return InstantType().convert(value, param, ctx)
            except click.UsageError:
                self.fail(
                    f"{value!r} is neither {self._word}, nor an instant such as 2h (ago) or"
                    " 2026-06-29T08:15:00Z, nor offsets such as orders-0@1200,orders-1@1300",
                    param,
                    ctx,
                )
        offsets = {}
        for text in value.split(","):
            match = _PLACE.fullmatch(text.strip())
            if match is None:
                self.fail(f"{text!r} is not an offset such as orders-0@1200", param, ctx)
            offsets[Partition(match[1], int(match[2]))] = int(match[3])
        return offsets


def _options(word: str) -> Callable[[Command], Command]:
    options: list[Callable[[Command], Command]] = [
        click.argument("endpoint", shell_complete=endpoint_names),
        click.option(
            "--to",
            type=TargetType(word),
            required=True,
            help=f"Where to go on: {word}, 2h or 7d (ago), an instant, or orders-0@1200,orders-1@900.",
        ),
        click.option("--dry-run", is_flag=True, help="Count the events, and change nothing."),
        click.option(
            "--wait",
            "wait_s",
            metavar="SECONDS",
            type=click.FloatRange(min=0),
            default=30.0,
            show_default=True,
            help="Wait so long until the bridges have applied it.",
        ),
        reason_option,
        scan_option,
        yes_option,
        output_option,
        config_option,
    ]
    return with_options(options)


@click.command(short_help="Send everything again, from an earlier place on.")
@_options("beginning")
def rewind(endpoint: str, to: Target, **given: Any) -> None:
    """Set the cursor of ENDPOINT back: everything from there on is sent again, in order, with the same ids.

    Live events wait until it has caught up. `hookferry replay` sends a part of the log again next to them.
    """
    _move(endpoint, to, is_back=True, **given)


@click.command("skip-to", short_help="Skip what was not sent yet, up to a later place.")
@_options("end")
def skip_to(endpoint: str, to: Target, **given: Any) -> None:
    """Set the cursor of ENDPOINT forward: what is before that place and not delivered is never sent.

    The audit keeps who did it and how many events it were. `hookferry replay` can send them later.
    """
    _move(endpoint, to, is_back=False, **given)


def _move(
    endpoint: str,
    to: Target,
    *,
    is_back: bool,
    path: Path,
    output: Output,
    scan: int,
    reason: str,
    dry_run: bool,
    yes: bool,
    wait_s: float,
) -> None:
    from bridge.cli.replay import counting_settings
    from bridge.cli.terminal import operator_name
    from bridge.wiring.cursor_moves import MoveRequest, request_move

    settings = counting_settings(path, scan)
    plan = progress.run(_plan(settings, MoveRequest(endpoint, is_back, to), scan))
    document = _document(plan)
    if dry_run or not plan.places:
        show(output, document | {"applied": 0}, lambda: _lines(plan))
        return
    with for_people(output):
        for line in _lines(plan):
            click.echo(line)
        confirm("Send these again?" if is_back else "Never send these?", yes=yes)
    moves = progress.run(request_move(settings, plan, by=operator_name(), reason=reason))
    left = progress.run(_wait(settings, moves, wait_s), "waiting for the bridges")
    applied = len(moves) - len(left)
    lines = [f"applied in {applied} of {len(moves)} partitions"]
    if left:
        lines.append(f"{', '.join(str(move.partition) for move in left)}: applied when a bridge gets them")
    show(output, document | {"applied": applied}, lambda: lines)


async def _plan(settings: Settings, request: MoveRequest, scan: int) -> MovePlan:
    from bridge.wiring.cursor_moves import plan_move

    bar = progress.begin("asking the brokers")
    counting = "counting events"
    return await plan_move(
        settings, request, scan=scan, begin=lambda offsets: bar.begin(counting, offsets), step=bar.step
    )


async def _wait(settings: Settings, moves: list[Move], wait_s: float) -> list[Move]:
    """Return the moves that are not applied after ``wait_s``."""
    import asyncio

    from bridge.wiring.cursor_moves import pending_moves

    deadline = time.monotonic() + wait_s
    while (left := await pending_moves(settings, moves)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)  # each look is a request to the broker
    return left


def _document(plan: MovePlan) -> dict[str, Any]:
    from bridge.cli.replay_output import selected_document

    return {
        "endpoint": plan.request.endpoint,
        "action": "rewind" if plan.request.is_back else "skip-to",
        **selected_document(plan.selected),
        "offsets": plan.offsets,
        "partitions": [
            {"topic": topic, "partition": number, "from": now, "to": new}
            for (topic, number), (now, new) in plan.places.items()
        ],
        "notes": list(plan.notes),
    }


def _lines(plan: MovePlan) -> list[str]:
    from bridge.cli.replay_output import count_text, type_lines

    places = [f"{partition}: from {now} to {new}" for partition, (now, new) in plan.places.items()]
    if not places:
        return [*plan.notes, "nothing to move"]
    what = "sent again" if plan.request.is_back else "never sent"
    events = count_text(plan.selected, plan.offsets)
    return [*plan.notes, *places, f"{what}: {events}", *type_lines(plan.selected)]
