"""The state directory: one process at a time, and one group at one cluster."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.core.dedupe import Claim, Stretch
from bridge.errors import ConfigError
from bridge.model import Committed, Partition
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.journal import Journal
from bridge.storage.journal_segment import JournaledCursor
from bridge.storage.state_dir import Owner, StateDir, claim_state
from bridge.telemetry import events

ROOT = Path(__file__).parents[3]
HOLD_THE_LOCK = """
import sys, pathlib
from bridge.storage.state_dir import StateDir
held = StateDir(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
ORDERS = Partition("orders", 0)
BASE = Committed(100, "")
OWNER = Owner("payments", "cluster-a")
OTHERS = (Owner("payments", "cluster-b"), Owner("refunds", "cluster-a"), Owner("payments", None))


class Run:
    """One process of the bridge on a state directory: it claims the files, then reads and writes them."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self._state = StateDir(folder)
        self._index = KeyIndex(folder / "dedupe.sqlite", window_s=3600, max_keys=100)
        claim_state(self._state, owner, self._index)
        self._journal = Journal(folder)

    def write(self) -> None:
        """Settle offset 103 and remember the key of offset 50."""
        self._journal.begin_segment()
        self._journal.record_settled(self._journal.declare(JournaledCursor("crm", ORDERS, BASE)), 103)
        self._index.claim(ORDERS, [Claim(1, 2, 50)], 51, 1)

    def settled(self) -> set[tuple[int, int]]:
        return set(self._journal.read().settled("crm", ORDERS, BASE))

    def covered(self) -> Stretch | None:
        return self._index.covered(ORDERS)

    def end(self) -> None:
        self._journal.close()
        self._index.close()
        self._state.release()


def ran(folder: Path, owner: Owner) -> None:
    """A process that wrote both files and ended."""
    run = Run(folder, owner)
    run.write()
    run.end()


def test_the_same_group_at_the_same_cluster_reads_its_journal_and_index_again(tmp_path: Path) -> None:
    ran(tmp_path, OWNER)
    with capture_logs() as logs:
        run = Run(tmp_path, OWNER)
    assert run.settled() == {(103, 0)}
    assert run.covered() == Stretch(0, 51)
    assert logs == []
    run.end()


@pytest.mark.parametrize("other", OTHERS)
def test_the_journal_of_another_cluster_or_group_is_never_read(tmp_path: Path, other: Owner) -> None:
    """Read for another log, it would settle offset 103 there: that event would be lost."""
    ran(tmp_path, OWNER)
    run = Run(tmp_path, other)
    assert run.settled() == set()
    run.end()


@pytest.mark.parametrize("other", OTHERS)
def test_the_dedupe_index_of_another_cluster_or_group_is_never_read(tmp_path: Path, other: Owner) -> None:
    """Read for another log, it would mark later events with the same key as duplicates."""
    ran(tmp_path, OWNER)
    run = Run(tmp_path, other)
    assert run.covered() is None
    run.end()


def test_files_without_an_owner_are_discarded(tmp_path: Path) -> None:
    """A start on a full disk could not record whose they are."""
    ran(tmp_path, OWNER)
    (tmp_path / "owner.json").unlink()
    run = Run(tmp_path, OWNER)
    assert (run.settled(), run.covered()) == (set(), None)
    run.end()


def test_files_that_went_to_another_owner_are_discarded_when_the_first_returns(tmp_path: Path) -> None:
    ran(tmp_path, OWNER)
    Run(tmp_path, OTHERS[0]).end()
    run = Run(tmp_path, OWNER)
    assert (run.settled(), run.covered()) == (set(), None)
    run.end()


def test_a_change_of_owner_is_logged_with_the_previous_one(tmp_path: Path) -> None:
    ran(tmp_path, OWNER)
    with capture_logs() as logs:
        Run(tmp_path, OTHERS[0]).end()
    (line,) = logs
    assert (line["event"], line["folder"]) == (events.STATE_FORGOTTEN, str(tmp_path))
    assert "group payments at cluster cluster-a" in line["cause"]


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    """Also by SIGKILL: the kernel holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path / "state")], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=r"state: another process works in it; stop that process, or"):
            StateDir(tmp_path / "state")
        os.kill(first.pid, signal.SIGKILL)
    StateDir(tmp_path / "state").release()
    StateDir(tmp_path / "state").release()


def test_a_directory_that_cannot_be_created_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/state: cannot keep files"):
        StateDir(tmp_path / "file" / "state")


def test_the_recorded_owner_outlives_the_process(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    assert state.owner() is None
    for owner in (Owner("g", "abc"), Owner("h", None)):
        state.record_owner(owner)
        assert state.owner() == owner
    state.release()


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"group": "g"}', "\xff"])
def test_a_damaged_owner_file_names_no_owner(tmp_path: Path, text: str) -> None:
    (tmp_path / "owner.json").write_text(text, "latin-1")
    state = StateDir(tmp_path)
    assert state.owner() is None
    state.release()


def test_a_full_disk_does_not_prevent_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    state = StateDir(tmp_path)
    assert state.identity() is None, "without the lock, another process may have the same name"
    state.release()


def test_a_directory_keeps_its_identity_and_no_other_has_it(tmp_path: Path) -> None:
    """It belongs to the directory, not to what the files were written for."""
    identities = []
    for folder in ("one", "one", "two"):
        state = StateDir(tmp_path / folder)
        identities.append(state.identity())
        state.record_owner(Owner("g", folder))
        state.release()
    first, again, other = identities
    assert first
    assert first == again
    assert first != other


@pytest.mark.parametrize("text", ["", " \n", "pod-1", "\xff\xfe"])
def test_a_damaged_identity_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "member-id").write_text(text, "latin-1")
    state = StateDir(tmp_path)
    identity = state.identity()
    assert identity
    assert state.identity() == identity
    state.release()


def test_an_identity_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "member-id.new").mkdir()
    state = StateDir(tmp_path)
    assert state.identity() is None
    state.release()


def test_a_failed_write_of_the_owner_leaves_no_owner(tmp_path: Path) -> None:
    """The previous one must not stay recorded: the files contain the new owner's offsets from now on."""
    state = StateDir(tmp_path)
    state.record_owner(Owner("before", "abc"))
    (tmp_path / "owner.new").mkdir()
    state.record_owner(Owner("now", "abc"))
    assert state.owner() is None
    state.release()
