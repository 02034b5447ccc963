"""A folder of Avro schema files: read into the set that payloads are decoded with, and looked at again.

Takes a path, gives a ``SchemaSet``. Edge floor: it touches the disk. Two kinds of files may lie there side by
side: those that ``hookferry schemas import`` wrote, each complete and named by its fingerprint, and
schema files as Fineract has them in its source tree, whose names refer to one another.
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
"""The key of an imported file that tells where its schema was found; Avro lets a schema have it."""
_IMPORTED = re.compile(r".+\.([0-9a-f]{16})\.avsc")
_TICK_NS = 100_000_000
_IMPORT = "`hookferry schemas import JAR --into {}` writes them there"


class Stored(NamedTuple):
    """A schema in the folder, and where it came from: the jar it was imported from, or its file."""

    schema: Schema
    definition: dict[str, Any]
    origin: str


class SchemaFolder(SchemaSet):
    """The schemas of a folder, which is read again when one is missing and something changed there.

    So a running bridge knows what was imported from the next event on. Only folders are looked at,
    a few microseconds: a file that is written over in place is seen after a restart.
    """

    def __init__(self, path: Path) -> None:
        """Read the folder. Raises ``ConfigError`` with every mistake found."""
        self._path = path
        self._seen = _stamp(path)
        super().__init__(read_folder(path).by_fingerprint, str(path))

    def find(self, fingerprint: bytes) -> Schema | None:
        """The schema with a fingerprint, also when it came into the folder only now."""
        schema = super().find(fingerprint)
        if schema is None and self._has_changed():
            schema = super().find(fingerprint)
        return schema

    def _has_changed(self) -> bool:
        """Read the folder again if it changed. What cannot be read changes nothing, and it says so once."""
        stamp = _stamp(self._path)
        if stamp is not None and stamp == self._seen:
            return False
        try:
            found = read_folder(self._path)
        except ConfigError as exc:
            self._seen = stamp
            _log.error(
                events.SCHEMAS_IGNORED,
                folder=str(self._path),
                cause=str(exc),
                remedy="mend the file or take it away; until then the schemas read before are used",
            )
            return False
        self._seen = stamp
        new = found.by_fingerprint.keys() - self.by_fingerprint.keys()
        self.by_fingerprint = found.by_fingerprint | self.by_fingerprint
        _log.info(events.SCHEMAS_READ, folder=str(self._path), new=len(new))
        return bool(new)


def read_folder(path: Path) -> SchemaSet:
    """Load every ``.avsc`` file below a folder; hidden files and folders are passed over.

    Imported files stand for themselves. Of the others, a folder that holds some itself is one scope: its
    names resolve within its whole tree. Otherwise each of its subfolders is a scope, so that two
    versions of one name can stand side by side. Raises ``ConfigError`` with every mistake found.
    """
    schemas, problems = SchemaSet(), list[str]()
    for one in stored(path, problems):
        schemas.add(one.schema)
    if problems:
        raise ConfigError(problems)
    return schemas


def read_schema_file(path: Path) -> AvroSchema:
    """The schema in one ``.avsc`` file, complete in itself. Raises ``ConfigError``."""
    try:
        return avro_schema(_content(path), (), str(path))
    except DefinitionError as exc:
        raise ConfigError([f"{exc}; put all types into this file"]) from exc
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be read: {exc.strerror}; give the .avsc file"]) from exc


def stored(path: Path, problems: list[str]) -> Iterator[Stored]:
    """Every schema of a folder; mistakes go to ``problems``. Raises ``ConfigError`` without a folder."""
    files = 0
    entries = _entries(path)
    for file in _imported_files(path):
        files += 1
        with _noting(problems, file):
            yield _imported(file)
    for folder in _scopes(path, entries):
        scope = Scope(str(folder))
        with _noting(problems, folder):
            for file in _files(folder):
                files += 1
                definition = _content(file)
                if not is_template(definition):
                    scope.add(definition, str(file))
            for name in scope.records():
                origin = Path(scope.origin(name)).relative_to(path)
                yield Stored(scope.schema(name), scope.definition(name), origin.as_posix())
    if not files and not problems:
        problems.append(f"{path}: holds no .avsc file; {_IMPORT.format(path)}")


@contextmanager
def _noting(problems: list[str], place: Path) -> Iterator[None]:
    try:
        yield
    except DefinitionError as exc:
        problems.append(str(exc))
    except OSError as exc:
        problems.append(f"{exc.filename or place}: cannot be read: {exc.strerror}")


def imported_file_name(schema: Schema) -> str:
    """What an import calls the file of a schema: its full name and its fingerprint as on the wire."""
    return f"{schema.name}.{schema.fingerprint.hex()}.avsc"


def read_imported(path: Path) -> Stored | None:
    """What a file of this name holds; None when there is none, or nothing that is worth to be kept.

    Raises ``OSError`` for one that is there and cannot be read.
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
        raise DefinitionError(str(file), "holds no record; import it again")
    schema = scope.schema(name)
    if imported_file_name(schema) != file.name:
        raise DefinitionError(
            str(file), f"does not hold what its name says, but {imported_file_name(schema)}; import it again"
        )
    return Stored(schema, scope.definition(name), str(document.get(FROM, "")))


def _entries(path: Path) -> list[Path]:
    """What lies in a folder. Raises ``ConfigError`` when there is none."""
    try:
        return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as exc:
        problem = f"{path}: cannot be read: {exc.strerror}; give the folder with the .avsc files"
        raise ConfigError([problem]) from exc


def _scopes(path: Path, entries: list[Path]) -> list[Path]:
    """Give the folders whose names belong together."""
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
    """Find the files; a mounted ConfigMap holds each twice, once below the hidden ``..data``."""
    for file in sorted(folder.rglob("*.avsc")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def _stamp(path: Path) -> tuple[tuple[str, int], ...] | None:
    """When each folder of a tree last had a file added, renamed or removed; None while that is too fresh.

    Two changes within the file system's tick have one time, so what is read in between would pass for
    the whole.
    """
    found, newest = list[tuple[str, int]](), 0
    for parent, folders, _ in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        with suppress(OSError):
            changed_ns = Path(parent).stat().st_mtime_ns
            found.append((parent, changed_ns))
            newest = max(newest, changed_ns)
    return None if abs(time.time_ns() - newest) < _TICK_NS else tuple(sorted(found))


def _content(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except json.JSONDecodeError as exc:
        raise DefinitionError(
            f"{file}:{exc.lineno}:{exc.colno}", f"not JSON: {exc.msg.removesuffix(' at')}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise DefinitionError(str(file), f"not UTF-8: {exc.reason}") from exc
    except RecursionError as exc:
        raise DefinitionError(str(file), "not a schema: nested too deep") from exc


def is_template(definition: Any) -> bool:
    """Tell Fineract's ``bigdecimal.avsc``, which its build puts into other files, from a schema."""
    return isinstance(definition, dict) and definition.get("type") == "bytes" and "name" not in definition
