"""Cursor and completion map through random crashes: no commit ever passes an unsettled event."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.core import completion_map
from bridge.core.cursor import Cursor
from bridge.model import Partition

PARTITION = Partition("orders", 0)
WINDOW = 12


class CursorMachine(RuleBasedStateMachine):
    """A log with gaps and unwanted events, one endpoint, and a process that dies now and then.

    ``delivered`` is what the receiver has, ``known`` the part of it that this process has recorded, and
    ``durable`` the last commit at the broker. A restart begins from ``durable`` alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wanted: set[int] = set()
        self.next_in_log = 0
        self.delivered: set[int] = set()
        self.settled_at_commit: set[int] = set()
        self.durable: tuple[int, str] = (0, "")
        self.begin()

    def begin(self) -> None:
        offset, text = self.durable
        done = completion_map.decode(offset, text)
        self.cursor = Cursor(
            PARTITION,
            offset,
            window=WINDOW,
            window_bytes=10_000,
            settled_to=done.end,
            left_open=done.open_offsets,
        )
        self.open: list[int] = []
        self.blocked: set[int] = set()
        self.cursor.report_changes(lambda cursor: None)
        self.known = set(self.settled_at_commit)

    @rule(gaps=st.lists(st.integers(0, 5), min_size=1, max_size=8))
    def append(self, gaps: list[int]) -> None:
        for gap in gaps:
            self.next_in_log += max(0, gap - 3)
            if gap != 3:
                self.wanted.add(self.next_in_log)
            self.next_in_log += 1

    @precondition(lambda self: not self.cursor.full)
    @rule(count=st.integers(1, 10))
    def read(self, count: int) -> None:
        end = min(self.cursor.position + count, self.next_in_log)
        for offset in range(self.cursor.position, end):
            if offset in self.wanted and self.cursor.needs(offset):
                self.cursor.open(offset, 10)
                self.open.append(offset)
        self.cursor.advance(end)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, WINDOW))
    def settle(self, which: int) -> None:
        offset = self.open[which % len(self.open)]
        self.open.remove(offset)
        if offset in self.blocked:
            self.unblock(offset)
        self.delivered.add(offset)
        self.known.add(offset)
        self.cursor.settle(offset, 10)
        self.cursor.reopen()

    def unblock(self, offset: int) -> None:
        self.blocked.discard(offset)
        self.cursor.count_blocked(-1)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 4 * WINDOW))
    def fail(self, which: int) -> None:
        """Block an event: it waits for its retry, or in a lane whose first event does."""
        offset = self.open[which % len(self.open)]
        if offset not in self.blocked:
            self.blocked.add(offset)
            self.cursor.count_blocked(1)
            self.cursor.reopen()

    @rule()
    def commit(self) -> None:
        """As in ``Commits``: a cursor that has not changed is not committed."""
        if self.cursor.is_changed:
            self.cursor.begin_commit()
            progress = self.cursor.progress()
            text, fits = completion_map.encode(*progress)
            self.cursor.set_map_fits(fits)
            self.cursor.reopen()
            self.durable = (progress.offset, text)
            self.cursor.end_commit(accepted=True)
        self.settled_at_commit = set(self.known)

    @precondition(lambda self: self.delivered)
    @rule()
    def crash(self) -> None:
        self.begin()
        again = [offset for offset in self.settled_at_commit if self.cursor.needs(offset)]
        assert not again, "settled before the commit, and wanted again after it"

    @invariant()
    def nothing_unsettled_is_committed(self) -> None:
        offset, text = self.durable
        done = completion_map.decode(offset, text)
        for offset in self.wanted - self.delivered:
            assert not done.settled(offset), f"{offset} was never delivered and counts as settled"

    @invariant()
    def progress_stops_at_the_lowest_unsettled(self) -> None:
        undelivered = self.wanted - self.delivered
        if undelivered:
            assert self.cursor.progress().offset <= min(undelivered)

    @invariant()
    def a_full_cursor_has_something_open(self) -> None:
        assert not self.cursor.full or self.open, "full with nothing to wait for: it would stay full forever"

    @invariant()
    def only_what_can_run_fills_the_window(self) -> None:
        can_run = len(self.open) - len(self.blocked)
        if can_run < WINDOW * 0.75 and len(self.open) < WINDOW * 3:
            assert not self.cursor.full, "blocked events have used up the window of those that could run"

    @invariant()
    def what_waits_is_bounded_too(self) -> None:
        if len(self.open) >= WINDOW * 4:
            assert self.cursor.full

    @invariant()
    def the_lowest_is_that_of_the_progress(self) -> None:
        assert self.cursor.lowest_unsettled == self.cursor.progress().offset

    def teardown(self) -> None:
        """Run to the end of the log: every wanted event is delivered, and nothing is open."""
        self.begin()
        while self.cursor.position < self.next_in_log or self.open:
            while self.open:
                offset = self.open.pop()
                self.delivered.add(offset)
                self.cursor.settle(offset, 10)
                self.cursor.reopen()
            if self.cursor.position < self.next_in_log:
                self.read(WINDOW)
        assert self.wanted <= self.delivered
        end = self.cursor.progress().end
        assert end >= self.next_in_log
        assert self.cursor.progress() == (end, [], end, {}, {})


CursorMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestCursor = CursorMachine.TestCase


def test_an_event_of_several_parts_is_open_until_the_last_is_settled() -> None:
    cursor = Cursor(PARTITION, 5, window=10, window_bytes=1000)
    cursor.open(5, 1)
    cursor.open(5, 1)
    cursor.advance(6)
    cursor.settle(5, 1)
    assert cursor.progress().offset == 5
    cursor.settle(5, 1)
    assert cursor.progress() == (6, [], 6, {}, {})


def test_the_settled_events_of_an_open_record_are_not_needed_again_after_a_restart() -> None:
    cursor = Cursor[completion_map.Failures](PARTITION, 5, window=10, window_bytes=1000)
    for offset in (5, 5, 5, 6):
        cursor.open(offset, 1)
    cursor.advance(8)
    cursor.record_failure(5, completion_map.Failures(9, 9), 1)
    cursor.record_failure(5, completion_map.Failures(3, 7), 3)
    for part in (2, 1):
        cursor.settle(5, 1, part)
    text, _ = completion_map.encode(*cursor.progress())
    done = completion_map.decode(5, text)
    again = Cursor(
        PARTITION, 5, window=10, window_bytes=1000, settled_to=done.end, left_open=done.open_offsets,
        failures=done.failures, parts=done.parts,
    )  # fmt: skip
    assert [part for part in (1, 2, 3) if again.needs(5, part)] == [3]
    assert again.needs(5), "the record as a whole is not settled"
    assert again.needs(6, 1), "numbers belong to their own record"
    assert again.failures[5, 3] == completion_map.Failures(3, 7)
    assert (5, 1) not in again.failures, "attempts of one event are not those of another"
    again.open(5, 1)
    again.open(6, 1)
    again.advance(8)
    assert again.settle(5, 1, 3) == 0, "it was the last of its record"
    assert again.progress() == (6, [6], 8, {}, {})


def test_a_record_of_several_events_counts_once_in_bytes_and_per_event_in_the_window() -> None:
    cursor = Cursor(PARTITION, 0, window=3, window_bytes=100)
    cursor.open(0, 90)
    cursor.open(0, 90)
    cursor.advance(1)
    assert not cursor.full
    cursor.open(0, 90)
    cursor.advance(1)
    assert cursor.full
    cursor.settle(0, 90, 1)
    assert not cursor.reopen(), "the bytes count until the last event is settled"
    cursor.settle(0, 90, 2)
    cursor.settle(0, 90, 3)
    assert cursor.reopen()
    assert cursor.unsettled == 0


def test_the_window_is_bounded_in_bytes_too() -> None:
    cursor = Cursor(PARTITION, 0, window=1000, window_bytes=100)
    cursor.open(0, 60)
    cursor.advance(1)
    assert not cursor.full
    cursor.open(1, 60)
    cursor.advance(2)
    assert cursor.full
    cursor.settle(0, 60)
    assert cursor.reopen()
    assert not cursor.full
    assert not cursor.reopen(), "True once"


def test_a_map_that_does_not_fit_makes_the_cursor_full_until_it_does() -> None:
    cursor = Cursor(PARTITION, 0, window=1000, window_bytes=10_000)
    cursor.open(0, 1)
    cursor.set_map_fits(False)
    assert cursor.full
    cursor.settle(0, 1)
    assert not cursor.reopen()
    cursor.set_map_fits(True)
    assert cursor.reopen()
