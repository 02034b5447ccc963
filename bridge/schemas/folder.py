"""A folder of Avro schema files: read into the ``SchemaSet`` that decodes payloads, and again on changes.

It may contain two kinds of files: those that ``hookferry schemas import`` wrote, each complete and named by
its fingerprint, and schema files as in Fineract's source tree, which refer to one another by name.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from bridge.errors import ConfigError
from bridge.formats.avro.definitions import DefinitionError, Scope
from bridge.formats.avro.schema import AvroSchema, avro_schema
from bridge.formats.avro.schema_set import Schema, SchemaSet
from bridge.telemetry import events

_log = structlog.get_logger()
FROM = "imported-from"
"""The key in an imported file that contains where its schema was found; Avro allows additional keys."""
_IMPORTED = re.compile(r".+\.([0-9a-f]{16})\.avsc")
_TICK_NS = 100_000_000
_IMPORT = "import them with `hookferry schemas import JAR --into {}`"


class Stored(NamedTuple):
    """A schema in the folder, and its origin: the jar it was imported from, or its file."""

    schema: Schema
    definition: dict[str, Any]
    origin: str


class SchemaFolder(SchemaSet):
    """The schemas of a folder. It is read again when a schema is missing and a folder in it changed.

    A running bridge therefore uses an imported schema from the next event on. Only the times of folders are
    compared, which takes a few microseconds: a file that is overwritten in place needs a restart.
    """

    def __init__(self, path: Path) -> None:
        """Read the folder. Raises ``ConfigError`` with every mistake in it."""
        self._path = path
        self._seen = _stamp(path)
        super().__init__(read_folder(path).by_fingerprint, str(path))

    def find(self, fingerprint: bytes) -> Schema | None:
        """Return the schema with a fingerprint, even if it was added to the folder just now; else None."""
        schema = super().find(fingerprint)
        if schema is None and self._has_changed():
            schema = super().find(fingerprint)
        return schema

    def _has_changed(self) -> bool:
        """Read the folder again if it changed, and return True if it has new schemas.

        A folder that cannot be read changes nothing, and is logged once.
        """
        stamp = _stamp(self._path)
        if stamp is not None and stamp == self._seen:
            return False
        try:
            schemas = read_folder(self._path)
        except ConfigError as exc:
            self._seen = stamp
            _log.error(
                events.SCHEMAS_IGNORED,
                folder=str(self._path),
                cause=str(exc),
                remedy="correct the file or remove it; until then the schemas read before are used",
            )
            return False
        self._seen = stamp
        new = schemas.by_fingerprint.keys() - self.by_fingerprint.keys()
        self.by_fingerprint = schemas.by_fingerprint | self.by_fingerprint
        _log.info(events.SCHEMAS_READ, folder=str(self._path), new=len(new))
        return bool(new)


def read_folder(path: Path) -> SchemaSet:
    """Read every ``.avsc`` file below a folder; hidden files and folders are skipped.

    Each imported file is complete. Of the other files, a folder that contains some directly is one scope:
    names resolve within its whole tree. Otherwise each of its subfolders is a scope, so that it can contain
    two versions of one name. Raises ``ConfigError`` with every mistake found.
    """
    schemas, problems = SchemaSet(), list[str]()
    for stored in read_stored(path, problems):
        schemas.add(stored.schema)
    if problems:
        raise ConfigError(problems)
    return schemas


def read_schema_file(path: Path) -> AvroSchema:
    """Return the schema in one ``.avsc`` file that is complete in itself. Raises ``ConfigError``."""
    try:
        return avro_schema(_content(path), (), str(path))
    except DefinitionError as exc:
        raise ConfigError([f"{exc}; put all types into this file"]) from exc
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be read: {exc.strerror}; name the .avsc file"]) from exc


def read_stored(path: Path, problems: list[str]) -> Iterator[Stored]:
    """Yield every schema of a folder and add mistakes to ``problems``.

    Raises ``ConfigError`` if there is no such folder.
    """
    files = 0
    entries = _entries(path)
    for file in _imported_files(path):
        files += 1
        with _collect_problem(problems, file):
            yield _imported(file)
    for folder in _scopes(path, entries):
        scope = Scope(str(folder))
        with _collect_problem(problems, folder):
            for file in _files(folder):
                files += 1
                definition = _content(file)
                if not is_template(definition):
                    scope.add(definition, str(file))
            for name in scope.records():
                origin = Path(scope.origin(name)).relative_to(path)
                yield Stored(scope.schema(name), scope.definition(name), origin.as_posix())
    if not files and not problems:
        problems.append(f"{path}: contains no .avsc file; {_IMPORT.format(path)}")


@contextmanager
def _collect_problem(problems: list[str], path: Path) -> Iterator[None]:
    try:
        yield
    except DefinitionError as exc:
        problems.append(str(exc))
    except OSError as exc:
        problems.append(f"{exc.filename or path}: cannot be read: {exc.strerror}")


def imported_file_name(schema: Schema) -> str:
    """Return the file name that an import uses for a schema: its full name and its fingerprint."""
    return f"{schema.name}.{schema.fingerprint.hex()}.avsc"


def read_imported(path: Path) -> Stored | None:
    """Return the schema in an imported file; None if the file is missing or damaged.

    Raises ``OSError`` if it exists and cannot be read.
    """
    try:
        return _imported(path)
    except (DefinitionError, FileNotFoundError):
        return None


def _imported(file: Path) -> Stored:
    """Read a file that an import wrote. Raises ``DefinitionError`` and ``OSError``."""
    document = _content(file)
    scope = Scope(str(file))
    name = scope.add(document, str(file))
    if name is None or name not in scope.records():
        raise DefinitionError(str(file), "contains no record; import it again")
    schema = scope.schema(name)
    if imported_file_name(schema) != file.name:
        raise DefinitionError(
            str(file), f"contains another schema, {imported_file_name(schema)}; import it again"
        )
    return Stored(schema, scope.definition(name), str(document.get(FROM, "")))


def _entries(path: Path) -> list[Path]:
    """List the entries of a folder. Raises ``ConfigError`` if there is no such folder."""
    try:
        return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as exc:
        problem = f"{path}: cannot be read: {exc.strerror}; name the folder with the .avsc files"
        raise ConfigError([problem]) from exc


def _scopes(path: Path, entries: list[Path]) -> list[Path]:
    """List the folders that are scopes: names resolve within each of them."""
    if any(entry.suffix == ".avsc" and entry.is_file() and not _is_imported(entry) for entry in entries):
        return [path]
    return [entry for entry in entries if entry.is_dir()]


def _is_imported(file: Path) -> bool:
    return _IMPORTED.fullmatch(file.name) is not None


def _imported_files(folder: Path) -> Iterator[Path]:
    return (file for file in _all_files(folder) if _is_imported(file))


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in _all_files(folder) if not _is_imported(file))


def _all_files(folder: Path) -> Iterator[Path]:
    """Yield the files; a mounted ConfigMap contains each twice, once below the hidden ``..data``."""
    for file in sorted(folder.rglob("*.avsc")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def _stamp(path: Path) -> tuple[tuple[str, int], ...] | None:
    """Return when a file was last added to, renamed in or removed from each folder of a tree.

    None if that was just now: two changes within one tick of the file system have the same time, so a change
    after reading would be missed.
    """
    changes, newest = list[tuple[str, int]](), 0
    for parent, folders, _ in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        with suppress(OSError):
            changed_ns = Path(parent).stat().st_mtime_ns
            changes.append((parent, changed_ns))
            newest = max(newest, changed_ns)
    return None if abs(time.time_ns() - newest) < _TICK_NS else tuple(sorted(changes))


def _content(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except json.JSONDecodeError as exc:
        raise DefinitionError(
            f"{file}:{exc.lineno}:{exc.colno}", f"is not JSON: {exc.msg.removesuffix(' at')}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise DefinitionError(str(file), f"is not UTF-8: {exc.reason}") from exc
    except RecursionError as exc:
        raise DefinitionError(str(file), "is not a schema: it is nested too deeply") from exc


def is_template(definition: Any) -> bool:
    """Return True for Fineract's ``bigdecimal.avsc``, which its build inserts into other files."""
    return isinstance(definition, dict) and definition.get("type") == "bytes" and "name" not in definition
