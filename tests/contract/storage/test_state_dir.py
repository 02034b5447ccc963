"""The folder of a process's own files: one process at a time, and of one group at one cluster."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.storage.state_dir import Owner, StateFolder

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, pathlib
from bridge.storage.state_dir import StateFolder
held = StateFolder(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    """Also by SIGKILL: the lock is the kernel's."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "state")], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=r"state: another process works in it; stop that one, or"):
            StateFolder(tmp_path / "state")
        os.kill(first.pid, signal.SIGKILL)
    StateFolder(tmp_path / "state").release()
    StateFolder(tmp_path / "state").release()


def test_a_folder_that_cannot_be_made_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/state: cannot keep files"):
        StateFolder(tmp_path / "file" / "state")


def test_the_owner_outlives_the_process(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    assert folder.owner() is None
    for owner in (Owner("g", "abc"), Owner("h", None)):
        folder.give_to(owner)
        assert folder.owner() == owner
    folder.release()


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"group": "g"}', "\xff"])
def test_a_note_that_says_nothing_is_of_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "owner.json").write_text(text, "latin-1")
    folder = StateFolder(tmp_path)
    assert folder.owner() is None
    folder.release()


def test_a_full_disk_does_not_keep_it_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    folder = StateFolder(tmp_path)
    folder.release()


def test_an_owner_that_cannot_be_written_down_leaves_nobody(tmp_path: Path) -> None:
    """Not the one before: the files speak of another from here on."""
    folder = StateFolder(tmp_path)
    folder.give_to(Owner("before", "abc"))
    (tmp_path / "owner.new").mkdir()
    folder.give_to(Owner("now", "abc"))
    assert folder.owner() is None
    folder.release()
