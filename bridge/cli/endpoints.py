"""``hookferry endpoints``: show each endpoint with its state and lag; turn endpoints on and off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import progress
from bridge.cli.backlog import scan_option
from bridge.cli.output import Output, colored, output_option, show, table
from bridge.cli.run import config_option
from bridge.cli.shared_options import off_reason_option
from bridge.cli.shell_names import endpoint_names
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.cli.endpoint_rows import EndpointRow
    from bridge.core.switches import Switches
    from bridge.kafka.control_topic import ControlTopic
    from bridge.settings import Settings


@click.group(short_help="Show the endpoints; turn them off and on.")
def endpoints() -> None:
    """Show the endpoints, and turn them on and off while the bridge runs."""


@endpoints.command("list", short_help="Show each endpoint: on or off, why, and its lag.")
@scan_option
@watch_option
@output_option
@config_option
def list_(path: Path, output: Output, scan: int, every_s: float | None) -> None:
    """Show each endpoint: whether it is on, since when and why, and how many events wait for it.

    LAG counts the events that the endpoint selects and that are not settled. "5000+" means that more may
    follow what was read, and "≤5000" that these are offsets. OLDEST is the age of the oldest event. The last
    line has the limits that the bridge on this machine has found for overloaded receivers.
    """
    watch(lambda: _print(path, output, scan), every_s)


def _print(path: Path, output: Output, scan: int) -> None:
    from bridge.cli.local_bridge import ask_limits, describe_limits
    from bridge.cli.terminal import read_settings

    settings = read_settings(path)
    rows = progress.run(_look(settings, path, scan), "asking the brokers")
    slowed = ask_limits(settings)
    show(
        output,
        [row.as_json(slowed) for row in rows],
        lambda: [endpoint_table(rows), describe_limits(settings, slowed)],
    )


def endpoint_table(rows: Sequence[EndpointRow]) -> str:
    """Return the endpoints as a table."""
    import time

    from bridge.core.lag import age

    now_s = time.time()
    lines = [("ENDPOINT", "STATE", "LAG", "OLDEST", "SINCE", "BY", "REASON")]
    for row in rows:
        state = colored(row.switch.state, "green" if row.switch.on else "red")
        lag, oldest = ("-", "-") if row.lag is None else (str(row.lag), age(row.lag.oldest_ms, now_s))
        told = [text or "-" for text in (row.switch.since, row.switch.by, row.switch.reason)]
        lines.append((row.endpoint, state, lag, oldest, told[0], told[1], told[2]))
    return table(lines)


@endpoints.command(short_help="Turn an endpoint on: it continues where it stopped, at once.")
@click.argument("name", shell_complete=endpoint_names)
@output_option
@config_option
def on(name: str, path: Path, output: Output) -> None:
    """Turn the endpoint NAME on again: it continues where it stopped, in order.

    It is tried at once: an open breaker, a Retry-After and the delays of retries end. That also holds for an
    endpoint that is on.
    """
    _report(output, progress.run(_turn(path, name, "turned on by an operator", on=True)))


@endpoints.command(short_help="Turn an endpoint off: its events wait in Kafka.")
@click.argument("name", shell_complete=endpoint_names)
@off_reason_option
@output_option
@config_option
def off(name: str, reason: str, path: Path, output: Output) -> None:
    """Turn the endpoint NAME off: the bridge sends nothing to it, and its events wait in Kafka."""
    _report(output, progress.run(_turn(path, name, reason, on=False)))


def _report(output: Output, done: Mapping[str, Any]) -> None:
    was = " (it was already)" if done["before"] == done["state"] else ""
    line = f"{done['endpoint']} is {done['state']}{was}; every running bridge applies this within a second"
    show(output, done, lambda: [line])


async def _look(settings: Settings, path: Path, scan: int) -> list[EndpointRow]:
    from bridge.cli.endpoint_rows import read_rows
    from bridge.core.switches import EventTypes, Switches
    from bridge.kafka.session import AdminSession
    from bridge.wiring.kafka import build_kafka_options

    async with AdminSession(build_kafka_options(settings.kafka)) as visit:
        return await read_rows(visit, settings, path, scan, Switches[str](), Switches[EventTypes]())


async def _turn(path: Path, name: str, reason: str, *, on: bool) -> dict[str, Any]:
    """Write the switch; return what it is now, and what it was, as JSON values."""
    from bridge.cli.names import require_endpoint
    from bridge.cli.terminal import ensure_control_topic, read_settings
    from bridge.core.switches import Switches
    from bridge.wiring.audit import switch_records

    settings = read_settings(path)
    require_endpoint(path, name, settings.endpoints)
    switches = Switches[str]()
    control = _control(settings, switches)
    await ensure_control_topic(settings)
    await control.load()
    before = switches[name]
    switch = control.switch(on, reason)
    await control.write_all(switch_records(name, switch))
    return {
        "endpoint": name,
        "state": switch.state,
        "before": before.state,
        "since": switch.since,
        "by": switch.by,
        "reason": switch.reason,
    }


def _control(settings: Settings, switches: Switches[str]) -> ControlTopic:
    from bridge.cli.terminal import operator_name
    from bridge.core.switches import EventTypes, Switches
    from bridge.wiring.kafka import build_control

    return build_control(settings, switches, Switches[EventTypes](), operator_name())
