"""Pieces to schemas: every record type that is complete, by the fingerprint that stands on the wire.

Takes schema files and class files in any order, gives a ``Collection``. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from bridge.formats.avro.definitions import DefinitionError, Scope
from bridge.formats.avro.schema_set import Schema
from bridge.schemas.folder import is_template
from bridge.schemas.importing.budget import Budget
from bridge.schemas.importing.class_file import ClassFileError, schema_text
from bridge.schemas.importing.reading import ClassFile, Piece, SchemaFile, Skip

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_LONGEST_NAME = 200
"""It becomes part of a file's name, and those end at 255 bytes."""
_SOURCES = ("src", "main", "avro")
"""Where Fineract's source tree keeps its schema files; what its build makes of them lies elsewhere."""
_DEEPEST = 400
"""Brackets inside one another in a schema's text; Python's own reader gives up at about 1,000."""


@dataclass(frozen=True, slots=True)
class Found:
    """A schema with its definition, and the file it came from."""

    schema: Schema
    definition: dict[str, Any]
    origin: str


@dataclass(slots=True)
class Collection:
    """What a source holds. ``conflicts`` have a fingerprint in common and mean different things by it."""

    found: dict[bytes, Found] = field(default_factory=dict)
    conflicts: list[Skip] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)

    def add(self, one: Found) -> None:
        """Keep a schema; the same one a second time changes nothing."""
        first = self.found.setdefault(one.schema.fingerprint, one)
        if first.definition != one.definition:
            self.conflicts.append(Skip(one.origin, conflict(one.schema, first.origin)))


def conflict(schema: Schema, other: str) -> str:
    """What to say of a schema that has the fingerprint of another one and differs from it."""
    return (
        f"{schema.name} {schema.fingerprint.hex()} reads its bytes differently than in {other}, as when "
        "decimals have another scale; the first is kept"
    )


def collect(pieces: Iterable[Piece], budget: Budget) -> Collection:
    """Make schemas of all pieces. Raises ``ImportRefused`` when they pass the budget."""
    collection = Collection()
    files: dict[str, list[SchemaFile]] = {}
    for piece in pieces:
        if isinstance(piece, Skip):
            collection.skipped.append(piece)
        elif isinstance(piece, SchemaFile):
            budget.schema()
            budget.text(len(piece.data))
            files.setdefault(piece.container, []).append(piece)
        else:
            _add_class(piece, collection, budget)
    for of_container in files.values():
        for label, of_scope in _scopes(of_container).items():
            _add_files(label, of_scope, collection, budget)
    return collection


def _add_class(piece: ClassFile, collection: Collection, budget: Budget) -> None:
    """A class file defines itself and all it refers to; the types it repeats have classes of their own."""
    try:
        text = schema_text(piece.data)
        if text is None:
            return
        budget.schema()
        scope = Scope(piece.origin)
        name = scope.add(_parsed(text, piece.origin), piece.origin)
        if name is not None and name in scope.records():
            _add(scope, name, collection, budget)
    except ClassFileError as exc:
        collection.skipped.append(Skip(piece.origin, str(exc)))
    except DefinitionError as exc:
        collection.skipped.append(Skip(piece.origin, _cause(exc, piece.origin)))


def _scopes(files: list[SchemaFile]) -> dict[str, list[SchemaFile]]:
    """The files whose names belong together: a ``src/main/avro``, else the container or its subfolders.

    What a build copied elsewhere is left out, because a stale copy would contradict its source.
    """
    from_sources: dict[str, list[SchemaFile]] = {}
    for file in files:
        root = _source_root(file.path)
        if root is not None:
            from_sources.setdefault(root, []).append(file)
    if from_sources:
        return from_sources
    if any(len(file.path.parts) == 1 for file in files) or not _are_versions(files):
        return {files[0].container: files}
    found: dict[str, list[SchemaFile]] = {}
    for file in files:
        found.setdefault(file.path.parts[0], []).append(file)
    return found


def _source_root(path: PurePosixPath) -> str | None:
    parts = path.parts
    for at in range(len(parts) - len(_SOURCES)):
        if parts[at : at + len(_SOURCES)] == _SOURCES:
            return "/".join(parts[: at + len(_SOURCES)])
    return None


def _are_versions(files: list[SchemaFile]) -> bool:
    """Whether first-level folders stand for themselves: then the same file lies in more than one of them."""
    below = [PurePosixPath(*file.path.parts[1:]) for file in files]
    return len(set(below)) < len(below)


def _add_files(label: str, files: list[SchemaFile], collection: Collection, budget: Budget) -> None:
    scope = Scope(label)
    for file in files:
        try:
            definition = _parsed(file.data.decode("utf-8-sig"), file.origin)
            if not is_template(definition):
                scope.add(definition, file.origin)
        except UnicodeDecodeError as exc:
            collection.skipped.append(Skip(file.origin, f"not UTF-8: {exc.reason}"))
        except DefinitionError as exc:
            collection.skipped.append(Skip(file.origin, _cause(exc, file.origin)))
    for name in scope.records():
        try:
            _add(scope, name, collection, budget)
        except DefinitionError as exc:
            collection.skipped.append(Skip(scope.origin(name), _cause(exc, scope.origin(name))))


def _add(scope: Scope, name: str, collection: Collection, budget: Budget) -> None:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise DefinitionError(scope.origin(name), f"{name[:80]!r} is no name that a schema may have")
    if name.startswith("org.apache.avro."):
        raise DefinitionError(scope.origin(name), "belongs to Avro itself")
    schema, definition = scope.schema(name), scope.definition(name)
    budget.text(len(json.dumps(definition)))
    collection.add(Found(schema, definition, scope.origin(name)))


def _parsed(text: str, origin: str) -> Any:
    depth = most = 0
    for bracket in re.findall(r"[\[{\]}]", text):
        depth += 1 if bracket in "[{" else -1
        most = max(most, depth)
    if most > _DEEPEST:
        raise DefinitionError(origin, "not a schema: nested too deep")
    try:
        return json.loads(text)
    except ValueError as exc:
        raise DefinitionError(origin, f"not JSON: {exc}") from exc


def _cause(exc: DefinitionError, origin: str) -> str:
    return str(exc).removeprefix(f"{origin}: ")
