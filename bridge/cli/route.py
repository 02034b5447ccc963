"""``hookferry route``: show which endpoints get an event, and why the others do not."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.run import config_option

if TYPE_CHECKING:
    from bridge.core.routing import Refusal, Router
    from bridge.formats.avro.schema_set import SchemaSet
    from bridge.model import Event
    from bridge.settings import Settings

_LONGEST_SHOWN = 100


@click.command(short_help="Show which endpoints get an event, and why the others do not.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--sample", "-s", "type_", metavar="TYPE", help="Use a sample of this event type instead of FILE."
)
@click.option("--source", metavar="NAME", help="The source of the event; required if there are several.")
@click.option(
    "--live", is_flag=True, help="Also read from Kafka which event types and endpoints are off now."
)
@config_option
def route(file: Path | None, type_: str | None, source: str | None, live: bool, path: Path) -> None:
    """Show for each endpoint whether it gets the event in FILE, or which of its settings excludes it.

    FILE contains a JSON object with type and data, and, where a setting depends on them, id, time, entity,
    tenant, source, topic, headers, context. Sends nothing.
    """
    from bridge.cli.terminal import read_settings
    from bridge.wiring.endpoints import build_router

    if (file is None) == (type_ is None):
        raise click.UsageError("give either FILE or --sample TYPE")
    settings = read_settings(path)
    event = _event(settings, file, type_, source)
    router = build_router(settings)
    off = asyncio.run(_load_switches(settings, router)) if live else []
    click.echo(f"{event.type} of source {event.source}, topic {event.topic}")
    width = max(map(len, settings.endpoints))
    for name, refusal in router.explain(event).items():
        click.echo(f"{name:<{width}}  {_describe(refusal, is_off=name in off)}")
        if refusal is None or refusal.rule in ("when", "parked"):
            for line in _filter_values(settings.endpoints[name].when, event):
                click.echo(f"{'':<{width}}    {line}")


def _describe(refusal: Refusal | None, *, is_off: bool) -> str:
    if refusal is None:
        return "gets it, once the endpoint is on again" if is_off else "gets it"
    if refusal.rule == "parked":
        return f"parked, unsent: {refusal.cause}"
    return f"no, {refusal.rule}: {refusal.cause}"


def _filter_values(when: str | None, event: Event) -> list[str]:
    """Return the filter, and the value at each path that it reads."""
    from bridge.core.filter import Filter
    from bridge.errors import DecodeError

    if when is None:
        return []
    try:
        values = Filter(when).path_values(event)
    except DecodeError:
        return []  # the refusal has this as its cause
    return [
        f"when: {' '.join(when.split())}",
        *(f"{text} = {_shown(value)}" for text, value in values.items()),
    ]


def _shown(value: Any) -> str:
    import orjson

    from bridge.core.filter import ABSENT

    if value is ABSENT:
        return "absent"
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = "none" if value is None else orjson.dumps(value, default=str).decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


async def _load_switches(settings: Settings, router: Router[str]) -> list[str]:
    """Pass the event types that are off to the router; return the endpoints that are off.

    Raises ``KafkaUnavailable``.
    """
    from bridge.cli.terminal import load_switches
    from bridge.core.switches import EventTypes, Switches, off_for

    switches, event_types = Switches[str](), Switches[EventTypes]()
    await load_switches(settings, switches, event_types)
    router.turn_off({name: off_for(event_types, name) for name in settings.endpoints})
    return list(switches.off())


def _event(settings: Settings, file: Path | None, type_: str | None, source: str | None) -> Event:
    """Build the event, with a source and a topic of the configuration. Raises ``ConfigError``."""
    from bridge.errors import ConfigError
    from bridge.model import Partition
    from bridge.preflight.samples import NO_TOPIC, sample
    from bridge.settings.problem import choice
    from bridge.wiring.topics import build_selection

    name: str | None
    if file is not None:
        event = sample(file, source="")
        name = source or event.source or _source_of(settings, event.topic)
        if name is None:
            sources = ", ".join(settings.sources)
            raise ConfigError([f"{file}: has no source; add --source with one of {sources}"])
    else:
        assert type_ is not None, "either a file or a type is given"
        name = source or _usual_source(settings, type_)
        event = sample(type_, topic=NO_TOPIC, schemas=_schemas(settings, name))
    if name not in settings.sources:
        guess = choice(name, settings.sources, "the sources are")
        raise ConfigError([f'{file or type_}: the configuration has no source "{name}"; {guess}'])
    selection, topic = build_selection(settings), event.topic
    if topic == NO_TOPIC:
        topic = selection.example(name)
    elif selection.source_of(topic) != name:
        guess = choice(topic, settings.sources[name].topics, "its topics are")
        raise ConfigError([f'{file}: source {name} does not read the topic "{topic}"; {guess}'])
    event.source, event.record = name, event.record._replace(partition=Partition(topic, 0))
    return event


def _source_of(settings: Settings, topic: str) -> str | None:
    """Return the source that reads the topic, else the only source."""
    from bridge.preflight.samples import NO_TOPIC
    from bridge.wiring.topics import build_selection

    reads = None if topic == NO_TOPIC else build_selection(settings).source_of(topic)
    return reads or (next(iter(settings.sources)) if len(settings.sources) == 1 else None)


def _usual_source(settings: Settings, type_: str) -> str:
    """Return the likely source of an event type: for Fineract's types, a source of that format."""
    from bridge.settings import FineractSource

    fineract = [name for name, source in settings.sources.items() if isinstance(source, FineractSource)]
    if type_.endswith("BusinessEvent") and fineract:
        return fineract[0]
    return next(iter(settings.sources))


def _schemas(settings: Settings, name: str) -> SchemaSet | None:
    """Return the schemas of a Fineract source, so that a sample has every field of its events."""
    from bridge.schemas.folder import read_folder
    from bridge.settings import FineractSource

    source = settings.sources.get(name)
    return read_folder(source.schemas) if isinstance(source, FineractSource) else None
