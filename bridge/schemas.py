"""Reads a folder of Avro schema files into the set that payloads are decoded with.

Takes a path, gives a ``SchemaSet``. Edge floor: it touches the disk, once, at the start. Users copy
the files out of the Fineract they run (its jar or its source tree), often of two versions side by side while
an upgrade is under way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.decode.avro_schema import AvroSchema, avro_schema
from bridge.decode.definitions import DefinitionError, Scope
from bridge.decode.schema_set import SchemaSet
from bridge.errors import ConfigError


def read_folder(path: Path) -> SchemaSet:
    """Load every ``.avsc`` file below a folder; hidden files and folders are passed over.

    A folder that holds such files itself is one scope: its names resolve within its whole tree. Otherwise
    each of its subfolders is a scope, so that two versions of one name can stand side by side.
    Raises ``ConfigError`` with every mistake found.
    """
    schemas, problems, files = SchemaSet(), list[str](), 0
    for folder in _scopes(path):
        scope = Scope(str(folder))
        try:
            for file in _files(folder):
                files += 1
                definition = _content(file)
                if not _is_template(definition):
                    scope.add(definition, str(file))
            for schema in scope.schemas():
                schemas.add(schema)
        except DefinitionError as exc:
            problems.append(str(exc))
        except OSError as exc:
            problems.append(f"{exc.filename or folder}: cannot be read: {exc.strerror}")
    if not files and not problems:
        problems.append(f"{path}: holds no .avsc file; put the schema files of your Fineract there")
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


def _scopes(path: Path) -> list[Path]:
    """Give the folders whose names belong together. Raises ``ConfigError`` when there is no folder."""
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as exc:
        problem = f"{path}: cannot be read: {exc.strerror}; give the folder with the .avsc files"
        raise ConfigError([problem]) from exc
    if any(entry.suffix == ".avsc" and entry.is_file() for entry in entries):
        return [path]
    return [entry for entry in entries if entry.is_dir()]


def _files(folder: Path) -> Iterator[Path]:
    """Find the files; a mounted ConfigMap holds each twice, once below the hidden ``..data``."""
    for file in sorted(folder.rglob("*.avsc")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def _content(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except json.JSONDecodeError as exc:
        raise DefinitionError(f"{file}:{exc.lineno}:{exc.colno}", f"not JSON: {exc.msg}") from exc
    except UnicodeDecodeError as exc:
        raise DefinitionError(str(file), f"not UTF-8: {exc.reason}") from exc
    except RecursionError as exc:
        raise DefinitionError(str(file), "not a schema: nested too deep") from exc


def _is_template(definition: Any) -> bool:
    """Tell Fineract's ``bigdecimal.avsc``, which its build puts into other files, from a schema."""
    return isinstance(definition, dict) and definition.get("type") == "bytes" and "name" not in definition
