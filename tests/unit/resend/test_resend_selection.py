"""A bulk re-send takes the last attempt of each event, in the order of its source, and can be continued."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.history.attempt import AttemptId, Kept
from bridge.resend.entries import Refusal
from bridge.resend.selection import Selection, SelectionError, Turn
from tests.support.attempts import attempt_at


def kept(place: int, endpoint: str = "crm", **facts: Any) -> Kept:
    return Kept(AttemptId(0, place, 0), endpoint, attempt_at(place, **facts))


def turns_of(attempts: list[Kept], done: dict[str, Any] | None = None) -> list[Turn]:
    selection = Selection()
    selection.pick((one, None) for one in attempts)
    selection.arrange(done or {})
    turns: list[Turn] = []
    while more := selection.next_turns(turns[-1].turn if turns else 0, 3, 1 << 20):
        turns += more
    assert len(turns) == selection.left
    selection.close()
    return turns


def test_the_last_attempt_of_an_event_counts_once_per_endpoint() -> None:
    attempts = [
        kept(0, offset=1),
        kept(1, "bank", offset=1),
        kept(2, offset=1),
        kept(3, offset=1, event_index=2),
    ]
    assert [(turn.endpoint, turn.attempt.offset) for turn in turns_of(attempts)] == [
        ("bank", 1), ("crm", 2), ("crm", 3)
    ]  # fmt: skip


def test_the_last_attempt_is_the_one_that_was_sent_last_wherever_the_history_has_it() -> None:
    """Two pods write to the history, and their partitions are read one after the other."""
    assert [turn.attempt.offset for turn in turns_of([kept(5, offset=1), kept(2, offset=1)])] == [5]


def test_an_attempt_that_was_itself_a_resend_is_an_attempt_of_the_first_event() -> None:
    again = kept(5, topic="g.again", offset=70, origin="orders-3@1", origin_ms=1_700_000_000_000)
    assert [turn.attempt.offset for turn in turns_of([kept(0, offset=1), again])] == [5]


def test_events_of_a_partition_keep_the_order_of_their_source() -> None:
    """The first one was sent again yesterday, after the second one."""
    attempts = [kept(1, offset=1), kept(2, offset=2), kept(3, offset=3), kept(4, offset=1)]
    assert [turn.spot[0] for turn in turns_of(attempts)] == [1, 2, 3]


def test_turns_are_limited_by_number_and_by_bytes() -> None:
    selection = Selection()
    selection.pick((kept(n, offset=n, body_bytes=100), None) for n in range(10))
    selection.arrange({})
    assert len(selection.next_turns(0, 100, 350)) == 3
    assert len(selection.next_turns(0, 100, 1)) == 1
    assert len(selection.next_turns(8, 100, 10**9)) == 2


def test_what_cannot_be_sent_is_counted_by_reason_and_takes_no_turn() -> None:
    selection = Selection()
    selection.pick([(kept(0, offset=0), Refusal.BODY_MASKED), (kept(1, offset=1), None)])
    selection.pick([(kept(2, offset=1), Refusal.BODY_MASKED)])
    selection.arrange({})
    assert selection.refused() == {Refusal.BODY_MASKED: 2}
    assert (selection.left, selection.by_endpoint()) == (0, {})


SPOTS = st.tuples(
    st.sampled_from(["crm", "bank"]),
    st.sampled_from(["orders", "pay-ments"]),
    st.integers(0, 2),
    st.integers(0, 9),
    st.integers(0, 1),
)


@given(st.lists(SPOTS, max_size=60), st.integers(0, 60))
def test_a_selection_that_is_continued_anywhere_sends_the_rest_and_nothing_twice(
    spots: list[tuple[str, str, int, int, int]], at: int
) -> None:
    attempts = [
        kept(place, endpoint, topic=topic, partition=number, offset=offset, event_index=part)
        for place, (endpoint, topic, number, offset, part) in enumerate(spots)
    ]
    turns = turns_of(attempts)
    found = [(turn.endpoint, turn.topic, turn.number, *turn.spot[:2]) for turn in turns]
    assert sorted(found) == sorted(set(spots)), "each event once"
    last: dict[tuple[str, str, int], list[int]] = {}
    for turn in turns:
        key = turn.endpoint, turn.topic, turn.number
        assert last.get(key, [-1]) < turn.spot, "the events of a partition keep their order"
        last[key] = turn.spot
    done: dict[str, Any] = {}
    for turn in turns[:at]:
        done.setdefault(turn.endpoint, {}).setdefault(turn.topic, {})[str(turn.number)] = turn.spot
    rest = turns_of(attempts, done)
    assert rest == turns[at:]


def test_a_temporary_file_that_cannot_be_written_is_named_with_its_remedy() -> None:
    selection = Selection()
    selection.close()
    with pytest.raises(SelectionError, match="set TMPDIR"):
        selection.pick([(kept(0), None)])
