"""Finds the schemas in schema files and class files: every complete record type, by its fingerprint. Pure."""

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
"""A name becomes part of a file name, which has at most 255 bytes."""
_SOURCES = ("src", "main", "avro")
"""The folders of the schema files in Fineract's source tree; its build output is elsewhere."""
_DEEPEST = 400
"""Nested brackets in the text of a schema; Python's JSON reader fails at about 1,000."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A schema with its definition, and the file it came from."""

    schema: Schema
    definition: dict[str, Any]
    origin: str


@dataclass(slots=True)
class Collection:
    """The schemas of a source. ``conflicts``: schemas with the fingerprint of a different one."""

    schemas: dict[bytes, Collected] = field(default_factory=dict)
    conflicts: list[Skip] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)

    def add(self, collected: Collected) -> None:
        """Add a schema; adding the same one again changes nothing."""
        first = self.schemas.setdefault(collected.schema.fingerprint, collected)
        if first.definition != collected.definition:
            self.conflicts.append(Skip(collected.origin, describe_conflict(collected.schema, first.origin)))


def describe_conflict(schema: Schema, other: str) -> str:
    """Return the message for a schema that differs from another one with the same fingerprint."""
    return (
        f"{schema.name} {schema.fingerprint.hex()} differs from the one in {other} with that fingerprint;"
        " another scale of decimals can cause that; the first is kept"
    )


def collect(pieces: Iterable[Piece], budget: Budget) -> Collection:
    """Collect the schemas of all pieces. Raises ``ImportRefused`` if they exceed the budget."""
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
    """Add the type of a class file, which is complete; types in it have their own class files."""
    try:
        text = schema_text(piece.data)
        if text is None:
            return
        budget.schema()
        scope = Scope(piece.origin)
        name = scope.add(_parse(text, piece.origin), piece.origin)
        if name is not None and name in scope.records():
            _add(scope, name, collection, budget)
    except ClassFileError as exc:
        collection.skipped.append(Skip(piece.origin, str(exc)))
    except DefinitionError as exc:
        collection.skipped.append(Skip(piece.origin, _cause(exc, piece.origin)))


def _scopes(files: list[SchemaFile]) -> dict[str, list[SchemaFile]]:
    """Group the files within which names resolve: a ``src/main/avro``, else the container or its subfolders.

    Copies from a build are left out, because a stale copy would contradict its source.
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
    subfolders: dict[str, list[SchemaFile]] = {}
    for file in files:
        subfolders.setdefault(file.path.parts[0], []).append(file)
    return subfolders


def _source_root(path: PurePosixPath) -> str | None:
    parts = path.parts
    for at in range(len(parts) - len(_SOURCES)):
        if parts[at : at + len(_SOURCES)] == _SOURCES:
            return "/".join(parts[: at + len(_SOURCES)])
    return None


def _are_versions(files: list[SchemaFile]) -> bool:
    """Return True if first-level folders are versions: several of them contain the same file."""
    below = [PurePosixPath(*file.path.parts[1:]) for file in files]
    return len(set(below)) < len(below)


def _add_files(label: str, files: list[SchemaFile], collection: Collection, budget: Budget) -> None:
    scope = Scope(label)
    for file in files:
        try:
            definition = _parse(file.data.decode("utf-8-sig"), file.origin)
            if not is_template(definition):
                scope.add(definition, file.origin)
        except UnicodeDecodeError as exc:
            collection.skipped.append(Skip(file.origin, f"is not UTF-8: {exc.reason}"))
        except DefinitionError as exc:
            collection.skipped.append(Skip(file.origin, _cause(exc, file.origin)))
    for name in scope.records():
        try:
            _add(scope, name, collection, budget)
        except DefinitionError as exc:
            collection.skipped.append(Skip(scope.origin(name), _cause(exc, scope.origin(name))))


def _add(scope: Scope, name: str, collection: Collection, budget: Budget) -> None:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise DefinitionError(scope.origin(name), f"{name[:80]!r} is not a valid name of a schema")
    if name.startswith("org.apache.avro."):
        raise DefinitionError(scope.origin(name), "belongs to Avro itself")
    schema, definition = scope.schema(name), scope.definition(name)
    budget.text(len(json.dumps(definition)))
    collection.add(Collected(schema, definition, scope.origin(name)))


def _parse(text: str, origin: str) -> Any:
    depth = most = 0
    for bracket in re.findall(r"[\[{\]}]", text):
        depth += 1 if bracket in "[{" else -1
        most = max(most, depth)
    if most > _DEEPEST:
        raise DefinitionError(origin, "is not a schema: it is nested too deeply")
    try:
        return json.loads(text)
    except ValueError as exc:
        raise DefinitionError(origin, f"is not JSON: {exc}") from exc


def _cause(exc: DefinitionError, origin: str) -> str:
    return str(exc).removeprefix(f"{origin}: ")
