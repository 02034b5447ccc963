"""Decode inspected records with the format that is detected, and judge all of them by one source.

Invariant: a record is judged by the source that is printed, so what is printed works for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bridge.errors import DecodeError, HookferryError, SchemaNeeded, Tombstone
from bridge.formats.avro.schema import AvroSchema
from bridge.formats.detect import NO_ID, Guess, detect_format, find_field_paths
from bridge.formats.payload_only import PayloadDecoder
from bridge.settings.models.registry import RegistrySettings
from bridge.settings.models.sources import SOURCE_MODELS

if TYPE_CHECKING:
    from bridge.formats import Decoder
    from bridge.model import Event, Record
    from bridge.schemas.registry.learn import Registries
    from bridge.settings import SourceSettings

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


class Judged(NamedTuple):
    """A record, and what the printed source makes of it: its events, or why it makes none.

    ``undecided``: its schema is in a registry that was not asked.
    """

    record: Record
    events: Sequence[Event]
    cause: str = ""
    undecided: bool = False


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
