"""Files with bodies or keys belong to one user, whatever the umask and whatever was there before."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.core.dedupe import Claim
from bridge.model import Committed, Partition
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.journal import Journal
from bridge.storage.journal_segment import JournaledCursor
from bridge.storage.private_files import tighten
from bridge.storage.state_dir import Owner, StateDir, claim_state
from bridge.telemetry import events

ORDERS, BASE = Partition("orders", 0), Committed(100, "")
EVERY_FILE = {
    "dedupe.sqlite", "dedupe.sqlite-wal", "dedupe.sqlite-shm", "lock", "owner.json", "member-id",
    "journal.0", "journal.3",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


async def run(folder: Path) -> None:
    """Use a state directory as a process does, so that every kind of file is written."""
    state = StateDir(folder)
    index = KeyIndex(folder / "dedupe.sqlite", window_s=3600, max_keys=100)
    claim_state(state, Owner("g", "cluster"), index)
    state.identity()
    journal = Journal(folder)
    for number in range(3):
        journal.begin_segment()
        journal.record_settled(journal.declare(JournaledCursor(f"crm{number}", ORDERS, BASE)), 103)
    journal.delete_before(3, {("crm2", ORDERS)}.__contains__)
    index.claim(ORDERS, [Claim(1, 2, 50)], 51, 1)
    index.flush()
    modes = {path.name: mode(path) for path in folder.iterdir()}
    assert modes.keys() >= EVERY_FILE
    assert set(modes.values()) == {0o600}, modes
    journal.close()
    index.close()
    state.release()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_every_file_of_a_run_is_readable_by_this_user_alone(tmp_path: Path) -> None:
    await run(tmp_path / "deep" / "state")
    assert mode(tmp_path / "deep" / "state") == 0o700
    assert {mode(path) for path in (tmp_path / "deep" / "state").iterdir()} == {0o600}


async def test_the_files_of_an_earlier_release_are_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    await run(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    with capture_logs() as lines:
        StateDir(folder).release()
    assert lines == []
    assert mode(folder) == 0o700
    await run(folder)


def test_a_folder_with_other_files_is_left_as_it_is_and_reported(tmp_path: Path) -> None:
    other = tmp_path / "report.csv"
    other.write_text("not ours")
    tmp_path.chmod(0o755)
    with capture_logs() as lines:
        StateDir(tmp_path).release()
    assert [(line["event"], line["path"], line["log_level"]) for line in lines] == [
        (events.STATE_EXPOSED, str(tmp_path), "warning")
    ]
    assert (mode(tmp_path), mode(other), mode(tmp_path / "lock")) == (0o755, 0o666, 0o600)


def test_what_belongs_to_another_user_is_reported_at_level_info(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted volume belongs to root. The test runs as one user, so the system's answer is replaced."""
    tmp_path.chmod(0o777)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with capture_logs() as lines:
        StateDir(tmp_path).release()
    assert [(line["event"], line["log_level"]) for line in lines] == [(events.STATE_EXPOSED, "info")]


def test_nothing_else_in_the_folder_is_touched(tmp_path: Path) -> None:
    link, target = tmp_path / "journal.link", tmp_path / "other"
    target.write_text("x")
    link.symlink_to(target)
    (tmp_path / "journal.folder").mkdir()
    assert tmp_path in list(tighten(tmp_path)) or mode(tmp_path) == 0o700
    assert mode(tmp_path / "journal.folder") == 0o777


def test_a_command_that_creates_the_state_directory_does_so_under_any_umask(tmp_path: Path) -> None:
    """In a process of its own, as the umask is one of the process."""
    script = (
        "import os, pathlib, sys; os.umask(0); from bridge.storage.state_dir import StateDir;"
        " StateDir(pathlib.Path(sys.argv[1])).identity()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "state")], check=True, timeout=60)
    assert {mode(path) for path in (tmp_path / "state").iterdir()} == {0o600}
    assert mode(tmp_path / "state") == 0o700
