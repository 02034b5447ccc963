"""The schemas of the sources as the console shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bridge.console.state_views import SchemaRow
from bridge.schemas.folder import read_stored
from bridge.settings import Settings


def list_schemas(settings: Settings) -> list[SchemaRow]:
    """Return every schema in the folders of the sources, by source and name. It reads the folders."""
    rows = [
        row
        for source, folder in _folders(settings)
        for row in {row.version: row for row in _rows(source, folder)}.values()
    ]
    return sorted(rows, key=lambda row: (row.source, row.name, row.version))


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    for name, source in settings.sources.items():
        folder = getattr(source, "schemas", None)
        if isinstance(folder, Path):
            yield name, folder


def _rows(source: str, folder: Path) -> Iterator[SchemaRow]:
    problems: list[str] = []
    for stored in read_stored(folder, problems):
        fields = tuple(str(field["name"]) for field in stored.definition.get("fields", ()))
        yield SchemaRow(source, stored.schema.name, stored.schema.fingerprint.hex(), stored.origin, fields)
