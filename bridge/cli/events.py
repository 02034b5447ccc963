"""``hookferry events``: show the event types that are off; turn event types off and on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.run import config_option
from bridge.cli.shell_names import endpoint_names

if TYPE_CHECKING:
    from bridge.core.switches import EventTypes, Switches
    from bridge.kafka.control_topic import ControlTopic
    from bridge.settings import Settings

_endpoint = click.option(
    "--endpoint",
    "-e",
    metavar="NAME",
    shell_complete=endpoint_names,
    help="Only for this endpoint; default: for all.",
)


@click.group(short_help="Turn event types off and on.")
def events() -> None:
    """Turn event types off, and on again, while the bridge runs.

    The bridge skips an event whose type is off: it is settled without being sent, and is not sent later.
    """


@events.command("list")
@config_option
def list_(path: Path) -> None:
    """Show the event types that are off: for which endpoint, since when and why."""
    from bridge.cli.terminal import load_switches, read_settings, table
    from bridge.core.switches import ALL, EventTypes, Switches

    settings, switches = read_settings(path), Switches[EventTypes]()
    asyncio.run(load_switches(settings, Switches[str](), switches))
    lines = [("TYPES", "ENDPOINT", "SINCE", "BY", "REASON")]
    for types in switches.off():
        switch, whom = switches[types], types.endpoint
        shown = "all" if whom == ALL else whom if whom in settings.endpoints else f"{whom} (not configured)"
        lines.append((types.pattern, shown, switch.since or "-", switch.by or "-", switch.reason or "-"))
    click.echo(table(lines) if len(lines) > 1 else "no event type is off")


@events.command(short_help="Stop sending events of a type.")
@click.argument("types", metavar="TYPE|PATTERN")
@_endpoint
@click.option(
    "--reason",
    default="turned off by an operator",
    show_default=True,
    help="Why; `list` shows it.",
)
@config_option
def off(types: str, endpoint: str | None, reason: str, path: Path) -> None:
    """Stop sending events of TYPE, or of the types that match a PATTERN such as 'Loan*'."""
    subject, was, _ = asyncio.run(_turn(path, types, endpoint, reason, on=False))
    click.echo(f"{_named(subject)} off{_already(was)}; every running bridge applies this within a second")
    click.echo(
        "The bridge skips these events, waiting ones included, and does not send them later.\n"
        "The metric hookferry_events_off_total counts them. To get them later, read them from Kafka again\n"
        "(docs/how-to/routing.md). To turn them on: hookferry events on"
    )


@events.command(short_help="Send events of a type again, from now on.")
@click.argument("types", metavar="TYPE|PATTERN")
@_endpoint
@config_option
def on(types: str, endpoint: str | None, path: Path) -> None:
    """Send events of TYPE again, from now on; PATTERN as it was switched off."""
    subject, was, others = asyncio.run(_turn(path, types, endpoint, "turned on by an operator", on=True))
    click.echo(f"{_named(subject)} on{_already(was)}; every running bridge applies this within a second")
    for other in others:
        whom = "" if other.endpoint == "*" else f" --endpoint {other.endpoint}"
        click.echo(f"still off by another switch: hookferry events on '{other.pattern}'{whom}")


def _named(subject: EventTypes) -> str:
    from bridge.core.switches import ALL

    return f"{subject.pattern} for {'all endpoints' if subject.endpoint == ALL else subject.endpoint}:"


def _already(was: bool) -> str:
    return " (it was already)" if was else ""


async def _turn(
    path: Path, pattern: str, endpoint: str | None, reason: str, *, on: bool
) -> tuple[EventTypes, bool, list[EventTypes]]:
    """Write the switch. Return its subject, whether it was so before, and other switches that cover it."""
    from bridge.cli.terminal import ensure_control_topic, read_settings
    from bridge.core.switches import ALL, EventTypes, Switches

    settings, switches = read_settings(path), Switches[EventTypes]()
    _check(settings, path, pattern, endpoint, on=on)
    subject = EventTypes(pattern, endpoint or ALL)
    await ensure_control_topic(settings)
    control = _control(settings, switches)
    await control.load()
    before = switches[subject]
    others = [other for other in switches.off() if other != subject and _covers(other, subject)]
    if (on and not before.on) or not on:  # turning on what was never off needs no record
        await control.write(subject, control.switch(on, reason))
    return subject, before.on == on, others


def _covers(other: EventTypes, subject: EventTypes) -> bool:
    """Return True if the two switches can match the same event type, judging by their patterns."""
    from fnmatch import fnmatchcase

    from bridge.core.switches import ALL

    same_whom = other.endpoint in (ALL, subject.endpoint) or subject.endpoint == ALL
    return same_whom and (
        fnmatchcase(subject.pattern, other.pattern) or fnmatchcase(other.pattern, subject.pattern)
    )


def _check(settings: Settings, path: Path, pattern: str, endpoint: str | None, *, on: bool) -> None:
    """Raise ``ConfigError`` for an unknown name: its switch would have no effect."""
    from pydantic_core import PydanticCustomError

    from bridge.errors import ConfigError
    from bridge.settings.models.values import event_pattern
    from bridge.settings.problem import choice, printable
    from bridge.settings.rules.endpoints import unknown_type

    if endpoint is not None and endpoint not in settings.endpoints:
        guess = choice(endpoint, settings.endpoints, "the endpoints are")
        raise ConfigError([f'{path} has no endpoint "{printable(endpoint)}"; {guess}'])
    shown = f'"{printable(pattern)}"'
    if pattern.startswith("!"):
        raise ConfigError([f"{shown} is an exclusion; give the type or pattern to switch, without !"])
    try:
        event_pattern(pattern)
    except PydanticCustomError as exc:
        raise ConfigError([f"{shown} {exc.message()}"]) from None
    if len(pattern) > 300:
        raise ConfigError([f"{shown} is longer than 300 characters; write a pattern such as Loan*"])
    known = all(
        source.format == "fineract" and not source.custom_types for source in settings.sources.values()
    )
    if not on and known and (wrong := unknown_type(pattern)):
        raise ConfigError([f"{shown}: {'; '.join(wrong)}"])


def _control(settings: Settings, switches: Switches[EventTypes]) -> ControlTopic:
    from bridge.cli.terminal import operator_name
    from bridge.core.switches import Switches
    from bridge.wiring.kafka import build_control

    return build_control(settings, Switches[str](), switches, operator_name())
