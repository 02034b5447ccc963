"""A move of a cursor: what is to be committed, from every state that a cursor can be in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.core.moves import Move, Moves, latest, read_move
from bridge.core.progress import Progress
from bridge.model import Partition, Record

PLACE = Partition("orders.v1-eu", 3)


def move(offset: int, *, back: bool, id: str = "m1") -> Move:
    return Move(id, "crm", PLACE, back, offset, "2026-11-27T09:00:00Z", "a test")


def as_record(move: Move, value: bytes | None) -> Record:
    return Record(Partition("g.control", 0), 0, 0, move.key, value)


def test_a_move_keeps_its_fields_through_the_topic() -> None:
    wanted = move(7, back=True)
    assert read_move(as_record(wanted, wanted.to_bytes())) == wanted


def test_a_record_without_a_value_ends_its_move_only() -> None:
    moves, one, other = Moves(), move(1, back=True), move(2, back=True, id="m2")
    for each in (one, other):
        moves.apply(as_record(each, each.to_bytes()))
    moves.apply(as_record(one, None))
    moves.apply(as_record(move(3, back=True, id="m3"), b"damaged"))
    assert moves.all() == [other]


def test_the_last_move_of_a_cursor_holds() -> None:
    moves = [move(1, back=True), move(9, back=False, id="m2")]
    assert latest(moves) == {("crm", PLACE): moves[1]}


@st.composite
def states(draw: st.DrawFn) -> Progress[Failures]:
    still_open = draw(st.sets(st.integers(0, 40), max_size=10))
    end = draw(st.integers(max(still_open, default=0) + 1, 50))
    retried = draw(st.sets(st.sampled_from(sorted(still_open)))) if still_open else set()
    failures = {(offset, 0): Failures(2, 1_700_000_000) for offset in retried}
    parts = {offset: frozenset({1}) for offset in retried}
    return Progress(min(still_open, default=end), sorted(still_open), end, failures, parts)


@given(states(), st.integers(0, 60))
def test_a_skip_settles_all_below_its_place_and_changes_nothing_above(
    progress: Progress[Failures], offset: int
) -> None:
    before = completion_map.decode(*_committed(progress))
    target = move(offset, back=False).target(progress)
    assert (target is None) == (offset <= progress.offset)
    after = before if target is None else completion_map.decode(*target)
    for each in range(60):
        assert after.settled(each) == (each < offset or before.settled(each))
    assert after.failures == {spot: note for spot, note in progress.failures.items() if spot[0] >= offset}
    assert after.parts == {open_: parts for open_, parts in progress.parts.items() if open_ >= offset}


@given(states(), st.integers(0, 60))
def test_a_rewind_makes_everything_from_its_place_on_open_and_never_goes_forward(
    progress: Progress[Failures], offset: int
) -> None:
    target = move(offset, back=True).target(progress)
    if target is None:
        assert offset >= progress.offset
        return
    assert offset < progress.offset
    after = completion_map.decode(*target)
    assert [after.settled(each) for each in range(60)] == [each < offset for each in range(60)]


def _committed(progress: Progress[Failures]) -> tuple[int, str]:
    text, _ = completion_map.encode(*progress)
    return progress.offset, text
