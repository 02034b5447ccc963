"""What the dedupe index writes while it is in use: in pieces, and copied into its file by a thread."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.core.dedupe import Claim, Stretch
from bridge.storage import dedupe_index as module
from bridge.storage.dedupe_index import IndexLostError, KeyIndex
from bridge.storage.dedupe_index.file import copy_changes
from bridge.telemetry import events
from tests.support.fakes import P0

MANY = module._COPIED_AFTER + 500
SPREAD = 0x9E3779B97F4A7C15
"""Neighboring numbers become keys that are far apart, as hashes are."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[KeyIndex]:
    opened = KeyIndex(tmp_path / "dedupe.sqlite", window_s=3600, max_keys=10**6)
    yield opened
    opened.close()


def claim(index: KeyIndex, begin: int, end: int) -> list[int]:
    """Claim a key for each offset, and return the first offsets."""
    claims = [Claim(number * SPREAD % 2**63, number, number) for number in range(begin, end)]
    return [first.offset for first in index.claim(P0, claims, end, 1)]


def reopened(folder: Path, copy: Path) -> KeyIndex:
    """The index as a process finds it that starts after a kill now, or on the file alone."""
    shutil.copytree(folder, copy)
    return KeyIndex(copy / "dedupe.sqlite", window_s=3600, max_keys=10**6)


def test_many_claims_are_committed_before_the_flush(
    index: KeyIndex, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for begin in range(0, 1100, 100):
        claim(index, begin, begin + 100)
    after_a_kill = reopened(tmp_path, tmp_path_factory.mktemp("kill") / "copy")
    assert after_a_kill.covered(P0) == Stretch(0, 600), "keys and stretch are those of the same claim"
    assert claim(after_a_kill, 599, 601) == [599, 600]
    after_a_kill.close()


async def test_a_thread_copies_what_was_claimed_into_the_file(
    index: KeyIndex, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noted(path: Path) -> int:
        threads.append(threading.current_thread())
        return copy_changes(path)

    monkeypatch.setattr(module, "copy_changes", noted)
    claim(index, 0, MANY)
    await index.write()
    (tmp_path / "dedupe.sqlite-wal").rename(tmp_path_factory.mktemp("aside") / "wal")
    alone = reopened(tmp_path, tmp_path_factory.mktemp("alone") / "copy")
    assert alone.covered(P0) == Stretch(0, MANY)
    assert claim(alone, 0, MANY) == list(range(MANY))
    alone.close()
    await index.write()
    assert [thread is threading.main_thread() for thread in threads] == [False], "and none for few claims"


async def test_the_log_of_changes_does_not_grow_while_claims_come_all_the_time(
    index: KeyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction begins before the thread has copied the others. SQLite alone would always append."""
    monkeypatch.setattr(module, "_COPIED_AFTER", 1000)
    monkeypatch.setattr(module, "_MOST_CHANGES", 500)
    offset, sizes = 0, []

    def copy(path: Path) -> int:
        claim(index, offset, offset + 100)
        copied = copy_changes(path)
        claim(index, offset + 100, offset + 700)
        return copied

    monkeypatch.setattr(module, "copy_changes", copy)
    for _ in range(20):
        claim(index, offset, offset + 600)
        offset += 600
        await index.write()
        offset += 700
        sizes.append((tmp_path / "dedupe.sqlite-wal").stat().st_size)
    assert max(sizes) < 2500 * 4096, sizes


async def test_a_disk_that_fails_in_the_thread_is_logged_and_the_index_begins_in_memory(
    index: KeyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(module, "copy_changes", fail)
    claim(index, 0, MANY)
    with capture_logs() as logs:
        await index.write()
    assert [(line["event"], line["cause"]) for line in logs] == [(events.INDEX_FAILED, "disk I/O error")]
    with pytest.raises(IndexLostError):
        claim(index, MANY, MANY + 1)
    claim(index, 0, MANY)
    await index.write()
    assert claim(index, MANY - 1, MANY) == [MANY - 1]
