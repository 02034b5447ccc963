"""A replay as a job: its query and offsets survive the control topic, its progress follows the commits."""

from __future__ import annotations

import pytest

from bridge.core import completion_map
from bridge.core.dedupe import Stretch
from bridge.core.jobs import read_job
from bridge.core.replay import (
    ReplayQuery,
    ReplaySelection,
    UnusableReplayError,
    group_of,
    progress_of,
    recreated_topic,
    stretches_of,
)
from bridge.model import Committed
from tests.support.fakes import P0, P1, event
from tests.support.replays import replay

STRETCHES = {P0: Stretch(10, 20), P1: Stretch(0, 5)}
QUERY = ReplayQuery(
    "2026-01-01T00:00:00.000Z",
    "2026-01-02T00:00:00.000Z",
    ("Loan*", "Client"),
    "4711",
    "data.amount > 5",
    ("orders",),
    new_id=True,
)


@pytest.mark.parametrize("query", [QUERY, ReplayQuery("2026-01-01T00:00:00Z")])
def test_a_job_keeps_its_query_and_its_offsets_through_the_topic(query: ReplayQuery) -> None:
    job = replay(STRETCHES, query)
    found = read_job(job.id, job.to_bytes())
    assert ReplayQuery.of(found) == query
    assert stretches_of(found) == STRETCHES
    assert group_of("g", found) == "g.crm.replay-r1"


def test_an_unknown_filter_is_refused_and_not_left_out() -> None:
    job = replay(STRETCHES)
    with pytest.raises(UnusableReplayError, match="tenant"):
        ReplayQuery.of(job._replace(query={**job.query, "tenant": "acme"}))


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        (ReplayQuery(""), True),
        (ReplayQuery("", types=("Cre*",)), True),
        (ReplayQuery("", types=("Other", "Created")), True),
        (ReplayQuery("", types=("cre*",)), False),
        (ReplayQuery("", entity="e1"), True),
        (ReplayQuery("", entity="e"), False),
    ],
)
def test_types_and_entity_select(query: ReplayQuery, selected: bool) -> None:
    assert ReplaySelection(query).matches(event("a")) is selected


def test_progress_counts_what_is_settled_beyond_the_commit_and_is_done_only_at_all_ends() -> None:
    text, _ = completion_map.encode(12, [12, 15], 18)
    committed = {P0: Committed(12, text), P1: Committed(5, "")}
    progress = progress_of(STRETCHES, committed)
    assert (progress.settled, progress.total, progress.open_partitions) == (6 + 5, 15, (P0,))
    assert not progress.done
    assert progress_of(STRETCHES, committed | {P0: Committed(20, "")}).done
    assert progress_of(STRETCHES, committed | {P0: Committed(25, "")}).settled == 15
    nothing = progress_of(STRETCHES, {})
    assert (nothing.settled, nothing.done) == (0, False)


def test_a_damaged_map_counts_as_nothing_beyond_the_commit() -> None:
    assert progress_of({P0: Stretch(10, 20)}, {P0: Committed(12, "h1garbage")}).settled == 2


def test_the_estimate_follows_what_was_settled_since_the_last_change() -> None:
    progress = progress_of({P0: Stretch(0, 100)}, {P0: Committed(40, "")})
    assert progress.seconds_left(20, 10.0) == 30.0
    assert progress.seconds_left(40, 10.0) is None


def test_only_another_id_means_that_a_topic_was_recreated() -> None:
    job = replay(STRETCHES, topic_ids={"orders": "one"})
    assert recreated_topic(job, {"orders": "two"}) == "orders"
    assert recreated_topic(job, {"orders": "one"}) is None
    assert recreated_topic(job, {"orders": None}) is None
    assert recreated_topic(job, {}) is None
