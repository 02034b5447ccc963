"""``hookferry status``: one screen with the pods, the endpoints, and what needs attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bridge.cli import progress
from bridge.cli.backlog import scan_option
from bridge.cli.output import Output, colored, output_option, show, table
from bridge.cli.run import file_or_option
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.cli.endpoint_rows import EndpointRow
    from bridge.dead_letters.letter import Letter
    from bridge.kafka.session import AdminSession
    from bridge.settings import Settings


@click.command(short_help="Show the pods, the endpoints, and what needs attention.")
@scan_option
@watch_option
@output_option
@file_or_option
def status(path: Path, output: Output, scan: int, every_s: float | None) -> None:
    """Show the pods of the group, each endpoint with its lag and its dead letters, and what needs attention.

    FILE is the configuration, the same as --config.

    LAG counts the events that the endpoint selects and that are not settled (see `endpoints list`). RETRIES
    are failed deliveries that wait for their next attempt, PARKED are dead letters that wait for a decision,
    QUEUED were redriven and are not settled yet, and HELD are lanes that wait for a dead letter. Exits with 0
    whatever it finds: `hookferry doctor` is for scripts.
    """
    watch(lambda: _print(path, output, scan), every_s)


class Screen(NamedTuple):
    """What is known of a group. ``pods`` and ``here`` are None if there is no answer."""

    settings: Settings
    topics_missing: list[str]
    pods: list[str] | None
    here: tuple[bool, str] | None
    slowed: dict[str, str] | None
    rows: list[EndpointRow]
    types_off: list[str]
    parked: Counter[str]
    queued: Counter[str]
    held: Counter[str]

    def as_json(self) -> dict[str, Any]:
        """Return the screen as JSON values."""
        return {
            "group": self.settings.group,
            "brokers": list(self.settings.kafka.bootstrap_servers),
            "pods": self.pods,
            "bridge_here": None if self.here is None else {"ready": self.here[0], "text": self.here[1]},
            "endpoints": [
                row.as_json(self.slowed)
                | {
                    "parked": self.parked[row.endpoint],
                    "queued": self.queued[row.endpoint],
                    "held_lanes": self.held[row.endpoint],
                }
                for row in self.rows
            ],
            "parked_for_all": self.parked["*"],
            "event_types_off": self.types_off,
            "topics_missing": self.topics_missing,
            "attention": list(self.attention()),
        }

    def attention(self) -> Iterator[str]:
        """Yield what a person should look at, with the command that helps."""
        if self.pods == []:
            yield "no bridge runs in this group; start one: hookferry run"
        for name in self.topics_missing:
            yield f"topic {name} does not exist; create it, or correct `topics` of its source"
        for row in self.rows:
            if not row.switch.on:
                yield (
                    f"{row.endpoint} is off: {row.switch.reason or 'no reason given'}; when that is repaired:"
                    f" hookferry endpoints on {row.endpoint}"
                )
            if row.lag is None:
                yield f"{row.endpoint} has not begun: no bridge has committed an offset for it"
        for name, number in sorted(self.held.items()):
            yield f"{name} holds {number} lanes; see: hookferry parked list --holds -e {name}"
        for name, number in sorted(self.parked.items()):
            whom = "'*'" if name == "*" else name
            yield f"{number} dead letters for {name} wait for a decision: hookferry parked list -e {whom}"
        for name, limit in sorted((self.slowed or {}).items()):
            yield f"{name} is slowed to {limit}"


def _print(path: Path, output: Output, scan: int) -> None:
    from bridge.cli.terminal import read_settings

    settings = read_settings(path)
    screen = progress.run(_look(settings, path, scan), "asking the brokers")
    show(output, screen.as_json(), lambda: screen_lines(screen))


async def _look(settings: Settings, path: Path, scan: int) -> Screen:
    import asyncio

    from bridge.cli.again import find_waiting_requests, mark_queued
    from bridge.cli.endpoint_rows import read_rows
    from bridge.cli.local_bridge import ask_limits, ask_readiness
    from bridge.core.switches import EventTypes, Switches
    from bridge.dead_letters.letter import Fate, LetterFilter
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options, build_letters
    from bridge.wiring.topics import build_selection

    switches, event_types = Switches[str](), Switches[EventTypes]()
    async with AdminSession(build_kafka_options(settings.kafka)) as visit, build_letters(settings) as dead:
        missing = sorted(set(build_selection(settings).names) - await visit.topics())
        pods = await _pods(visit, settings.group)
        rows = await read_rows(visit, settings, path, scan, switches, event_types)
        progress.begin("reading the dead letters")
        letters, holds = await dead.find(LetterFilter()), await dead.holds()
        if any(letter.fate is Fate.REDRIVEN for letter in letters):
            mark_queued(letters, await find_waiting_requests(visit, settings))
    return Screen(
        settings,
        missing,
        pods,
        await asyncio.to_thread(ask_readiness, settings),
        await asyncio.to_thread(ask_limits, settings),
        rows,
        [str(types) for types in event_types.off()],
        _count([letter for letter in letters if letter.fate is Fate.WAITING]),
        _count([letter for letter in letters if letter.queued]),
        Counter(key.endpoint for key in holds),
    )


async def _pods(visit: AdminSession, group: str) -> list[str] | None:
    """Return the members of the group; None if the login may not see them."""
    from bridge.errors import KafkaUnavailable

    try:
        return await visit.members(group)
    except KafkaUnavailable:
        return None


def _count(letters: Sequence[Letter]) -> Counter[str]:
    from bridge.dead_letters.letter import EVERYONE

    return Counter(letter.endpoint or EVERYONE for letter in letters)


def screen_lines(screen: Screen) -> Iterator[str]:
    """Yield the screen for people."""
    import time

    from bridge.core.lag import age

    settings = screen.settings
    pods = "cannot be listed" if screen.pods is None else "; ".join(screen.pods) or "none"
    yield f"group {settings.group} at {', '.join(settings.kafka.bootstrap_servers)}; pods: {pods}"
    if screen.here is not None:
        ready, text = screen.here
        word = colored("ready", "green") if ready else colored("not ready", "red")
        yield f"the bridge on this machine: {word}, {text}"
    yield ""
    now_s = time.time()
    lines = [("ENDPOINT", "STATE", "LAG", "OLDEST", "RETRIES", "PARKED", "QUEUED", "HELD", "REASON")]
    for row in screen.rows:
        name = row.endpoint
        lag, oldest = ("-", "-") if row.lag is None else (str(row.lag), age(row.lag.oldest_ms, now_s))
        counts = [
            str(number)
            for number in (row.retries, screen.parked[name], screen.queued[name], screen.held[name])
        ]
        state = colored(row.switch.state, "green" if row.switch.on else "red")
        lines.append(
            (name, state, lag, oldest, counts[0], counts[1], counts[2], counts[3], row.switch.reason or "-")
        )
    yield table(lines)
    yield ""
    if screen.types_off:
        yield f"event types off: {', '.join(screen.types_off)}"
    attention = list(screen.attention())
    for text in attention:
        yield f"{colored('!', 'yellow')} {text}"
    if not attention:
        yield "nothing needs attention"
