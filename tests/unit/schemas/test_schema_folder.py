"""A schema folder of a running bridge: a schema added to it is used from the next event on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import structlog

from bridge.schemas import folder as module
from bridge.schemas.folder import SchemaFolder, read_folder
from bridge.schemas.importing import import_schemas
from bridge.telemetry import events


def write(folder: Path, name: str) -> Path:
    definition = {"type": "record", "name": name, "fields": [{"name": "a", "type": "long"}]}
    file = folder / f"{name}.avsc"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(definition))
    return file


def fingerprint(folder: Path, name: str) -> bytes:
    return read_folder(folder).named(name)[0].fingerprint


def age_folders(folder: Path) -> None:
    """Make the last change appear to be long ago."""
    for parent, _, _ in os.walk(folder):
        os.utime(parent, (1_700_000_000, 1_700_000_000))


def test_a_schema_that_is_imported_while_the_bridge_runs_is_found(tmp_path: Path) -> None:
    write(tmp_path / "in", "A")
    write(tmp_path / "source", "B")
    running = SchemaFolder(tmp_path / "in")
    wanted = fingerprint(tmp_path / "source", "B")
    assert running.find(wanted) is None
    import_schemas(tmp_path / "source", tmp_path / "in")
    schema = running.find(wanted)
    assert schema is not None
    assert schema.name == "B"
    assert running.find(fingerprint(tmp_path / "in", "A")) is not None


def test_schemas_stay_known_after_a_file_is_added_in_a_subfolder_or_removed(tmp_path: Path) -> None:
    first = write(tmp_path / "v1", "A")
    known = fingerprint(tmp_path, "A")
    running = SchemaFolder(tmp_path)
    write(tmp_path / "v2", "B")
    assert running.find(fingerprint(tmp_path, "B")) is not None
    first.unlink()
    assert running.find(b"12345678") is None
    assert running.find(known) is not None, "records with that schema may still arrive"


def test_the_folder_is_not_read_again_unless_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "A")
    age_folders(tmp_path)
    running = SchemaFolder(tmp_path)
    reads = []
    monkeypatch.setattr(module, "read_folder", lambda path: (reads.append(path), read_folder(path))[1])
    for _ in range(5):
        assert running.find(b"12345678") is None
    assert not reads
    write(tmp_path, "B")
    age_folders(tmp_path)
    os.utime(tmp_path, (1_700_000_001, 1_700_000_001))
    for _ in range(5):
        assert running.find(b"12345678") is None
    assert len(reads) == 1


def test_a_change_within_one_tick_of_the_clock_is_not_missed(tmp_path: Path) -> None:
    """Two files added within one tick leave the folder's time unchanged."""
    write(tmp_path, "A")
    running = SchemaFolder(tmp_path)
    before = tmp_path.stat()
    write(tmp_path, "B")
    wanted = fingerprint(tmp_path, "B")
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert running.find(wanted) is not None


def test_a_folder_with_a_bad_file_changes_nothing_and_is_logged_once(tmp_path: Path) -> None:
    write(tmp_path, "A")
    known = fingerprint(tmp_path, "A")
    running = SchemaFolder(tmp_path)
    (tmp_path / "B.avsc").write_text("{")
    age_folders(tmp_path)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert running.find(b"12345678") is None
    (log,) = logs
    assert log["event"] == events.SCHEMAS_IGNORED
    assert "B.avsc:1:2" in log["cause"]
    assert running.find(known) is not None
    (tmp_path / "B.avsc").unlink()
    write(tmp_path, "C")
    assert running.find(fingerprint(tmp_path, "C")) is not None
