"""State folders: each worker has its own, and a run with another number of workers reads no old journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.storage.state_dir import StateDir
from bridge.storage.worker_folders import discard_marked, discard_unused, is_in_use, worker_folder
from bridge.telemetry import events

FILES = ("journal.0", "journal.7", "dedupe.sqlite", "dedupe.sqlite-wal", "member-id", "owner.json")
KEPT = {"member-id", "owner.json"}


def fill(folder: Path) -> Path:
    """Lock the folder once, as a process does, and leave its files there."""
    StateDir(folder).release()
    for name in FILES:
        (folder / name).write_text("x")
    return folder


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()} - {"lock"}


@pytest.mark.parametrize(
    ("workers", "unused"),
    [(0, {1, 2, 3}), (1, {0, 2, 3}), (2, {0, 3}), (3, {0}), (4, {0})],
    ids=["one process", "one worker", "two", "as many", "more"],
)
def test_only_the_folders_of_this_run_keep_journal_and_index(
    tmp_path: Path, workers: int, unused: set[int]
) -> None:
    folders = {0: fill(tmp_path), **{number: fill(worker_folder(tmp_path, number)) for number in (1, 2, 3)}}
    with capture_logs() as lines:
        discard_unused(tmp_path, workers)
    for number, folder in folders.items():
        assert left(folder) == (KEPT if number in unused else set(FILES)), folder
    assert {line["folder"] for line in lines} == {str(folders[number]) for number in unused}
    assert {line["event"] for line in lines} == {events.STATE_FORGOTTEN}


def test_nothing_is_logged_if_nothing_was_left(tmp_path: Path) -> None:
    StateDir(tmp_path).release()
    StateDir(worker_folder(tmp_path, 3)).release()
    with capture_logs() as lines:
        discard_unused(tmp_path, 2)
    assert not lines


def test_a_folder_in_which_an_earlier_worker_still_works_stays(tmp_path: Path) -> None:
    folder = fill(worker_folder(tmp_path, 2))
    working = StateDir(folder)
    assert is_in_use(folder)
    discard_unused(tmp_path, 1)
    assert left(folder) == {*FILES, "unused"}
    working.release()
    assert not is_in_use(folder)
    discard_unused(tmp_path, 1)
    assert left(folder) == KEPT


def test_a_folder_that_a_run_could_not_empty_is_emptied_by_the_next_process_in_it(tmp_path: Path) -> None:
    """As after SIGKILL of a supervisor and a start with fewer workers, while the old ones still work."""
    folder = fill(worker_folder(tmp_path, 2))
    working = StateDir(folder)
    discard_unused(tmp_path, 1)
    working.release()
    discard_unused(tmp_path, 2)
    with capture_logs() as lines:
        discard_marked(folder)
    assert left(folder) == KEPT
    assert [line["event"] for line in lines] == [events.STATE_FORGOTTEN]
    (folder / "journal.8").write_text("x")
    discard_marked(folder)
    assert left(folder) == KEPT | {"journal.8"}, "the mark stayed"


def test_a_folder_that_does_not_exist_is_free(tmp_path: Path) -> None:
    assert not is_in_use(worker_folder(tmp_path, 1))
    assert not worker_folder(tmp_path, 1).exists()
