"""``hookferry route``: which endpoints get an event, and why the others do not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.run import config_option

if TYPE_CHECKING:
    from bridge.model import Event
    from bridge.route import Router
    from bridge.settings import Settings

_MOST_BYTES = 16_777_216
_KEYS = ("type", "id", "time", "entity", "tenant", "source", "topic", "headers", "context", "data")
_LONGEST_SHOWN = 100


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--live", is_flag=True, help="Also ask Kafka which event types and endpoints are off just now.")
@config_option
def route(file: Path, live: bool, path: Path) -> None:
    """Say for each endpoint whether it gets the event in FILE, or which of its settings says no.

    FILE (- is standard input) holds a JSON object: type, and as far as they matter id, time, entity,
    tenant, source, topic, headers, context, data. Nothing is sent.
    """
    from bridge import assembly
    from bridge.cli.terminal import read_settings

    settings = read_settings(path)
    event = _event(settings, file)
    router = assembly.router(settings)
    off = asyncio.run(_ask_kafka(settings, router)) if live else []
    click.echo(f"{event.type} of source {event.source}, topic {event.topic}")
    width = max(map(len, settings.endpoints))
    for name, refusal in router.explain(event).items():
        if refusal is None:
            said = "gets it, once the endpoint is on again" if name in off else "gets it"
        elif refusal.rule == "parked":
            said = f"parked, unsent: {refusal.cause}"
        else:
            said = f"no, {refusal.rule}: {refusal.cause}"
        click.echo(f"{name:<{width}}  {said}")
        if refusal is None or refusal.rule in ("when", "parked"):
            for line in _looked_at(settings.endpoints[name].when, event):
                click.echo(f"{'':<{width}}    {line}")


def _looked_at(when: str | None, event: Event) -> list[str]:
    """What the filter found at each of its paths."""
    from bridge.filter import Filter

    if when is None:
        return []
    return [f"when: {' '.join(when.split())}"] + [
        f"{text} = {_shown(value)}" for text, value in Filter(when).looked_at(event).items()
    ]


def _shown(value: Any) -> str:
    import orjson

    text = "none" if value is None else orjson.dumps(value, default=str).decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


async def _ask_kafka(settings: Settings, router: Router[str]) -> list[str]:
    """Tell the router what is off; the endpoints that are off as a whole. Raises ``KafkaUnavailable``."""
    from bridge.cli.terminal import load_switches
    from bridge.switches import EventTypes, Switches, off_for

    switches, event_types = Switches[str](), Switches[EventTypes]()
    await load_switches(settings, switches, event_types)
    router.turn_off({name: off_for(event_types, name) for name in settings.endpoints})
    return list(switches.off())


def _event(settings: Settings, file: Path) -> Event:
    """The event a file describes. Raises ``HookferryError`` that says what is wrong with it."""
    from bridge.errors import HookferryError

    given = _read(file)
    if not isinstance(given, dict):
        raise HookferryError(f'{file}: is not a JSON object; write {{"type": "…", "data": {{…}}}}')
    unknown = [key for key in given if key not in _KEYS]
    if unknown:
        from bridge.settings.place import choice, printable

        raise HookferryError(
            f'{file}: "{printable(unknown[0])}" is not a key; {choice(unknown[0], _KEYS, "the keys are")}'
        )
    if not given.get("type"):
        raise HookferryError(f'{file}: has no type; add "type": "…"')
    return _made(settings, file, given)


def _read(file: Path) -> Any:
    import orjson

    from bridge.errors import HookferryError

    try:
        with click.open_file(str(file), "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as exc:
        raise HookferryError(f"{file}: cannot be read ({exc.strerror}); correct the path") from exc
    if len(content) > _MOST_BYTES:
        raise HookferryError(f"{file}: is larger than {_MOST_BYTES} bytes; check that it is an event")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise HookferryError(f"{file}:{exc.lineno}:{exc.colno}: is not JSON; correct it there") from exc


def _made(settings: Settings, file: Path, given: dict[str, Any]) -> Event:
    from bridge.errors import HookferryError
    from bridge.model import Event, Partition, Record

    for key in ("type", "id", "time", "entity", "tenant", "source", "topic"):
        if given.get(key) is not None and not isinstance(given[key], str):
            raise HookferryError(f"{file}: {key} is not text; put it in quotes")
    for key in ("headers", "context"):
        found = given.setdefault(key, {})
        if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
            raise HookferryError(f'{file}: {key} is not an object of texts; write {{"name": "text"}}')
    source, topic = _place(settings, file, given)
    headers = tuple((name, text.encode()) for name, text in given["headers"].items())
    data = given.get("data")
    return Event(
        record=Record(Partition(topic, 0), 0, 0, None, b"", headers),
        source=source,
        id=given.get("id") or "example",
        type=given["type"],
        time=given.get("time") or "",
        entity=given.get("entity"),
        tenant=given.get("tenant"),
        lane=None,
        decode_payload=lambda: data,
        context=given["context"],
    )


def _place(settings: Settings, file: Path, given: dict[str, Any]) -> tuple[str, str]:
    """The source and the topic an event comes from: as it says, or the only ones there are."""
    from bridge.errors import HookferryError
    from bridge.settings.place import choice

    by_topic = {topic: name for name, source in settings.sources.items() for topic in source.topics}
    topic = given.get("topic")
    source = given.get("source") or by_topic.get(topic or "")
    if source is None and len(settings.sources) == 1:
        source = next(iter(settings.sources))
    if source is None:
        names = ", ".join(settings.sources)
        raise HookferryError(f'{file}: does not say of which source it is; add "source", one of {names}')
    if source not in settings.sources:
        raise HookferryError(
            f"{file}: there is no such source; {choice(source, settings.sources, 'the sources are')}"
        )
    topics = settings.sources[source].topics
    if topic is None:
        topic = topics[0]
    elif topic not in topics:
        raise HookferryError(
            f"{file}: source {source} does not read that topic; {choice(topic, topics, 'it reads')}"
        )
    return source, topic
