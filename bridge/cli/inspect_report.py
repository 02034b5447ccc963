"""Detect the format of one record, decode it, and show both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import yaml

from bridge.cli.output import at_most, cut
from bridge.errors import DecodeError, HookferryError, SchemaNeeded, Tombstone
from bridge.formats.avro.schema import AvroSchema
from bridge.formats.detect import NO_ID, Guess, detect_format, explain_undetected, find_field_paths
from bridge.formats.payload_only import PayloadDecoder
from bridge.formats.schema_cache import SchemaKey
from bridge.settings.models.registry import RegistrySettings
from bridge.settings.models.sources import SOURCE_MODELS

if TYPE_CHECKING:
    from bridge.formats import Decoder
    from bridge.model import Event, Record
    from bridge.schemas.registry.learn import Registries
    from bridge.settings import SourceSettings

_LONGEST = 4000
_SOURCE = "inspected"


def guess_format(
    record: Record, schema: AvroSchema | None, schema_file: str, registry: RegistrySettings | str | None
) -> Guess | None:
    """Return the detected format; a schema or a registry from the command line takes precedence."""
    if schema is not None:
        why = "all its bytes match the given schema"
        try:
            document = schema.read_bytes(record.value or b"", record.place).document
        except DecodeError as exc:
            raise HookferryError(
                f"{record.place}: not bare Avro with the schema of {schema_file}: {exc.cause}"
            ) from exc
        places = find_field_paths(document, dict(record.headers))
        return Guess(
            "avro", why, {"schema_file": schema_file, "id": "record:offset", **_without_type(places)}
        )
    guess = detect_format(record)
    if guess is not None and registry is not None and "registry" in guess.settings:
        guess.settings["registry"] = {"url": registry} if isinstance(registry, str) else registry
    return guess


def _without_type(places: Mapping[str, str]) -> dict[str, str]:
    return {setting: place for setting, place in places.items() if setting not in ("type", "data")}


async def decoded(record: Record, guess: Guess, *, ask_registry: bool) -> list[Event]:
    """Decode the record with the guessed settings; add the field paths found in its decoded value to them.

    Raises ``DecodeError``, ``RegistryUnavailable``, and ``SchemaNeeded`` without ``ask_registry``.
    """
    from bridge.wiring.decoders import build_decoder

    decoder, registries = _parts(record, guess)
    places: dict[str, str] = {}
    try:
        events = await _events(record, decoder, registries, ask_registry=ask_registry)
    finally:
        await registries.close()
    if isinstance(decoder, PayloadDecoder) and "registry" in guess.settings:
        places = _without_type(find_field_paths(events[0].payload(), dict(record.headers)))
    if not places:
        return events
    guess.settings |= places
    guess.open = [hint for hint in guess.open if "id" not in places or hint != NO_ID]
    again = build_decoder(_SOURCE, _settings(record, guess))
    assert isinstance(again, PayloadDecoder)
    return list(again.with_values(decoder.values).decode(record))  # they contain the schema that was fetched


async def _events(
    record: Record, decoder: Decoder, registries: Registries, *, ask_registry: bool
) -> list[Event]:
    while True:
        try:
            return list(decoder.decode(record))
        except SchemaNeeded as needed:
            if not ask_registry:
                raise
            await registries.learn(needed)


def _parts(record: Record, guess: Guess) -> tuple[Any, Registries]:
    from bridge.formats.avro.schema_set import SchemaSet
    from bridge.formats.fineract import FineractDecoder
    from bridge.schemas.folder import read_folder
    from bridge.schemas.registry.learn import Registries
    from bridge.wiring.decoders import build_decoder, build_registries

    if guess.format == "fineract":  # its envelope needs no schema file
        folder = Path(str(guess.settings.get("schemas", "")))
        schemas = read_folder(folder) if guess.settings.get("schemas") and folder.is_dir() else SchemaSet()
        return FineractDecoder(_SOURCE, schemas, max_value_bytes=1 << 30), Registries({})
    settings = _settings(record, guess)
    decoder = build_decoder(_SOURCE, settings)
    return decoder, build_registries({_SOURCE: settings}, {_SOURCE: decoder})


def _settings(record: Record, guess: Guess) -> SourceSettings:
    model = SOURCE_MODELS[guess.format]
    keys = {"topics": (record.partition.topic,), "format": guess.format, "max_value_bytes": 104_857_600}
    return cast("SourceSettings", model.model_validate(keys | guess.settings))


async def report(record: Record, guess: Guess | None, *, ask_registry: bool) -> Iterator[str]:
    """Return the lines about one record."""
    head = f"{record.place}: {describe(record)}"
    if guess is None:
        return iter([head, f"format:  not recognized: {explain_undetected(record.value or b'')}"])
    lines = [head, f"format:  {guess.format}, because {guess.why}"]
    try:
        events = await decoded(record, guess, ask_registry=ask_registry)
    except SchemaNeeded as needed:
        key = needed.key if isinstance(needed.key, SchemaKey) else "?"
        lines.append(f"event:   its schema has the {key}; give --registry URL to see it decoded")
    except HookferryError as exc:
        lines.append(f"event:   cannot be decoded: {exc}")
    else:
        lines += [line for event in events for line in _event(event)]
    return iter([*lines, "", "sources:", *_snippet(record, guess)])


def describe(record: Record) -> str:
    """Return size, key and headers of a record for people."""
    headers = ", ".join(name for name, _ in record.headers) or "none"
    return f"{len(record.value or b'')} bytes, key {_key(record.key)}, headers: {headers}"


class Judged(NamedTuple):
    """A record, and what the printed source makes of it: its events, or why it makes none.

    ``undecided``: its schema is in a registry that was not asked.
    """

    record: Record
    events: Sequence[Event]
    cause: str = ""
    undecided: bool = False

    def as_json(self, format: str) -> dict[str, Any]:
        """Return what was found as JSON values."""
        return {
            "place": self.record.place,
            "size_bytes": len(self.record.value or b""),
            "key": None if self.record.key is None else _key(self.record.key),
            "headers": [name for name, _ in self.record.headers],
            "format": format,
            "decoded": not self.cause,
            "cause": self.cause or None,
            "events": [_event_document(event) for event in self.events],
        }


async def judge(records: Sequence[Record], guess: Guess, *, ask_registry: bool) -> list[Judged]:
    """Decode all records with the one source that is printed, payloads included."""
    decoder, registries = _parts(records[-1], guess)
    judged = []
    try:
        for record in records:
            try:
                events = await _events(record, decoder, registries, ask_registry=ask_registry)
                for event in events:
                    event.payload()
            except Tombstone:
                judged.append(Judged(record, ()))  # the bridge skips it
            except SchemaNeeded as needed:
                judged.append(Judged(record, (), f"its schema has the {needed.key}", undecided=True))
            except HookferryError as exc:
                judged.append(Judged(record, (), str(exc)))
            else:
                judged.append(Judged(record, events))
    finally:
        await registries.close()
    return judged


def judgement(judged: Sequence[Judged]) -> Iterator[str]:
    """Yield how many records the source decodes, those that it does not, and ids that repeat."""
    good = sum(not one.cause for one in judged)
    if len(judged) > 1 or good < len(judged):
        yield f"judged:  {good} of {len(judged)} records are decoded with the source below"
    for one in judged:
        if one.cause:
            yield f"  {one.record.place}: {one.cause}"
    ids = Counter((event.tenant, event.id) for one in judged for event in one.events)
    for (_, id_), number in ids.most_common():
        if number > 1:
            yield (
                f"  the id {id_} comes {number} times: the bridge drops repetitions. If these are different"
                " events, name another place as id"
            )


def _event_document(event: Event) -> dict[str, Any]:
    from bridge.rendering import to_json

    return {
        "id": event.id,
        "type": event.type,
        "entity": event.entity,
        "tenant": event.tenant,
        "time": event.time,
        "time_source": event.time_source,
        "webhook_id": event.webhook_id,
        "data": json.loads(to_json(event.payload())),
    }


def _event(event: Event) -> Iterator[str]:
    from bridge.rendering import to_json

    for name in ("id", "type", "entity", "tenant"):
        text = getattr(event, name)
        if text is not None:
            yield f"{name + ':':<8} {text}"
    sources = {"event": "the event", "record": "the record's timestamp", "clock": "the clock of this machine"}
    yield f"time:    {event.time} (from {sources[event.time_source]})"
    for field in event.refused:
        yield f"refused: {field.setting} {field.value!r}: {field.cause}; used instead: {field.instead}"
    yield f"webhook: {event.webhook_id}"
    try:
        shown = to_json(event.payload()).decode("utf-8", "replace")
    except HookferryError as exc:
        shown = f"cannot be decoded: {exc}"
    yield f"data:    {cut(shown, at_most(_LONGEST))}"


def _snippet(record: Record, guess: Guess) -> Iterator[str]:
    for hint in guess.open:
        yield f"  # {hint}"
    text = yaml.safe_dump(source_of(record, guess), sort_keys=False, default_flow_style=None, width=1000)
    for line in text.splitlines():
        yield f"  {line}"


def source_of(record: Record, guess: Guess) -> dict[str, Any]:
    """Return the source to start with, by its name, without the login of a registry."""
    name = (
        "".join(c if c.isalnum() else "-" for c in record.partition.topic.lower()).strip("-")[:63] or "events"
    )
    body = {"topics": [record.partition.topic], "format": guess.format, **guess.settings}
    if isinstance(body.get("registry"), RegistrySettings):
        body["registry"] = {"url": body["registry"].url}
    return {name: body}


def _key(key: bytes | None) -> str:
    if key is None:
        return "null"
    text = key.decode("utf-8", "replace")
    return repr(text[: at_most(80)]) if text.isprintable() else f"{key[: at_most(40)].hex()} (hex)"
