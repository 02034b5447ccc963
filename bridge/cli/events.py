"""``hookferry events``: show the event types that are off; turn event types off and on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bridge.cli import progress
from bridge.cli.asking import confirm, yes_option
from bridge.cli.output import Output, output_option, show, table
from bridge.cli.run import config_option
from bridge.cli.shared_options import off_reason_option
from bridge.cli.shell_names import endpoint_names, event_types
from bridge.cli.watching import watch, watch_option

if TYPE_CHECKING:
    from bridge.core.switches import EventTypes, Switch, Switches
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
@watch_option
@output_option
@config_option
def list_(path: Path, output: Output, every_s: float | None) -> None:
    """Show the event types that are off: for which endpoint, since when and why."""
    watch(lambda: _print(path, output), every_s)


def _print(path: Path, output: Output) -> None:
    from bridge.cli.terminal import load_switches, read_settings
    from bridge.core.switches import ALL, EventTypes, Switches

    settings, switches = read_settings(path), Switches[EventTypes]()
    progress.run(load_switches(settings, Switches[str](), switches))
    documents = [_document(types, switches[types], settings) for types in switches.off()]
    lines = [("TYPES", "ENDPOINT", "SINCE", "BY", "REASON")]
    for row in documents:
        whom, told = row["endpoint"], [row[name] or "-" for name in ("since", "by", "reason")]
        shown = "all" if whom == ALL else whom if row["configured"] else f"{whom} (not configured)"
        lines.append((row["types"], shown, told[0], told[1], told[2]))
    show(output, documents, lambda: [table(lines) if documents else "no event type is off"])


def _document(types: EventTypes, switch: Switch, settings: Settings) -> dict[str, Any]:
    from bridge.core.switches import ALL

    return {
        "types": types.pattern,
        "endpoint": types.endpoint,
        "state": switch.state,
        "configured": types.endpoint == ALL or types.endpoint in settings.endpoints,
        "since": switch.since or None,
        "by": switch.by or None,
        "reason": switch.reason or None,
    }


@events.command(short_help="Stop sending events of a type.")
@click.argument("types", metavar="TYPE|PATTERN", shell_complete=event_types)
@_endpoint
@off_reason_option
@yes_option
@output_option
@config_option
def off(types: str, endpoint: str | None, reason: str, yes: bool, path: Path, output: Output) -> None:
    """Stop sending events of TYPE, or of the types that match a PATTERN such as 'Loan*'.

    Requires a confirmation, because what is skipped while a type is off is not sent later.
    """
    whom = f"the endpoint {endpoint}" if endpoint else "all endpoints"
    question = (
        f"Events of {types} for {whom} are skipped while it is off, and are not sent later. Turn it off?"
    )
    turned = progress.run(_turn(path, types, endpoint, reason, on=False, question=question, yes=yes))
    show(
        output,
        turned.document,
        lambda: [
            f"{_named(turned.subject)} off{_already(turned.was)};"
            " every running bridge applies this within a second",
            "The bridge skips these events, waiting ones included, and does not send them later.",
            "The metric hookferry_events_off_total counts them. To get them later, read them from Kafka",
            "again (docs/how-to/routing.md). To turn them on: hookferry events on",
        ],
    )


@events.command(short_help="Send events of a type again, from now on.")
@click.argument("types", metavar="TYPE|PATTERN", shell_complete=event_types)
@_endpoint
@output_option
@config_option
def on(types: str, endpoint: str | None, path: Path, output: Output) -> None:
    """Send events of TYPE again, from now on; PATTERN as it was switched off."""
    turned = progress.run(_turn(path, types, endpoint, "turned on by an operator", on=True))
    lines = [
        f"{_named(turned.subject)} on{_already(turned.was)};"
        " every running bridge applies this within a second"
    ]
    for other in turned.others:
        whom = "" if other.endpoint == "*" else f" --endpoint {other.endpoint}"
        lines.append(f"still off by another switch: hookferry events on '{other.pattern}'{whom}")
    show(output, turned.document, lambda: lines)


def _named(subject: EventTypes) -> str:
    from bridge.core.switches import ALL

    return f"{subject.pattern} for {'all endpoints' if subject.endpoint == ALL else subject.endpoint}:"


def _already(was: bool) -> str:
    return " (it was already)" if was else ""


class Turned(NamedTuple):
    """A switch that was set: its subject, whether it was so before, and other switches that cover it."""

    subject: EventTypes
    was: bool
    others: list[EventTypes]
    document: dict[str, Any]


async def _turn(
    path: Path,
    pattern: str,
    endpoint: str | None,
    reason: str,
    *,
    on: bool,
    question: str = "",
    yes: bool = False,
) -> Turned:
    """Write the switch, after the question if there is one. Raises ``ConfigError``, ``KafkaUnavailable``."""
    from bridge.cli.terminal import ensure_control_topic, read_settings
    from bridge.core.switches import ALL, EventTypes, Switches
    from bridge.settings import uses
    from bridge.wiring.audit import switch_records

    settings, switches = read_settings(path, uses.SWITCHING), Switches[EventTypes]()
    _check(settings, path, pattern, endpoint)
    subject = EventTypes(pattern, endpoint or ALL)
    if not on:
        _check_selected(settings, pattern, endpoint)
        confirm(question, yes=yes)
    await ensure_control_topic(settings)
    control = _control(settings, switches)
    await control.load()
    before = switches[subject]
    others = [other for other in switches.off() if other != subject and _covers(other, subject)]
    if on and not before.since and not others:  # it was never switched: the name may be misspelt
        _check_was_off(settings, subject, list(switches.off()))
    if (on and not before.on) or not on:  # turning on what was never off needs no record
        switch = control.switch(on, reason)
        await control.write_all(switch_records(subject, switch))
    else:
        switch = before
    document = _document(subject, switch, settings) | {
        "before": before.state,
        "still_off_by": [{"types": other.pattern, "endpoint": other.endpoint} for other in others],
    }
    return Turned(subject, before.on == on, others, document)


def _covers(other: EventTypes, subject: EventTypes) -> bool:
    """Return True if the two switches can match the same event type, judging by their patterns."""
    from fnmatch import fnmatchcase

    from bridge.core.switches import ALL

    same_whom = other.endpoint in (ALL, subject.endpoint) or subject.endpoint == ALL
    return same_whom and (
        fnmatchcase(subject.pattern, other.pattern) or fnmatchcase(other.pattern, subject.pattern)
    )


def _check(settings: Settings, path: Path, pattern: str, endpoint: str | None) -> None:
    """Raise ``ConfigError`` for an unknown endpoint, or a text that is no pattern."""
    from pydantic_core import PydanticCustomError

    from bridge.cli.names import require_endpoint
    from bridge.errors import ConfigError
    from bridge.settings.models.values import event_pattern
    from bridge.settings.problem import printable

    if endpoint is not None:
        require_endpoint(path, endpoint, settings.endpoints)
    shown = f'"{printable(pattern)}"'
    if pattern.startswith("!"):
        raise ConfigError([f"{shown} is an exclusion; give the type or pattern to switch, without !"])
    try:
        event_pattern(pattern)
    except PydanticCustomError as exc:
        raise ConfigError([f"{shown} {exc.message()}"]) from None
    if len(pattern) > 300:
        raise ConfigError([f"{shown} is longer than 300 characters; write a pattern such as Loan*"])


def _check_selected(settings: Settings, pattern: str, endpoint: str | None) -> None:
    """Raise ``ConfigError`` for types that do not exist, or that no endpoint selects."""
    from bridge.settings.names import require_selected, require_type

    require_type(pattern, settings.sources.values())
    require_selected(pattern, settings, endpoint)


def _check_was_off(settings: Settings, subject: EventTypes, off: Sequence[EventTypes]) -> None:
    """Raise ``ConfigError`` for turning on what was never off, unless it is a type that surely exists."""
    from bridge.errors import ConfigError
    from bridge.settings import FineractSource
    from bridge.settings.models.fineract_types import FINERACT_TYPES
    from bridge.settings.problem import choice, printable

    has_fineract = any(isinstance(source, FineractSource) for source in settings.sources.values())
    known = [kind for endpoint in settings.endpoints.values() for kind in endpoint.wanted if kind != "*"]
    known += FINERACT_TYPES if has_fineract else ()
    if subject.pattern in known:
        return
    _check_selected(settings, subject.pattern, None if subject.endpoint == "*" else subject.endpoint)
    patterns = dict.fromkeys(types.pattern for types in off)
    remedy = choice(subject.pattern, patterns, "off are") if patterns else "no event type is off"
    raise ConfigError([f'"{printable(subject.pattern)}" was never switched off; {remedy}'])


def _control(settings: Settings, switches: Switches[EventTypes]) -> ControlTopic:
    from bridge.cli.terminal import operator_name
    from bridge.core.switches import Switches
    from bridge.wiring.kafka import build_control

    return build_control(settings, Switches[str](), switches, operator_name())
