"""``hookferry route``: show which endpoints get an event, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import progress
from bridge.cli.output import Output, at_most, cut, output_option, show
from bridge.cli.run import config_option
from bridge.cli.shell_names import event_types, source_names

if TYPE_CHECKING:
    from bridge.core.routing import Refusal, Router
    from bridge.formats.avro.schema_set import SchemaSet
    from bridge.model import Event
    from bridge.settings import Settings

_LONGEST_SHOWN = 100


@click.command(short_help="Show which endpoints get an event, and why the others do not.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--sample",
    "-s",
    "type_",
    metavar="TYPE",
    shell_complete=event_types,
    help="Use a sample of this event type instead of FILE.",
)
@click.option(
    "--source",
    metavar="NAME",
    shell_complete=source_names,
    help="The source of the event; required if there are several.",
)
@click.option(
    "--live", is_flag=True, help="Also read from Kafka which event types and endpoints are off now."
)
@output_option
@config_option
def route(
    file: Path | None, type_: str | None, source: str | None, live: bool, path: Path, output: Output
) -> None:
    """Show for each endpoint whether it gets the event in FILE, or which of its settings excludes it.

    FILE contains a JSON object with type and data, and, where a setting depends on them, id, time, entity,
    tenant, source, topic, headers, context. Its data gets the types that the schema of the source declares,
    as that of a delivered event. Sends nothing.
    """
    from bridge.cli.terminal import read_settings
    from bridge.settings import uses
    from bridge.wiring.endpoints import build_router

    if (file is None) == (type_ is None):
        raise click.UsageError("give either FILE or --sample TYPE")
    settings = read_settings(path, uses.LIVE_ROUTING if live else uses.ROUTING)
    event = _event(settings, file, type_, source)
    router = build_router(settings)
    off = progress.run(_load_switches(settings, router)) if live else []
    documents = [
        _document(settings, name, refusal, event, is_off=name in off)
        for name, refusal in router.explain(event).items()
    ]
    head = {"type": event.type, "source": event.source, "topic": event.topic}
    show(output, head | {"endpoints": documents}, lambda: _lines(event, documents))


def _document(
    settings: Settings, name: str, refusal: Refusal | None, event: Event, *, is_off: bool
) -> dict[str, Any]:
    """Return what happens to the event at an endpoint, as JSON values."""
    read = refusal is None or refusal.rule in ("when", "parked")
    when = settings.endpoints[name].when
    return {
        "endpoint": name,
        "gets_it": refusal is None,
        "parked": refusal is not None and refusal.rule == "parked",
        "endpoint_off": is_off,
        "rule": None if refusal is None or refusal.rule == "parked" else refusal.rule,
        "cause": None if refusal is None else refusal.cause,
        "when": " ".join(when.split()) if read and when else None,
        "values": _filter_values(when, event) if read else {},
        "result": _describe(refusal, is_off=is_off),
    }


def _lines(event: Event, documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    width = max(len(row["endpoint"]) for row in documents)
    yield f"{event.type} of source {event.source}, topic {event.topic}"
    for row in documents:
        yield f"{row['endpoint']:<{width}}  {row['result']}"
        if row["values"]:
            yield f"{'':<{width}}    when: {row['when']}"
        for text, value in row["values"].items():
            yield f"{'':<{width}}    {text} = {cut(value, at_most(_LONGEST_SHOWN))}"


def _describe(refusal: Refusal | None, *, is_off: bool) -> str:
    if refusal is None:
        return "gets it, once the endpoint is on again" if is_off else "gets it"
    if refusal.rule == "parked":
        return f"parked, unsent: {refusal.cause}"
    return f"no, {refusal.rule}: {refusal.cause}"


def _filter_values(when: str | None, event: Event) -> dict[str, str]:
    """Return the value at each path that the filter reads, as text; none if it cannot be decoded."""
    from bridge.core.filter import Filter
    from bridge.errors import DecodeError

    if when is None:
        return {}
    try:
        values = Filter(when).path_values(event)
    except DecodeError:
        return {}  # the refusal has this as its cause
    return {text: _shown(value) for text, value in values.items()}


def _shown(value: Any) -> str:
    import orjson

    from bridge.core.filter import ABSENT

    if value is ABSENT:
        return "absent"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "none" if value is None else orjson.dumps(value, default=str).decode()


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
    from bridge.preflight.samples.delivered import type_as_delivered
    from bridge.settings.names import require_type
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
    if file is not None and (note := type_as_delivered(event, settings.sources[name], file)):
        click.echo(f"note: {name}: {note}", err=True)
    require_type(event.type, [settings.sources[name]])
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
