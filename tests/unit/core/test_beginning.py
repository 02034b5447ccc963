"""What is remembered of an endpoint: it survives the wire, and pods that write at the same time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.beginning import (
    Beginning,
    Beginnings,
    DamagedBeginningError,
    TopicPlaces,
    endpoint_of,
    key_of,
    read_beginning,
)

NUMBERS = st.integers(0, 40)
PLACES = st.builds(
    lambda cursors, begins: TopicPlaces(
        "id1", cursors, {n: at for n, at in begins.items() if n not in cursors}
    ),
    st.frozensets(NUMBERS),
    st.dictionaries(NUMBERS, st.integers(0, 1 << 60)),
)
BEGINNINGS = st.builds(
    Beginning,
    st.sampled_from(["", "2026-06-29T08:15:30Z", "2026-06-29T08:15:31Z"]),
    st.dictionaries(st.sampled_from(["orders", "payments", "a.b-c_d"]), PLACES),
)


@given(BEGINNINGS)
def test_a_record_is_read_as_it_was_written(beginning: Beginning) -> None:
    assert read_beginning(beginning.to_bytes()) == beginning


@given(BEGINNINGS, BEGINNINGS)
def test_two_pods_that_write_at_the_same_time_end_with_the_same_record(
    one: Beginning, other: Beginning
) -> None:
    merged = one.merged(other)
    assert merged == other.merged(one)
    assert merged.merged(one) == merged
    for beginning in (one, other):
        for topic, places in beginning.topics.items():
            assert places.cursors <= merged.topics[topic].cursors


def test_the_later_record_replaces_what_is_known_of_a_topic_that_was_recreated() -> None:
    old, new = TopicPlaces("id1", frozenset({0, 1, 2}), {3: 7}), TopicPlaces("id2", frozenset({0}))
    assert Beginning("", {"orders": old}).merged(Beginning("", {"orders": new})).topics == {"orders": new}


def test_a_partition_that_has_a_cursor_begins_nowhere_else() -> None:
    begun = TopicPlaces("id1", begins={0: 5, 1: 6})
    assert begun.merged(TopicPlaces("id1", frozenset({0}))) == TopicPlaces("id1", frozenset({0}), {1: 6})


def test_another_pods_record_that_lacks_something_is_written_again() -> None:
    beginnings = Beginnings()
    ours = Beginning("", {"orders": TopicPlaces("id1", frozenset({0}))})
    theirs = Beginning("", {"orders": TopicPlaces("id1", frozenset({1}))})
    beginnings.note("crm", ours)
    beginnings.written(beginnings.unwritten(["crm"]))
    assert not beginnings.unwritten(["crm"])
    beginnings.put("crm", theirs)
    assert beginnings.unwritten(["crm"])["crm"].topics["orders"].cursors == {0, 1}
    assert not beginnings.unwritten(["erp"]), "nothing is known of it"


def test_a_tombstone_makes_the_endpoint_new() -> None:
    beginnings = Beginnings()
    beginnings.put("crm", Beginning("2026-06-29T08:15:30Z"))
    beginnings.put("crm", read_beginning(None))
    assert beginnings["crm"] is None
    assert beginnings.names() == []


def test_the_key_names_the_endpoint_and_nothing_else_has_such_a_key() -> None:
    assert endpoint_of(key_of("crm")) == "crm"
    assert [endpoint_of(key) for key in (b"endpoint/crm", b"hold/crm/x", b"\xff", b"", None)] == [None] * 5


@pytest.mark.parametrize(
    "value",
    [b"", b"no", b"[]", b"{}", b'{"topics": 3}', b'{"topics": {"t": {"cursors": [[5, 1]]}}}',
     b'{"topics": {"t": {"cursors": [[0, 99999999]]}}}', b'{"topics": {"t": {"id": 5}}}'],
)  # fmt: skip
def test_a_record_that_another_program_wrote_is_refused(value: bytes) -> None:
    with pytest.raises(DamagedBeginningError):
        read_beginning(value)
