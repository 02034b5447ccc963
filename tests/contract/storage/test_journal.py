"""The journal on a real disk: believed where it fits the broker's word, silent where it does not."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.model import Committed, Partition
from bridge.storage import journal as module
from bridge.storage.journal import Journal, delete_segments
from bridge.storage.journal_segment import JournaledCursor
from bridge.telemetry import events

P0, P1 = Partition("orders", 0), Partition("orders", 1)
BASE = Committed(100, "h1abc")


def whole(*offsets: int) -> set[tuple[int, int]]:
    return {(offset, 0) for offset in offsets}


def begun(folder: Path, *bases: Committed | None) -> Journal:
    journal = Journal(folder)
    journal.begin_segment(
        [JournaledCursor("crm", Partition("orders", n), base) for n, base in enumerate(bases or (BASE,))]
    )
    return journal


def test_the_next_process_knows_what_settled_without_the_first_having_closed(tmp_path: Path) -> None:
    first = begun(tmp_path)
    for offset in (105, 101, 103):
        first.record_settled(0, offset)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(101, 103, 105)


def test_the_settled_events_of_a_record_that_has_others_open_are_told_by_number(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.record_settled(0, 101, 1)
    first.record_settled(0, 101, 7)
    first.record_settled(0, 102)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == {(101, 1), (101, 7), (102, 0)}


def test_it_is_silent_when_the_broker_has_something_else(tmp_path: Path) -> None:
    """A rewind, a deleted group, or another pod's commit in between."""
    first = begun(tmp_path)
    first.record_settled(0, 101)
    recollection = Journal(tmp_path).read()
    for other in (Committed(90, ""), Committed(100, "h1xyz"), None):
        assert recollection.settled("crm", P0, other) == set()
    assert recollection.settled("erp", P0, BASE) == set()
    assert recollection.settled("crm", P1, BASE) == set()


def test_cursors_are_kept_apart(tmp_path: Path) -> None:
    first = begun(tmp_path, BASE, Committed(5, ""))
    first.record_settled(0, 101)
    first.record_settled(1, 7)
    recollection = Journal(tmp_path).read()
    assert recollection.settled("crm", P0, BASE) == whole(101)
    assert recollection.settled("crm", P1, Committed(5, "")) == whole(7)


def test_a_commit_under_way_leaves_both_words_believed_and_a_finished_one_the_new_one(tmp_path: Path) -> None:
    journal, new = begun(tmp_path), Committed(104, "")
    journal.record_settled(0, 101)
    segment = journal.begin_segment([JournaledCursor("crm", P0, new)])
    journal.record_settled(0, 107)
    recollection = Journal(tmp_path).read()
    assert recollection.settled("crm", P0, BASE) == whole(101, 107), "killed before the broker took it"
    assert recollection.settled("crm", P0, new) == whole(101, 107), "killed just after"
    journal.delete_before(segment)
    recollection = Journal(tmp_path).read()
    assert recollection.settled("crm", P0, BASE) == set()
    assert recollection.settled("crm", P0, new) == whole(107)


def test_a_full_segment_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CAPACITY", 10)
    journal = begun(tmp_path)
    for offset in range(200, 235):
        journal.record_settled(0, offset)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(*range(200, 235))


def test_a_torn_or_damaged_file_tells_only_what_is_whole(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    for offset in range(200, 210):
        journal.record_settled(0, offset)
    journal.close()
    (path,) = tmp_path.glob("journal.*")
    data = bytearray(path.read_bytes())
    start = data.index(b"\n") + 1
    data[start + 5 * 20 + 9] ^= 0xFF
    path.write_bytes(data)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(*range(200, 205))
    path.write_bytes(data[: start + 3 * 20 + 7])
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(200, 201, 202)
    for rubbish in (b"", b"\x00" * 100, b"[1, 2]\n", b'{"a": 1}\n', data[:10]):
        path.write_bytes(rubbish)
        assert Journal(tmp_path).read().settled("crm", P0, BASE) == set()


def test_a_disk_that_takes_nothing_is_said_once_and_stops_nobody(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with capture_logs() as logs:
            journal = begun(tmp_path)
            journal.delete_before(journal.begin_segment([JournaledCursor("crm", P0, BASE)]))
            journal.record_settled(0, 101)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [one["event"] for one in logs] == [events.JOURNAL_FAILED]
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == set()
    journal.begin_segment([JournaledCursor("crm", P0, BASE)])
    journal.record_settled(0, 102)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(102)


def test_what_settled_for_a_cursor_that_is_away_is_known_when_it_comes_back(tmp_path: Path) -> None:
    """Killed, and at first given other partitions: their commits forget nothing of the first."""
    first = begun(tmp_path)
    first.record_settled(0, 101)
    second = Journal(tmp_path)
    second.begin_segment([JournaledCursor("crm", P1, Committed(5, ""))])
    for offset in (6, 7, 8):
        second.record_settled(0, offset)
        second.delete_before(second.begin_segment([JournaledCursor("crm", P1, Committed(offset, ""))]))
    recollection = second.read()
    assert recollection.settled("crm", P0, BASE) == whole(101)
    assert recollection.settled("crm", P1, Committed(5, "")) == set(), "that was committed"
    assert recollection.settled("crm", P1, Committed(7, "")) == set()
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(101), "nor does the next process"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cursor_that_came_back_and_was_committed_is_forgotten(tmp_path: Path) -> None:
    first = begun(tmp_path, BASE, Committed(5, ""))
    first.record_settled(0, 101)
    first.record_settled(1, 9)
    second = Journal(tmp_path)
    second.delete_before(second.begin_segment([JournaledCursor("erp", P0, None)]))
    second.begin_segment([JournaledCursor("crm", P0, BASE)])
    second.record_settled(0, 103)
    assert second.read().settled("crm", P0, BASE) == whole(101, 103)
    second.delete_before(second.begin_segment([JournaledCursor("crm", P0, Committed(104, ""))]))
    recollection = second.read()
    assert recollection.settled("crm", P0, BASE) == set()
    assert recollection.settled("crm", P1, Committed(5, "")) == whole(9), "the other one is still away"


def test_a_cursor_that_settles_more_and_goes_again_is_known_with_all_of_it(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.record_settled(0, 101)
    second = Journal(tmp_path)
    second.delete_before(second.begin_segment([JournaledCursor("crm", P1, None)]))
    second.begin_segment([JournaledCursor("crm", P0, BASE)])
    second.record_settled(0, 103)
    second.begin_segment([JournaledCursor("crm", P1, None)])
    second.delete_before(second.begin_segment([JournaledCursor("crm", P1, Committed(1, ""))]))
    assert second.read().settled("crm", P0, BASE) == whole(101, 103)


def test_what_is_told_of_cursors_that_stay_away_is_not_believed_for_ever(tmp_path: Path) -> None:
    begun(tmp_path).record_settled(0, 101)
    second = Journal(tmp_path)
    second.delete_before(second.begin_segment([JournaledCursor("crm", P1, None)]))
    (left,) = tmp_path.glob("journal.0")
    os.utime(left, (time.time() - 3600,) * 2)
    assert second.read().settled("crm", P0, BASE) == set()
    assert not left.exists()


def test_segments_of_another_cluster_are_forgotten(tmp_path: Path) -> None:
    begun(tmp_path).record_settled(0, 101)
    delete_segments(tmp_path)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == set()
    delete_segments(tmp_path / "nowhere")
