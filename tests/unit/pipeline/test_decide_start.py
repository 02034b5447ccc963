"""Where a cursor starts: every combination of commit, memory and topic, and what may never follow."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import completion_map
from bridge.core.beginning import NO_PLACES, TopicPlaces
from bridge.core.completion_map import Failures
from bridge.core.memory_budget import MemoryBudget, Share
from bridge.model import Committed, Partition, Spot
from bridge.pipeline.cursor_start import (
    Continued,
    CursorPolicy,
    Lost,
    Started,
    build_cursor,
    decide_start,
    read_commit,
)

OLD, NOW = "AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAg"
LOG = (10, 50)


def commit(offset: int, topic_id: str | None = NOW) -> Committed:
    """Return a commit as the bridge writes it; without an id, as an operator's tool does."""
    return Committed(offset, completion_map.encode(offset, [], offset, topic_id=topic_id).text)


def places(
    cursors: Collection[int] = (), *, id: str | None = NOW, begins: dict[int, int] | None = None
) -> TopicPlaces:
    """Return what is remembered of the topic, with its id at that time."""
    return TopicPlaces(id, frozenset(cursors), begins or {})


TABLE = {
    "a commit inside the log continues": (commit(20), places({0}), NOW, 20),
    "a commit at the end of the log continues": (commit(50), places({0}), NOW, 50),
    "a commit below the log continues, and retention is reported": (commit(3), places({0}), NOW, 3),
    "a commit of an older release, which has no id, continues": (commit(20, None), NO_PLACES, NOW, 20),
    "a commit of an operator wins over what is remembered": (commit(20, None), places({0}, id=OLD), NOW, 20),
    "a commit continues if the broker returns no ids": (commit(20, OLD), places({0}, id=OLD), None, 20),
    "a commit for the deleted topic is lost": (commit(20, OLD), places({0}), NOW, "created again"),
    "the same at offset 0": (commit(0, OLD), places({0}), NOW, "created again"),
    "a commit beyond the end is lost": (commit(51), places({0}), NOW, "recreated or shortened"),
    "the same without topic ids": (commit(51, None), NO_PLACES, None, "recreated or shortened"),
    "an expired offset is lost": (None, places({0}), NOW, "expired"),
    "an expired offset is lost without topic ids": (None, places({0}, id=None), None, "expired"),
    "an offset that Kafka deleted with the topic is lost": (None, places({0}, id=OLD), NOW, "created again"),
    "an expired offset is lost even if it began late": (None, places({0}, begins={0: 30}), NOW, "expired"),
    "a partition of a new endpoint starts where the endpoint began": (None, places(begins={0: 30}), NOW, 30),
    "the same after its topic was recreated": (None, places(begins={0: 30}, id=OLD), NOW, 10),
    "a partition beside known ones starts at its first record": (None, places({1, 2}), NOW, 10),
    "a topic beside known ones starts at its first record": (None, NO_PLACES, NOW, 10),
    "the same for a new endpoint's second topic": (None, NO_PLACES, None, 10),
}


@pytest.mark.parametrize(("committed", "known", "topic_id", "expected"), TABLE.values(), ids=TABLE)
def test_a_cursor_starts_where_nothing_is_lost(
    committed: Committed | None, known: TopicPlaces, topic_id: str | None, expected: int | str
) -> None:
    match decide_start(0, LOG, read_commit(committed) if committed else None, known, topic_id):
        case Continued(at):
            assert at.committed.offset == expected
        case Started(offset, _):
            assert offset == expected
        case Lost(cause, offset, _):
            assert isinstance(expected, str)
            assert expected in cause
            assert offset == (committed.offset if committed else None)


@given(
    committed=st.none() | st.builds(commit, st.integers(0, 60), st.sampled_from([None, OLD, NOW])),
    cursors=st.frozensets(st.integers(0, 2)),
    begins=st.dictionaries(st.integers(0, 2), st.integers(10, 50)),
    known_id=st.sampled_from([None, OLD, NOW]),
    topic_id=st.sampled_from([None, NOW]),
)
def test_no_record_is_skipped_unless_the_endpoint_began_after_it(
    committed: Committed | None,
    cursors: frozenset[int],
    begins: dict[int, int],
    known_id: str | None,
    topic_id: str | None,
) -> None:
    """A cursor starts past the first record only by a commit for this log, or where the endpoint began."""
    read = read_commit(committed) if committed else None
    start = decide_start(0, LOG, read, TopicPlaces(known_id, cursors, begins), topic_id)
    match start:
        case Continued(at):
            assert at.committed == committed
            assert at.committed.offset <= LOG[1]
            assert topic_id is None or completion_map.topic_id_of(*at.committed) in (None, topic_id)
        case Started(offset, _):
            assert committed is None
            assert 0 not in cursors
            assert offset == LOG[0] or offset == begins[0]
        case Lost():
            assert committed is not None or 0 in cursors, "it was never known"


def test_cursors_that_continue_equal_commits_share_nothing_that_changes() -> None:
    """A commit is read once for all endpoints that have an equal one."""
    text = completion_map.encode(20, [20, 22], 25, {(22, 0): Failures(3, 100)}, {20: {1}}, topic_id=NOW).text
    read, policy, share = (
        read_commit(Committed(20, text)),
        CursorPolicy("latest", 9, 999),
        Share(MemoryBudget()),
    )
    one, other = (
        build_cursor(name, policy, share, Partition("orders", 0), LOG, Continued(read), settled)
        for name, settled in (("crm", {(22, 0)}), ("erp", set[Spot]()))
    )
    assert [(one.needs(20), one.needs(20, 1), one.needs(22), one.needs(23)) for one in (one, other)] == [
        (True, False, False, False),
        (True, False, True, False),
    ]
    one.open(20, 1)
    one.open(20, 1)
    one.settle(20, 1, 2)
    one.record_failure(20, Failures(1, 200))
    one.settle(20, 1, 3)
    assert (dict(other.failures), other.progress().parts) == ({(22, 0): Failures(3, 100)}, {20: {1}})
    assert read == read_commit(Committed(20, text))
