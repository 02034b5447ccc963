"""Detect the format of one record, decode it, and show both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from bridge.errors import DecodeError, HookferryError, SchemaNeeded
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
    headers = ", ".join(name for name, _ in record.headers) or "none"
    head = f"{record.place}: {len(record.value or b'')} bytes, key {_key(record.key)}, headers: {headers}"
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
    yield f"data:    {shown[:_LONGEST]}{'…' if len(shown) > _LONGEST else ''}"


def _snippet(record: Record, guess: Guess) -> Iterator[str]:
    for hint in guess.open:
        yield f"  # {hint}"
    name = (
        "".join(c if c.isalnum() else "-" for c in record.partition.topic.lower()).strip("-")[:63] or "events"
    )
    body = {"topics": [record.partition.topic], "format": guess.format, **guess.settings}
    if isinstance(body.get("registry"), RegistrySettings):
        body["registry"] = {"url": body["registry"].url}  # without its login
    text = yaml.safe_dump({name: body}, sort_keys=False, default_flow_style=None, width=1000)
    for line in text.splitlines():
        yield f"  {line}"


def _key(key: bytes | None) -> str:
    if key is None:
        return "null"
    text = key.decode("utf-8", "replace")
    return repr(text[:80]) if text.isprintable() else f"{key[:40].hex()} (hex)"
