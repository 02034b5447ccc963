"""Writes schemas to files: one complete file for each layout, named by type and fingerprint.

A file appears whole or not at all, because a running bridge may read the folder. Existing files are not
changed, so importing the same source again changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.schemas.folder import FROM, imported_file_name, read_imported
from bridge.schemas.importing.budget import ImportRefused
from bridge.schemas.importing.collecting import Collected, Collection, describe_conflict
from bridge.schemas.importing.reading import Skip

_PRECISION = 27
"""Digits of Fineract's decimals, for other programs; the bridge reads any number of digits."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of an import."""

    folder: Path
    new: Sequence[Collected]
    known: Sequence[Collected]
    conflicts: Sequence[Skip]
    skipped: Sequence[Skip]

    @property
    def found(self) -> int:
        """The number of schemas in the source."""
        return len(self.new) + len(self.known)


def store(collection: Collection, folder: Path) -> Summary:
    """Write the new schemas. Raises ``ImportRefused`` if the folder cannot be written."""
    new, known, conflicts = list[Collected](), list[Collected](), list(collection.conflicts)
    try:
        if collection.schemas:
            folder.mkdir(parents=True, exist_ok=True)
        for collected in sorted(collection.schemas.values(), key=_order):
            path = folder / imported_file_name(collected.schema)
            existing = read_imported(path)
            if existing is None:
                _write(path, collected)
                new.append(collected)
                continue
            known.append(collected)
            if existing.definition != collected.definition:
                conflicts.append(Skip(collected.origin, describe_conflict(collected.schema, path.name)))
    except OSError as exc:
        raise ImportRefused(
            f"{exc.filename or folder}: cannot be written: {exc.strerror or exc}; "
            "name a folder that can be written (--into)"
        ) from exc
    return Summary(folder, new, known, conflicts, collection.skipped)


def _order(collected: Collected) -> tuple[str, bytes]:
    return collected.schema.name, collected.schema.fingerprint


def _write(path: Path, collected: Collected) -> None:
    document = {**_with_precision(collected.definition), FROM: collected.origin}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        unfinished.write_text(f"{text}\n", "utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _with_precision(node: Any) -> Any:
    """Return the definition with a precision that other programs accept, too."""
    if isinstance(node, list):
        return [_with_precision(item) for item in node]
    if not isinstance(node, dict):
        return node
    whole = {name: _with_precision(value) for name, value in node.items()}
    if node.get("logicalType") == "decimal" and isinstance(node.get("scale"), int):
        whole["precision"] = max(_PRECISION, node["scale"])
    return whole
