"""The bridge's own clock bounds the dedupe index: timestamps of producers do not empty it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.core.dedupe import Claim, Stretch
from bridge.storage.dedupe_index import KeyIndex
from tests.support.fakes import P0

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_800_000_000_000
OpenIndex = Callable[..., KeyIndex]


@pytest.fixture(params=["memory", "disk"])
def open_index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenIndex]:
    """Opens indexes in memory, or the same file again and again."""
    path = tmp_path / "dedupe.sqlite" if request.param == "disk" else None
    opened: list[KeyIndex] = []

    def open_it(now_ms: int = NOW_MS) -> KeyIndex:
        opened.append(KeyIndex(path, window_s=3600, max_keys=1000, now=lambda: now_ms / 1000))
        return opened[-1]

    yield open_it
    for index in opened:
        index.close()


def claim(index: KeyIndex, key: int, offset: int, at_ms: int) -> int:
    (first,) = index.claim(P0, [Claim(key, key, offset)], offset + 1, at_ms)
    return first.offset


@pytest.mark.parametrize("lie_ms", [HOUR_MS * 2, DAY_MS, DAY_MS * 365, 10**18])
def test_records_far_ahead_of_the_clock_do_not_empty_the_index(open_index: OpenIndex, lie_ms: int) -> None:
    index = open_index()
    claim(index, 1, 0, NOW_MS)
    for offset in range(1, 40):
        claim(index, 100 + offset, offset, NOW_MS + lie_ms * offset)
    assert claim(index, 1, 50, NOW_MS) == 0
    assert index.covered(P0) == Stretch(0, 51)


def test_three_records_far_ahead_in_an_old_stretch_do_not_empty_the_index(open_index: OpenIndex) -> None:
    """In a stretch that is caught up with, a lie may be before now; each record is a batch of its own."""
    index = open_index()
    old_ms = NOW_MS - 30 * DAY_MS
    for offset in range(20):
        claim(index, offset, offset, old_ms + offset)
    for offset in (20, 21, 22):
        claim(index, offset, offset, old_ms + offset * DAY_MS)
    assert [claim(index, key, 30 + key, old_ms + 30 + key) for key in range(23)] == list(range(23))


@pytest.mark.parametrize("at_ms", [-1, 0, 1, NOW_MS - 400 * DAY_MS, NOW_MS - 2 * HOUR_MS])
def test_missing_and_earlier_timestamps_do_not_empty_the_index(open_index: OpenIndex, at_ms: int) -> None:
    index = open_index()
    claim(index, 1, 0, NOW_MS - 10_000)
    for offset in range(1, 40):
        claim(index, 100 + offset, offset, at_ms if offset % 2 else NOW_MS - 9_000)
    assert claim(index, 1, 50, NOW_MS) == 0


@pytest.mark.parametrize("ahead_ms", [0, 5, 10 * DAY_MS])
def test_with_a_clock_that_is_always_ahead_keys_are_forgotten_by_the_bridges(
    open_index: OpenIndex, ahead_ms: int
) -> None:
    now_ms = NOW_MS
    index = KeyIndex(None, window_s=3600, max_keys=1000, now=lambda: now_ms / 1000)
    claim(index, 1, 0, now_ms + ahead_ms)
    for offset in range(1, 40):
        now_ms += HOUR_MS // 4
        claim(index, 100 + offset, offset, now_ms + ahead_ms)
    assert claim(index, 1, 50, now_ms) == 50
    index.close()


def test_an_index_that_was_filled_while_this_machines_clock_was_ahead_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "dedupe.sqlite"
    wrong = KeyIndex(path, window_s=3600, max_keys=1000, now=lambda: (NOW_MS + 900 * DAY_MS) / 1000)
    claim(wrong, 1, 0, NOW_MS + 900 * DAY_MS)
    wrong.close()
    now_ms = NOW_MS
    index = KeyIndex(path, window_s=3600, max_keys=1000, now=lambda: now_ms / 1000)
    assert claim(index, 1, 1, now_ms) == 0
    for offset in range(2, 60):
        now_ms += HOUR_MS // 4
        claim(index, 100 + offset, offset, now_ms)
    assert claim(index, 2, 60, now_ms) == 60
    covered = index.covered(P0)
    assert covered is not None
    assert covered.start > 0, "it forgets again"
    index.close()


def test_the_first_digest_of_a_key_is_remembered_across_a_restart(open_index: OpenIndex) -> None:
    index = open_index()
    assert index.claim(P0, [Claim(1, 2, 7, 2**63 - 1)], 8, NOW_MS) == [Claim(1, 2, 7, 2**63 - 1)]
    index.flush()
    assert index.claim(P0, [Claim(1, 2, 9, 5)], 10, NOW_MS) == [Claim(1, 2, 7, 2**63 - 1)]
    assert index.lend(P0, [Claim(1, 2, 9, 5), Claim(3, 4, 9, 6)], 7, Stretch(9, 10), NOW_MS) == [
        Claim(1, 2, 7, 2**63 - 1), Claim(3, 4, 9, 6),
    ]  # fmt: skip


def test_a_file_of_the_version_without_digests_is_replaced_and_so_is_one_of_a_later_version(
    tmp_path: Path,
) -> None:
    """An upgrade and a downgrade read the window from the log again."""
    for version in (2, 4):
        path = tmp_path / f"{version}.sqlite"
        db = sqlite3.connect(path)
        db.executescript(
            f"CREATE TABLE keys_1_0 (high INTEGER PRIMARY KEY, sealed INTEGER, first INTEGER) STRICT;"
            f"PRAGMA user_version = {version};"
        )
        db.close()
        index = KeyIndex(path, window_s=3600, max_keys=1000)
        assert index.covered(P0) is None
        assert claim(index, 1, 5, NOW_MS) == 5
        index.close()
