"""Give a sample from a file the data that the decoder of its source would produce from a record.

Invariant: `route`, `render` and `send` judge the same values as a running bridge: an amount that the schema
declares as a decimal is one, also if the file has it as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bridge.errors import ConfigError
from bridge.formats.fineract.bulk import BULK
from bridge.model import Event
from bridge.preflight.samples.payloads import schema_of
from bridge.preflight.samples.typed import MisfitError, Named, read_as
from bridge.schemas.folder import read_folder, read_schema_file
from bridge.settings import AvroSource, FineractSource, RegistrySettings, SourceSettings
from bridge.settings.models.fineract_types import FINERACT_TYPES

Layout = tuple[Any, Named]
"""A type as parsed by fastavro, and the named types that it uses."""


def type_as_delivered(event: Event, source: SourceSettings, file: Path) -> str | None:
    """Replace the data of a sample by what its source decodes. Return a note if that is not known.

    Raises ``ConfigError`` for a value that the schema does not allow.
    """
    data = event.payload()
    match source:
        case FineractSource():
            layouts = _fineract(event, source)
            if not layouts:
                return f"no schema of {event.type} is known, so the data counts as JSON has it"
        case AvroSource():
            layouts = [_within(read_schema_file(source.schema_file).layout, source.data)]
        case _:
            if isinstance(getattr(source, "registry", None), RegistrySettings):
                return "its schema is in the registry, which is not asked: the data counts as JSON has it"
            return None
    typed = _typed(data, layouts, file)
    event.payload = _constant(typed)
    return None


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _typed(data: Any, layouts: list[Layout], file: Path) -> Any:
    """Return the data as the first layout that it fits has it; the newest is first."""
    misfits = []
    for kind, named in layouts:
        try:
            return read_as(data, kind, named)
        except MisfitError as exc:
            misfits.append(exc)
    raise ConfigError([f"{file}: {misfits[0]}; write it as its schema declares it"])


def _fineract(event: Event, source: FineractSource) -> list[Layout]:
    """Return the layouts of the payload, the last one first, as `--sample` uses it."""
    named = event.context.get("dataschema")
    name = named if isinstance(named, str) else schema_of(event.type) if event.type in FINERACT_TYPES else ""
    if not name or name == BULK:
        return []
    return [(layout.parsed, layout.named) for layout in reversed(read_folder(source.schemas).named(name))]


def _within(layout: Layout, path: str | None) -> Layout:
    """Return the type of the part of the value that is sent as data (``data`` of the source)."""
    kind, named = layout
    for step in path.split(".") if path else ():
        kind = next(
            (
                field["type"]
                for record in _records(kind, named)
                for field in record["fields"]
                if field["name"] == step
            ),
            None,
        )
        if kind is None:
            raise ConfigError([f"data: the schema has no field {step!r}; correct data of the source"])
    return kind, named


def _records(kind: Any, named: Named) -> Iterator[dict[str, Any]]:
    """Yield the records among the alternatives of a type."""
    for member in kind if isinstance(kind, list) else [kind]:
        definition = named.get(member) if isinstance(member, str) else member
        if isinstance(definition, dict) and definition.get("type") == "record":
            yield definition
