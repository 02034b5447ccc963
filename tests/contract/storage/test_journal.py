"""The journal on a real disk: it counts only if the broker has the commit that it recorded."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.model import Committed, Partition
from bridge.storage import journal as module
from bridge.storage.journal import Journal, delete_segments
from bridge.storage.journal_segment import (
    CursorKey,
    JournaledCursor,
    SegmentRow,
    encode_declaration,
    encode_segment,
    salt_of,
)
from bridge.telemetry import events

P0, P1 = Partition("orders", 0), Partition("orders", 1)
BASE = Committed(100, "h1abc")


def whole(*offsets: int) -> set[tuple[int, int]]:
    return {(offset, 0) for offset in offsets}


def begin(journal: Journal, *cursors: JournaledCursor) -> int:
    """Begin a segment in which these cursors settle something; return its number."""
    journal.begin_segment()
    for cursor in cursors:
        journal.declare(cursor)
    return journal.segment


def begin_journal(folder: Path, *bases: Committed | None) -> Journal:
    journal = Journal(folder)
    begin(
        journal,
        *(JournaledCursor("crm", Partition("orders", n), base) for n, base in enumerate(bases or (BASE,))),
    )
    return journal


def ours(*keys: CursorKey) -> Callable[[CursorKey], bool]:
    """Return what says which cursors are of the present assignment."""
    return set(keys).__contains__


CRM_0, CRM_1 = ("crm", P0), ("crm", P1)


def test_the_next_process_reads_what_settled_before_a_kill(tmp_path: Path) -> None:
    first = begin_journal(tmp_path)
    for offset in (105, 101, 103):
        first.record_settled(0, offset)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(101, 103, 105)


def test_the_settled_events_of_an_open_record_are_stored_by_number(tmp_path: Path) -> None:
    first = begin_journal(tmp_path)
    first.record_settled(0, 101, 1)
    first.record_settled(0, 101, 7)
    first.record_settled(0, 102)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == {(101, 1), (101, 7), (102, 0)}


def test_the_journal_is_ignored_if_the_broker_has_another_commit(tmp_path: Path) -> None:
    """A rewind, a deleted group, or another pod's commit in between."""
    first = begin_journal(tmp_path)
    first.record_settled(0, 101)
    journaled = Journal(tmp_path).read()
    for other in (Committed(90, ""), Committed(100, "h1xyz"), None):
        assert journaled.settled("crm", P0, other) == set()
    assert journaled.settled("erp", P0, BASE) == set()
    assert journaled.settled("crm", P1, BASE) == set()


def test_entries_belong_to_their_own_cursor(tmp_path: Path) -> None:
    first = begin_journal(tmp_path, BASE, Committed(5, ""))
    first.record_settled(0, 101)
    first.record_settled(1, 7)
    journaled = Journal(tmp_path).read()
    assert journaled.settled("crm", P0, BASE) == whole(101)
    assert journaled.settled("crm", P1, Committed(5, "")) == whole(7)


def test_during_a_commit_entries_count_for_both_offsets_and_after_it_for_the_new_one(tmp_path: Path) -> None:
    journal, new = begin_journal(tmp_path), Committed(104, "")
    journal.record_settled(0, 101)
    segment = begin(journal, JournaledCursor("crm", P0, new))
    journal.record_settled(0, 107)
    journaled = Journal(tmp_path).read()
    assert journaled.settled("crm", P0, BASE) == whole(101, 107), "killed before the broker accepted it"
    assert journaled.settled("crm", P0, new) == whole(101, 107), "killed just after"
    journal.delete_before(segment, ours(CRM_0))
    journaled = Journal(tmp_path).read()
    assert journaled.settled("crm", P0, BASE) == set()
    assert journaled.settled("crm", P0, new) == whole(107)


def test_a_full_segment_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 250)
    journal = begin_journal(tmp_path)
    cursor = 0
    for offset in range(200, 235):
        if not journal.record_settled(cursor, offset):
            cursor = journal.declare(JournaledCursor("crm", P0, BASE))
            assert journal.record_settled(cursor, offset)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(*range(200, 235))


def test_a_torn_or_damaged_segment_is_read_up_to_the_damage(tmp_path: Path) -> None:
    journal = begin_journal(tmp_path)
    for offset in range(200, 210):
        journal.record_settled(0, offset)
    journal.close()
    (path,) = tmp_path.glob("journal.*")
    data = bytearray(path.read_bytes())
    declaration = encode_declaration(0, JournaledCursor("crm", P0, BASE), salt_of(1))
    start = data.index(declaration) + len(declaration)
    data[start + 5 * 20 + 9] ^= 0xFF
    path.write_bytes(data)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(*range(200, 205))
    path.write_bytes(data[: start + 3 * 20 + 7])
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(200, 201, 202)
    for rubbish in (b"", b"\x00" * 100, b"[1, 2]\n", b'{"a": 1}\n', data[:10]):
        path.write_bytes(rubbish)
        assert Journal(tmp_path).read().settled("crm", P0, BASE) == set()


def test_a_disk_that_cannot_be_written_is_logged_once_and_stops_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with capture_logs() as logs:
            journal = begin_journal(tmp_path)
            journal.delete_before(begin(journal, JournaledCursor("crm", P0, BASE)), ours(CRM_0))
            journal.record_settled(0, 101)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [line["event"] for line in logs] == [events.JOURNAL_FAILED]
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == set()
    begin(journal, JournaledCursor("crm", P0, BASE))
    journal.record_settled(0, 102)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(102)


def test_entries_of_partitions_assigned_elsewhere_are_kept_until_these_return(tmp_path: Path) -> None:
    """After a kill, the process first got other partitions. Their commits delete nothing of the first."""
    first = begin_journal(tmp_path)
    first.record_settled(0, 101)
    second = Journal(tmp_path)
    begin(second, JournaledCursor("crm", P1, Committed(5, "")))
    for offset in (6, 7, 8):
        second.record_settled(0, offset)
        second.delete_before(begin(second, JournaledCursor("crm", P1, Committed(offset, ""))), ours(CRM_1))
    journaled = second.read()
    assert journaled.settled("crm", P0, BASE) == whole(101)
    assert journaled.settled("crm", P1, Committed(5, "")) == set(), "that was committed"
    assert journaled.settled("crm", P1, Committed(7, "")) == set()
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(101), "nor does the next process"
    assert len(list(tmp_path.iterdir())) == 3, "the current segment, the kept rows and a spare file"


def test_entries_of_a_cursor_that_returned_and_was_committed_are_deleted(tmp_path: Path) -> None:
    first = begin_journal(tmp_path, BASE, Committed(5, ""))
    first.record_settled(0, 101)
    first.record_settled(1, 9)
    second = Journal(tmp_path)
    second.delete_before(begin(second, JournaledCursor("erp", P0, None)), ours(("erp", P0)))
    begin(second, JournaledCursor("crm", P0, BASE))
    second.record_settled(0, 103)
    assert second.read().settled("crm", P0, BASE) == whole(101, 103)
    second.delete_before(begin(second, JournaledCursor("crm", P0, Committed(104, ""))), ours(CRM_0))
    journaled = second.read()
    assert journaled.settled("crm", P0, BASE) == set()
    assert journaled.settled("crm", P1, Committed(5, "")) == whole(9), "the other one is still away"


def test_entries_of_a_cursor_from_several_assignments_are_kept_together(tmp_path: Path) -> None:
    first = begin_journal(tmp_path)
    first.record_settled(0, 101)
    second = Journal(tmp_path)
    second.delete_before(begin(second, JournaledCursor("crm", P1, None)), ours(CRM_1))
    begin(second, JournaledCursor("crm", P0, BASE))
    second.record_settled(0, 103)
    begin(second, JournaledCursor("crm", P1, None))
    second.delete_before(begin(second, JournaledCursor("crm", P1, Committed(1, ""))), ours(CRM_1))
    assert second.read().settled("crm", P0, BASE) == whole(101, 103)


@pytest.mark.parametrize("is_kept", [False, True])
def test_entries_from_before_a_cursor_began_anew_count_no_longer(tmp_path: Path, is_kept: bool) -> None:
    first, new = begin_journal(tmp_path), Committed(90, "")
    first.record_settled(0, 101)
    begin(first, JournaledCursor("crm", P0, new, is_new=True))
    first.record_settled(0, 91)
    second = Journal(tmp_path)
    begin(second, JournaledCursor("crm", P0, new), JournaledCursor("erp", P0, None))
    second.record_settled(0, 92)
    if is_kept:  # in segment 0: the partition is assigned elsewhere
        second.delete_before(begin(second, JournaledCursor("erp", P0, BASE)), ours(("erp", P0)))
    journaled = Journal(tmp_path).read()
    assert journaled.settled("crm", P0, new) == whole(91, 92)
    assert journaled.settled("crm", P0, BASE) == set()


def test_kept_entries_of_cursors_that_do_not_return_expire(tmp_path: Path) -> None:
    begin_journal(tmp_path).record_settled(0, 101)
    second = Journal(tmp_path)
    second.delete_before(begin(second, JournaledCursor("crm", P1, None)), ours(CRM_1))
    (left,) = tmp_path.glob("journal.0")
    os.utime(left, (time.time() - 3600,) * 2)
    assert second.read().settled("crm", P0, BASE) == set()
    assert not left.exists()


def test_deleting_segments_empties_the_journal(tmp_path: Path) -> None:
    begin_journal(tmp_path).record_settled(0, 101)
    delete_segments(tmp_path)
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == set()
    delete_segments(tmp_path / "nowhere")


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("journal.*"))


def test_a_commit_after_which_nothing_settles_begins_no_segment(tmp_path: Path) -> None:
    journal, new = begin_journal(tmp_path), Committed(104, "")
    journal.record_settled(0, 101)
    first = journal.begin_segment()
    assert [journal.begin_segment() for _ in range(100)] == [first] * 100
    journal.record_settled(journal.declare(JournaledCursor("crm", P0, new)), 107)
    journal.delete_before(first, ours(CRM_0))
    assert Journal(tmp_path).read().settled("crm", P0, new) == whole(107)


def test_a_segment_names_only_the_cursors_that_settle_something(tmp_path: Path) -> None:
    """A thousand endpoints in a hundred partitions are at rest, and one event settles."""
    journal = begin_journal(tmp_path)
    journal.record_settled(0, 101)
    journal.close()
    (path,) = tmp_path.glob("journal.*")
    assert path.stat().st_size < 200


def test_a_cursor_that_was_committed_within_a_segment_settles_for_either_commit(tmp_path: Path) -> None:
    journal, new = begin_journal(tmp_path), Committed(104, "")
    journal.record_settled(0, 101)
    journal.record_settled(journal.declare(JournaledCursor("crm", P0, new)), 107)
    for base in (BASE, new):
        assert Journal(tmp_path).read().settled("crm", P0, base) == whole(101, 107)


def test_a_segment_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    """It lists all cursors in its first line, each with four fields, and declares none later."""
    row = SegmentRow(JournaledCursor("crm", P0, BASE), whole(101, 103))
    _, _, entries = encode_segment([row]).partition(b"\n")
    (tmp_path / "journal.7").write_bytes(b'[["crm","orders",0,[100,"h1abc"]]]\n' + entries)
    journal = Journal(tmp_path)
    assert journal.read().settled("crm", P0, BASE) == whole(101, 103)
    assert journal.begin_segment() == 8


def test_an_hour_of_failed_commits_takes_little_space_and_forgets_nothing(tmp_path: Path) -> None:
    """One event settles between two tries, and the broker may have accepted any of them."""
    journal = begin_journal(tmp_path)
    bases = [Committed(101 + number, f"map {number}") for number in range(200)]
    for base in bases:
        journal.record_settled(0, base.offset)
        begin(journal, JournaledCursor("crm", P0, base))
    assert folder_bytes(tmp_path) < 1024 * 1024, "only the current segment has its whole space"
    journaled = Journal(tmp_path).read()
    for base in (BASE, bases[0], bases[100], bases[-1]):
        assert journaled.settled("crm", P0, base) == whole(*range(101, 301))


def test_the_number_of_segments_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SEGMENTS", 4)
    journal = begin_journal(tmp_path)
    for number in range(20):
        journal.begin_segment()
        cursor = journal.declare(JournaledCursor("crm", P0, Committed(101 + number, "")))
        journal.record_settled(cursor, 200 + number)
    assert len([*tmp_path.glob("journal.*")]) == 4
    assert Journal(tmp_path).read().settled("crm", P0, BASE) == whole(*range(200, 220))
    last = journal.begin_segment()
    journal.record_settled(journal.declare(JournaledCursor("crm", P1, Committed(3, ""))), 5)
    assert Journal(tmp_path).read().settled("crm", P1, Committed(3, "")) == whole(5), "other cursors"
    journal.delete_before(last, ours(CRM_1))
    assert len([*tmp_path.glob("journal.*")]) == 3, "the kept rows, the current segment and a spare file"


def commit(journal: Journal, base: Committed, offset: int) -> None:
    """Commit all that settled, and settle one event more."""
    segment = begin(journal, JournaledCursor("crm", P0, base))
    journal.record_settled(0, offset)
    journal.delete_before(segment, ours(CRM_0))


def test_a_commit_takes_the_file_of_an_earlier_segment(tmp_path: Path) -> None:
    journal = begin_journal(tmp_path)
    commit(journal, Committed(101, ""), 105)
    files = {path.stat().st_ino for path in tmp_path.iterdir()}
    for number in range(102, 120):
        commit(journal, Committed(number, ""), number + 10)
        assert {path.stat().st_ino for path in tmp_path.iterdir()} == files
        journaled = Journal(tmp_path).read()
        assert journaled.settled("crm", P0, Committed(number, "")) == whole(number + 10)
        assert journaled.settled("crm", P0, Committed(number - 1, "")) == set(), "that was committed"
    assert len(files) == 2
    journal.close()
    (left,) = tmp_path.iterdir()
    assert left.stat().st_size < 200


def test_entries_that_a_power_cut_left_in_a_file_that_is_used_again_do_not_count(tmp_path: Path) -> None:
    """What the disk has of the file may be the first line of one segment and entries of the one before."""
    parts = []
    for number in (1, 2):
        journal = Journal(tmp_path)
        begin(journal, JournaledCursor("crm", P0, BASE))
        journal.record_settled(0, 100 + number)
        journal.close()
        parts.append((tmp_path / f"journal.{number}").read_bytes().partition(b"\n"))
    (tmp_path / "journal.1").unlink()
    for (head, _, _), (_, _, entries), count in ((*parts, 0), (parts[1], parts[1], 1)):
        (tmp_path / "journal.2").write_bytes(head + b"\n" + entries)
        assert len(Journal(tmp_path).read().settled("crm", P0, BASE)) == count
