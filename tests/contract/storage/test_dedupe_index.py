"""The dedupe index on a real SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.core.dedupe import Claim, Stretch
from bridge.errors import ConfigError
from bridge.model import Partition
from bridge.storage.dedupe_index import IndexLostError, KeyIndex
from bridge.telemetry import events
from tests.support.fakes import P0, P1

HOUR_MS = 3_600_000
OpenIndex = Callable[..., KeyIndex]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "dedupe.sqlite"


@pytest.fixture
def open_index(path: Path) -> Iterator[OpenIndex]:
    """Opens the same file again and again, as processes do."""
    opened: list[KeyIndex] = []

    def open_it(*, window_s: float = 3600, max_keys: int = 1000) -> KeyIndex:
        opened.append(KeyIndex(path, window_s=window_s, max_keys=max_keys))
        return opened[-1]

    yield open_it
    for index in opened:
        index.close()


def claim(index: KeyIndex, *pairs: tuple[int, int], at_ms: int = 1, partition: Partition = P0) -> list[int]:
    """The first offsets of (key, offset) pairs."""
    claims = [Claim(key, key, offset) for key, offset in pairs]
    return [first.offset for first in index.claim(partition, claims, pairs[-1][1] + 1, at_ms)]


def agree(index: KeyIndex, end: int, *, at_ms: int) -> None:
    """As many batches without events as must agree on the time."""
    for _ in range(8):
        index.claim(P0, [], end, at_ms)


def offsets(firsts: list[Claim] | None) -> list[int]:
    return [first.offset for first in firsts or ()]


def test_the_first_offset_of_a_key_stays_the_first(open_index: OpenIndex) -> None:
    index = open_index()
    assert claim(index, (1, 10), (2, 11), (1, 12)) == [10, 11, 10]
    assert claim(index, (2, 13), (3, 14), (1, 15)) == [11, 14, 10]


def test_reading_the_same_records_again_returns_the_same_first_offsets(open_index: OpenIndex) -> None:
    index = open_index()
    pairs = [(1, 10), (2, 11), (1, 12)]
    assert claim(index, *pairs) == claim(index, *pairs)


def test_reading_from_an_earlier_offset_finds_the_earlier_first(open_index: OpenIndex) -> None:
    index = open_index()
    claim(index, (1, 10))
    assert claim(index, (1, 5), (1, 10)) == [5, 5]
    assert claim(index, (1, 20)) == [5]
    assert index.covered(P0) == Stretch(0, 21)


def test_more_keys_than_one_select_can_take_are_found(open_index: OpenIndex) -> None:
    index = open_index(max_keys=10_000)
    pairs = [(key, key) for key in range(1700)]
    assert claim(index, *pairs) == list(range(1700))
    assert claim(index, *[(key, key + 5000) for key, _ in pairs]) == list(range(1700))


def test_two_keys_that_share_the_high_half_are_not_duplicates(open_index: OpenIndex) -> None:
    index = open_index()
    assert offsets(index.claim(P0, [Claim(7, 1, 10), Claim(7, 2, 11)], 12, 1)) == [10, 11]
    assert offsets(index.claim(P0, [Claim(7, 3, 12)], 13, 1)) == [12]


def test_two_partitions_are_kept_apart(open_index: OpenIndex) -> None:
    index = open_index()
    assert claim(index, (1, 10)) == [10]
    assert claim(index, (1, 20), partition=P1) == [20]
    assert claim(index, (1, 30), partition=Partition("other", 0)) == [30]
    index.reset(P0, 40)
    assert claim(index, (1, 50), partition=P1) == [20]
    assert (index.covered(P0), index.covered(P1)) == (None, Stretch(0, 51))


def test_a_key_is_forgotten_after_two_windows_and_not_before_one(open_index: OpenIndex) -> None:
    index = open_index()
    claim(index, (1, 0), at_ms=1)
    claim(index, (2, 1), at_ms=HOUR_MS)
    assert claim(index, (1, 2), at_ms=HOUR_MS) == [0]
    agree(index, 3, at_ms=HOUR_MS + 2)
    claim(index, (3, 3), at_ms=HOUR_MS + 2)
    agree(index, 4, at_ms=2 * HOUR_MS + 10)
    claim(index, (4, 4), at_ms=2 * HOUR_MS + 10)
    assert index.covered(P0) == Stretch(3, 5), "what is said to be known is what is known"
    assert claim(index, (2, 5), (3, 6), at_ms=2 * HOUR_MS + 10) == [5, 3]


def test_a_key_that_is_claimed_again_within_the_window_is_kept(open_index: OpenIndex) -> None:
    index = open_index()
    for hour in range(8):
        assert claim(index, (1, hour), at_ms=1 + hour * (HOUR_MS - 1)) == [0]


def test_too_many_keys_swap_the_tables(open_index: OpenIndex) -> None:
    index = open_index(max_keys=10)
    claim(index, *[(key, key) for key in range(10)])
    assert claim(index, (5, 10), *[(key, key) for key in range(11, 20)])[0] == 5, (
        "one turn keeps the older table"
    )
    assert index.covered(P0) == Stretch(0, 20)
    assert claim(index, (5, 20), (6, 21)) == [5, 21], "two turns forget, but not what came between"
    assert index.covered(P0) == Stretch(10, 22)


def test_flushed_keys_outlive_the_process(open_index: OpenIndex) -> None:
    index = open_index()
    claim(index, (1, 10))
    index.flush()
    again = open_index()
    assert again.covered(P0) == Stretch(0, 11)
    assert claim(again, (1, 20)) == [10]


def test_keys_that_were_not_flushed_are_lost_with_their_covered_stretch(
    path: Path, open_index: OpenIndex
) -> None:
    index = open_index()
    claim(index, (1, 10))
    index.flush()
    claim(index, (2, 11), (3, 12))
    index._db.rollback()  # as a kill leaves the file
    again = open_index()
    assert again.covered(P0) == Stretch(0, 11)
    assert claim(again, (1, 20), (2, 21)) == [10, 21]


def test_a_partition_first_read_just_before_a_kill_starts_empty(open_index: OpenIndex) -> None:
    index = open_index()
    claim(index, (1, 10))
    index._db.rollback()
    again = open_index()
    assert again.covered(P0) is None
    assert claim(again, (1, 20)) == [20]


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_is_replaced_and_logged(path: Path, open_index: OpenIndex, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    with capture_logs() as logs:
        index = open_index()
    assert [(line["event"], line["file"]) for line in logs] == [(events.INDEX_REPLACED, str(path))]
    assert index.covered(P0) is None
    assert claim(index, (1, 10)) == [10]


def test_damage_in_the_middle_is_found_when_the_file_is_opened(path: Path, open_index: OpenIndex) -> None:
    index = KeyIndex(path, window_s=3600, max_keys=100_000)
    claim(index, *[(key * 2**40, key) for key in range(5000)])
    index.close()
    whole = bytearray(path.read_bytes())
    whole[8192:-4096] = b"\xaa" * (len(whole) - 8192 - 4096)
    path.write_bytes(whole)
    with capture_logs() as logs:
        index = open_index()
    assert [line["event"] for line in logs] == [events.INDEX_REPLACED]
    assert index.covered(P0) is None


def test_damage_that_sqlite_cannot_report_counts_as_damage(path: Path, open_index: OpenIndex) -> None:
    """It quotes the damaged schema in its message, which then is no text."""
    open_index().close()
    content = path.read_bytes()
    assert b"CREATE TABLE" in content
    path.write_bytes(content.replace(b"CREATE TABLE", b"CREATE \xb3ABLE"))
    with capture_logs() as logs:
        assert claim(open_index(), (1, 5)) == [5]
    assert [line["event"] for line in logs] == [events.INDEX_REPLACED]


def test_a_damaged_offset_never_marks_an_event_as_a_duplicate(path: Path, open_index: OpenIndex) -> None:
    """The row is that of no key then: a duplicate may pass, but no event is lost."""
    index = open_index()
    assert claim(index, (1, 10), (2, 11)) == [10, 11]
    index.close()
    altered(path, "UPDATE keys_1_0 SET first = 3 WHERE high = 1")
    index = open_index()
    assert claim(index, (1, 12), (2, 13)) == [12, 11]


@pytest.mark.parametrize("change", ["end = NULL", "began_ms = 'x'"])
def test_a_covered_stretch_that_is_no_number_replaces_the_file(
    path: Path, open_index: OpenIndex, change: str
) -> None:
    index = open_index()
    claim(index, (1, 10))
    index.close()
    bare = "replace(replace(sql, ' NOT NULL', ''), ' STRICT', '')"
    altered(path, f"PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = {bare}")
    altered(path, f"UPDATE partitions SET {change}")
    index = open_index()
    with capture_logs() as logs, pytest.raises(IndexLostError):
        asked(index)
    assert [line["event"] for line in logs] == [events.INDEX_FAILED]
    assert claim(index, (1, 13)) == [13], "in memory"
    assert claim(open_index(), (1, 14)) == [14], "the file is a new one"


def test_a_file_of_another_version_is_replaced(path: Path, open_index: OpenIndex) -> None:
    index = open_index()
    claim(index, (1, 10))
    index.close()
    altered(path, "PRAGMA user_version = 1")
    with capture_logs() as logs:
        assert claim(open_index(), (1, 12)) == [12]
    assert [line["event"] for line in logs] == [events.INDEX_REPLACED]


def asked(index: KeyIndex) -> None:
    index.covered(P0)
    claim(index, (1, 12))


def altered(path: Path, script: str) -> None:
    db = sqlite3.connect(path)
    db.executescript(script)
    db.commit()
    db.close()


def test_a_directory_that_cannot_be_created_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(ConfigError, match="state_dir"):
        KeyIndex(tmp_path / "state" / "dedupe.sqlite", window_s=1, max_keys=1)


def test_it_lends_what_it_covers_and_nothing_beyond_a_gap(open_index: OpenIndex) -> None:
    index = open_index()
    index.reset(P0, 10)
    claim(index, (1, 10), (2, 11), (1, 12))
    again = [Claim(1, 1, 11), Claim(1, 1, 12), Claim(3, 3, 13), Claim(2, 2, 14)]
    assert offsets(index.lend(P0, again, 10, Stretch(11, 15), 1)) == [10, 10, 13, 11]
    assert index.covered(P0) == Stretch(10, 15), "what it had not seen it has learnt"
    assert index.lend(P0, again, 9, Stretch(11, 15), 1) is None, "its knowledge begins later"
    assert index.lend(P0, [Claim(4, 4, 20)], 10, Stretch(20, 21), 1) is None, "what stands between?"


def test_forgetting_deletes_the_keys_of_all_partitions(open_index: OpenIndex) -> None:
    index = open_index()
    claim(index, (1, 10), (2, 11))
    claim(index, (1, 10), partition=P1)
    index.forget()
    assert index.covered(P0) is None
    assert claim(index, (1, 50)) == [50]
    index.flush()
    again = open_index()
    assert claim(again, (2, 60), (1, 61)) == [60, 50]
    assert again.covered(P1) is None
