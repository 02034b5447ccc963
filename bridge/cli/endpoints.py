"""``hookferry endpoints``: show each endpoint with its state and lag; turn endpoints on and off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.run import config_option
from bridge.cli.shell_names import endpoint_names

if TYPE_CHECKING:
    from bridge.cli.lag import CursorLag
    from bridge.core.switches import Switches
    from bridge.kafka.control_topic import ControlTopic
    from bridge.settings import Settings


@click.group(short_help="Show the endpoints; turn them off and on.")
def endpoints() -> None:
    """Show the endpoints, and turn them on and off while the bridge runs."""


@endpoints.command("list", short_help="Show each endpoint: on or off, why, and its lag.")
@config_option
def list_(path: Path) -> None:
    """Show each endpoint: whether it is on, since when and why, and its lag in offsets.

    The last line has the limits that the bridge on this machine has found for overloaded receivers.
    """
    from bridge.cli.lag import total_lag
    from bridge.cli.local_bridge import describe_limits
    from bridge.cli.terminal import read_settings, table
    from bridge.core.switches import Switches

    settings = read_settings(path)
    switches = Switches[str]()
    rows = asyncio.run(_look(settings, switches))
    lines = [("ENDPOINT", "STATE", "LAG", "SINCE", "BY", "REASON")]
    for name in settings.endpoints:
        switch = switches[name]
        offsets = total_lag([row for row in rows if row.endpoint == name])
        shown = "-" if offsets is None else str(offsets)
        lines.append((name, switch.state, shown, switch.since or "-", switch.by or "-", switch.reason or "-"))
    click.echo(table(lines))
    click.echo(describe_limits(settings))


@endpoints.command(short_help="Turn an endpoint on: it continues where it stopped, at once.")
@click.argument("name", shell_complete=endpoint_names)
@config_option
def on(name: str, path: Path) -> None:
    """Turn the endpoint NAME on again: it continues where it stopped, in order.

    It is tried at once: an open breaker, a Retry-After and the delays of retries end. That also holds for an
    endpoint that is on.
    """
    asyncio.run(_turn(path, name, "turned on by an operator", on=True))


@endpoints.command(short_help="Turn an endpoint off: its events wait in Kafka.")
@click.argument("name", shell_complete=endpoint_names)
@click.option(
    "--reason",
    default="turned off by an operator",
    show_default=True,
    help="Why; `list` shows it.",
)
@config_option
def off(name: str, reason: str, path: Path) -> None:
    """Turn the endpoint NAME off: the bridge sends nothing to it, and its events wait in Kafka."""
    asyncio.run(_turn(path, name, reason, on=False))


async def _look(settings: Settings, switches: Switches[str]) -> list[CursorLag]:
    from bridge.cli.terminal import read_cursor_lags
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options, control_topic

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        if control_topic(settings.group) in await visit.topics():
            await _control(settings, switches).load()
        return await read_cursor_lags(visit, settings, settings.endpoints)


async def _turn(path: Path, name: str, reason: str, *, on: bool) -> None:
    from bridge.cli.terminal import ensure_control_topic, read_settings
    from bridge.core.switches import Switches
    from bridge.errors import ConfigError
    from bridge.settings.problem import choice, printable

    settings = read_settings(path)
    if name not in settings.endpoints:
        guess = choice(name, settings.endpoints, "the endpoints are")
        raise ConfigError([f'{path} has no endpoint "{printable(name)}"; {guess}'])
    switches = Switches[str]()
    control = _control(settings, switches)
    await ensure_control_topic(settings)
    await control.load()
    before = switches[name]
    switch = control.switch(on, reason)
    await control.write(name, switch)
    was = " (it was already)" if before.on == on else ""
    click.echo(f"{name} is {switch.state}{was}; every running bridge applies this within a second")


def _control(settings: Settings, switches: Switches[str]) -> ControlTopic:
    from bridge.cli.terminal import operator_name
    from bridge.core.switches import EventTypes, Switches
    from bridge.wiring.kafka import build_control

    return build_control(settings, switches, Switches[EventTypes](), operator_name())
