"""``hookferry cursors``: show the position of each endpoint in each partition; delete unused cursors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.backlog import scan_option
from bridge.cli.output import Output, at_most, for_people, output_option, show, table
from bridge.cli.run import config_option
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.core.lag import CursorLag
    from bridge.kafka.session import AdminSession
    from bridge.settings import Settings

_REMOVED = "not configured"


@click.group(short_help="Show the position of each endpoint in each partition.")
def cursors() -> None:
    """Show the cursors: the position of each endpoint in each partition, as committed to Kafka."""


@cursors.command("list", short_help="Show every cursor, its lag and its open retries.")
@scan_option
@watch_option
@output_option
@config_option
def list_(path: Path, output: Output, scan: int, every_s: float | None) -> None:
    """Show every cursor, including those of replays, and of endpoints that are no longer configured.

    LAG counts the events that the endpoint selects and that are not settled. "5000+" means that more may
    follow what was read, and "≤5000" that these are offsets. OFFSETS is the log end minus the committed
    offset. LOG END is the last stable offset: nothing after it can be read before the open transactions end.
    Kafka's own tools count up to the high watermark. SETTLED BEYOND counts the offsets above the committed
    one that are already settled. RETRIES are failed deliveries that wait for their next attempt: the offset,
    and the number of attempts so far. The LOG END of a replay is where it ends.
    """
    watch(lambda: _print(path, output, scan), every_s)


def _print(path: Path, output: Output, scan: int) -> None:
    from bridge.cli.terminal import read_settings

    rows = progress.run(_all(read_settings(path), path, scan))
    show(output, [row.as_json() for row in rows], lambda: [_table(rows)])


def _table(rows: Sequence[CursorLag]) -> str:
    lines: list[Sequence[str]] = [
        ("ENDPOINT", "PARTITION", "COMMITTED", "LOG END", "LAG", "OFFSETS", "SETTLED BEYOND", "RETRIES", "")
    ]
    for row in rows:
        places = [row.committed, row.log_end, row.backlog, row.offsets]
        shown = ["-" if value is None else str(value) for value in places]
        first = row.retries[: at_most(3)]
        retries = ", ".join(f"{retry.offset} ({retry.attempts})" for retry in first)
        if len(row.retries) > len(first):
            retries += f" and {len(row.retries) - len(first)} more"
        open_offsets = f"{row.in_transactions} more in open transactions" if row.in_transactions else ""
        notes = ("" if row.configured else _REMOVED, row.problem, open_offsets)
        note = "; ".join(text for text in notes if text)
        beyond = str(row.settled_beyond)
        lines.append((row.endpoint, str(row.partition), *shown, beyond, retries or "-", note))
    return table(lines)


@cursors.command(short_help="Delete the cursors of removed endpoints.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@yes_option
@output_option
@config_option
def prune(names: tuple[str, ...], yes: bool, path: Path, output: Output) -> None:
    """Delete the cursors of endpoints that are no longer configured, and of replays that have ended.

    All of them, or those of each NAME.

    If an endpoint with that name is configured again, it is new and obeys its `start` setting. If it is
    configured again without a prune, it continues where it stopped.
    """
    from bridge.cli.terminal import read_settings

    with for_people(output):
        deleted = progress.run(_prune(read_settings(path), path, names, yes=yes))
    show(output, {"deleted": deleted}, lambda: ())


async def _all(settings: Settings, path: Path, scan: int) -> list[CursorLag]:
    from bridge.cli.backlog import count_events
    from bridge.cli.terminal import load_switches_over
    from bridge.core.lag import cursor_names
    from bridge.core.switches import EventTypes, Switches
    from bridge.kafka.session import AdminSession
    from bridge.wiring.cursors import read_cursor_lags
    from bridge.wiring.kafka import build_kafka_options

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        names = cursor_names(settings.group, await visit.offsets.groups())
        rows = await read_cursor_lags(visit, settings, dict.fromkeys([*settings.endpoints, *names]))
        replays = await _of_replays(visit, settings)
        event_types = Switches[EventTypes]()
        await load_switches_over(visit, settings, Switches[str](), event_types)
    return [*await count_events(path, rows, event_types, scan), *replays]


async def _of_replays(visit: AdminSession, settings: Settings) -> list[CursorLag]:
    """Return the cursors of the replays that have not ended."""
    from bridge.core.lag import cursor_lags
    from bridge.core.replay import group_of, stretches_of
    from bridge.wiring.replay_control import load_replays

    rows = []
    for job in await load_replays(settings):
        if job.state.final:
            continue
        group, ends = group_of(settings.group, job), {each: at.end for each, at in stretches_of(job).items()}
        name, committed = group.removeprefix(f"{settings.group}."), await visit.committed(group)
        lags = cursor_lags(name, True, committed, ends, ends)
        rows += [row._replace(problem=row.problem or f"a replay, {job.state}") for row in lags]
    return rows


async def _prune(settings: Settings, path: Path, names: Sequence[str], *, yes: bool) -> list[str]:
    """Delete the cursors of removed endpoints; return their names. Raises what the broker's edge raises."""
    from bridge.core.lag import cursor_names
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        groups = await visit.offsets.groups()
        there = sorted({*cursor_names(settings.group, groups), *await _begun(settings, visit)})
        removed = [name for name in there if name not in settings.endpoints]
        removed += await _ended_replays(settings, groups)
        if names:
            removed = _chosen(names, removed, settings, path)
        if not removed:
            click.echo("nothing to delete: every cursor belongs to a configured endpoint")
            return []
        for name in removed:
            click.echo(f"{settings.group}.{name}: {await _places(visit, settings, name)}")
        confirm("Delete these offsets?", yes=yes)
        for name in removed:
            await visit.offsets.delete(f"{settings.group}.{name}")
            click.echo(f"deleted {settings.group}.{name}")
        await _forget_state(settings, visit, removed)
    await _forget_holds(settings, removed)
    return removed


async def _ended_replays(settings: Settings, groups: Mapping[str, str]) -> list[str]:
    """Return the cursors of replays that have ended, or that have no record in the control topic."""
    from bridge.core.lag import replay_names
    from bridge.core.replay import group_of
    from bridge.wiring.replay_control import load_replays

    active = {group_of(settings.group, job) for job in await load_replays(settings) if not job.state.final}
    names = replay_names(settings.group, groups)
    return [name for name in names if f"{settings.group}.{name}" not in active]


def _chosen(names: Sequence[str], unused: Sequence[str], settings: Settings, path: Path) -> list[str]:
    from bridge.errors import ConfigError
    from bridge.settings.problem import choice, printable

    problems = []
    for name in dict.fromkeys(names):
        if name in settings.endpoints:
            problems.append(
                f'"{printable(name)}" is an endpoint in {path}: its cursors are in use; remove it there first'
            )
        elif name not in unused:
            guess = choice(name, unused, "unused cursors are") if unused else "no cursor is unused"
            problems.append(f'group {settings.group} has no cursor "{printable(name)}"; {guess}')
    if problems:
        raise ConfigError(problems)
    return list(dict.fromkeys(names))


async def _places(visit: AdminSession, settings: Settings, name: str) -> str:
    committed = await visit.committed(f"{settings.group}.{name}")
    places = ", ".join(f"{partition} at {at.offset}" for partition, at in sorted(committed.items()))
    return places or "no committed offsets; only the record of its beginning"


async def _begun(settings: Settings, visit: AdminSession) -> list[str]:
    """Return the endpoints that the control topic remembers, also without any committed offset."""
    from bridge.cli.terminal import operator_name
    from bridge.core.beginning import Beginnings
    from bridge.core.switches import EventTypes, Switches
    from bridge.wiring.kafka import build_control, control_topic

    beginnings = Beginnings()
    if control_topic(settings.group) in await visit.topics():
        switches, event_types = Switches[str](), Switches[EventTypes]()
        await build_control(settings, switches, event_types, operator_name(), beginnings).load()
    return beginnings.names()


async def _forget_state(settings: Settings, visit: AdminSession, names: Sequence[str]) -> None:
    """Delete the beginnings and switches of removed endpoints: they are new, and on, if they return."""
    from bridge.cli.terminal import operator_name
    from bridge.core.beginning import Beginnings
    from bridge.core.switches import EventTypes, Subject, Switches
    from bridge.wiring.kafka import build_control, control_topic

    if control_topic(settings.group) not in await visit.topics():
        return
    switches, event_types, beginnings = Switches[str](), Switches[EventTypes](), Beginnings()
    control = build_control(settings, switches, event_types, operator_name(), beginnings)
    await control.load()
    await control.forget_beginnings([name for name in names if beginnings[name] is not None])
    removed: list[Subject] = [name for name in names if not switches[name].on]
    removed += [types for types in event_types.off() if types.endpoint in names]
    for subject in removed:
        await control.write(subject, None)


async def _forget_holds(settings: Settings, names: Sequence[str]) -> None:
    """Release the lanes that removed endpoints held. Their parked events stay parked."""
    from bridge.wiring.kafka import build_letters

    gone = set(names)
    async with build_letters(settings) as dead:
        await dead.forget_holds([key for key in await dead.holds() if key.endpoint in gone])
