"""The state table of the readiness: each place in the group has one answer, in words that are true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.readiness import GroupPlace, State, describe

SESSION_S = 10.0
WORKING = GroupPlace(group="g", silent_s=0.4, session_timeout_s=SESSION_S, assigned=4)


@pytest.mark.parametrize(
    ("place", "state", "words"),
    [
        (WORKING, State.ASSIGNED, "assigned: 4 partitions"),
        (replace(WORKING, assigned=0), State.STANDBY, "standing by: all partitions are with other pods"),
        (replace(WORKING, unprepared=3), State.PREPARING, "reading the cursors of 3 partitions"),
        (replace(WORKING, rebalancing_s=2.0), State.REBALANCING, "rebalancing"),
        (replace(WORKING, rebalancing_s=2.0, assigned=0), State.REBALANCING, "rebalancing"),
        (replace(WORKING, rebalancing_s=40.0, silent_s=40.0), State.REBALANCING, "for 40 s"),
        (
            replace(WORKING, rebalancing_s=40.0, silent_s=40.0, reachable=False),
            State.NO_ANSWER,
            "no answer from Kafka: the coordinator of group g has accepted no heartbeat for 40 s",
        ),
        (replace(WORKING, silent_s=SESSION_S), State.NO_ANSWER, "no answer from Kafka"),
        (replace(WORKING, silent_s=41.0, assigned=0), State.NO_ANSWER, "for 41 s"),
        (replace(WORKING, silent_s=9.9, reachable=False), State.ASSIGNED, "assigned"),
        (replace(WORKING, name_taken="pod-1"), State.FENCED, "another process has joined group g as pod-1"),
        (replace(WORKING, name_taken="pod-1", silent_s=99.0, rebalancing_s=9.0), State.FENCED, "pod-1"),
    ],
)
def test_each_place_in_the_group_has_its_state_and_its_words(
    place: GroupPlace, state: State, words: str
) -> None:
    assert describe(place).state is state
    assert words in describe(place).words


@given(
    silent_s=st.floats(0, 100),
    assigned=st.integers(0, 9),
    unprepared=st.integers(0, 9),
    rebalancing_s=st.none() | st.floats(0, 100),
    reachable=st.booleans(),
    name_taken=st.none() | st.just("pod-1"),
)
def test_a_process_is_ready_only_with_an_assignment_and_an_answer_within_the_session(
    silent_s: float,
    assigned: int,
    unprepared: int,
    rebalancing_s: float | None,
    reachable: bool,
    name_taken: str | None,
) -> None:
    place = GroupPlace("g", silent_s, SESSION_S, assigned, rebalancing_s, unprepared, reachable, name_taken)
    works = silent_s < SESSION_S and rebalancing_s is None and not unprepared and name_taken is None
    assert describe(place).ready == works
