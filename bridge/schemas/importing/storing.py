"""Schemas to files: one self-contained file for each layout, named by type and fingerprint.

Takes a ``Collection``, gives a ``Summary``. A file appears whole or not at all, because a running bridge
may be looking; what is there already stays as it is, so the same import twice changes nothing.
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
from bridge.schemas.importing.collecting import Collection, Found, conflict
from bridge.schemas.importing.reading import Skip

_PRECISION = 27
"""Digits of Fineract's decimals; the bridge itself reads as many as there are."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an import did."""

    folder: Path
    new: Sequence[Found]
    known: Sequence[Found]
    conflicts: Sequence[Skip]
    skipped: Sequence[Skip]

    @property
    def found(self) -> int:
        """How many schemas the source holds."""
        return len(self.new) + len(self.known)


def store(collection: Collection, folder: Path) -> Summary:
    """Write what is new. Raises ``ImportRefused`` when the folder cannot be written."""
    new, known, conflicts = list[Found](), list[Found](), list(collection.conflicts)
    try:
        if collection.found:
            folder.mkdir(parents=True, exist_ok=True)
        for one in sorted(collection.found.values(), key=_order):
            path = folder / imported_file_name(one.schema)
            there = read_imported(path)
            if there is None:
                _write(path, one)
                new.append(one)
                continue
            known.append(one)
            if there.definition != one.definition:
                conflicts.append(Skip(one.origin, conflict(one.schema, path.name)))
    except OSError as exc:
        raise ImportRefused(
            f"{exc.filename or folder}: cannot be written: {exc.strerror or exc}; "
            "name a folder that can be (--into)"
        ) from exc
    return Summary(folder, new, known, conflicts, collection.skipped)


def _order(one: Found) -> tuple[str, bytes]:
    return one.schema.name, one.schema.fingerprint


def _write(path: Path, one: Found) -> None:
    document = {**_with_precision(one.definition), FROM: one.origin}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        unfinished.write_text(f"{text}\n", "utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _with_precision(node: Any) -> Any:
    """The definition with a precision that other programs accept, too."""
    if isinstance(node, list):
        return [_with_precision(one) for one in node]
    if not isinstance(node, dict):
        return node
    whole = {name: _with_precision(value) for name, value in node.items()}
    if node.get("logicalType") == "decimal" and isinstance(node.get("scale"), int):
        whole["precision"] = max(_PRECISION, node["scale"])
    return whole
