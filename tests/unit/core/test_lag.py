"""The lag that the commands show, computed from what the broker returns."""

from __future__ import annotations

from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.core.lag import Backlog, OpenRetry, cursor_lags, cursor_names, total_lag
from bridge.model import Committed, Partition

P0, P1 = Partition("orders", 0), Partition("orders", 1)


def test_a_row_contains_the_open_retries_and_the_settled_offsets_above_the_committed_one() -> None:
    failures = {(12, 0): Failures(3, 1_782_720_930), (14, 2): Failures(1, 1_782_720_931)}
    text, _ = completion_map.encode(12, [12, 14, 15], 20, failures)
    (row,) = cursor_lags("crm", True, {P0: Committed(12, text)}, {P0: 30}, [P0])
    assert (row.committed, row.log_end, row.offsets, row.settled_beyond) == (12, 30, 18, 5)
    assert row.retries == (
        OpenRetry(12, 3, "2026-06-29T08:15:30Z"), OpenRetry(14, 1, "2026-06-29T08:15:31Z"),
    )  # fmt: skip
    shown = row.as_json()
    assert (shown["topic"], shown["partition"]) == ("orders", 0)


def test_an_unknown_offset_is_none_and_does_not_count_in_the_total() -> None:
    """No commit yet; a commit in a topic that is gone."""
    gone = Partition("gone", 3)
    rows = cursor_lags("crm", True, {gone: Committed(7, "")}, {P0: 10, P1: 5}, [P0, P1])
    assert [(row.partition, row.committed, row.log_end, row.offsets) for row in rows] == [
        (gone, 7, None, None), (P0, None, 10, None), (P1, None, 5, None)
    ]  # fmt: skip
    assert total_lag(rows) is None


def test_the_total_says_whether_it_is_exact() -> None:
    """What was not read to its end, or not at all, makes the sum a bound."""
    row, other = cursor_lags(
        "crm", True, {P0: Committed(4, ""), P1: Committed(1, "")}, {P0: 10, P1: 5}, [P0, P1]
    )

    def total(one: Backlog, two: Backlog) -> str:
        return str(total_lag([row._replace(backlog=one), other._replace(backlog=two)]))

    assert total(Backlog(3), Backlog(2)) == "5"
    assert total(Backlog(3), Backlog(2, "at most")) == "≤5"
    assert total(Backlog(3, "at least"), Backlog(2)) == "5+"
    assert total(Backlog(3, "at least"), Backlog(2, "at most")) == "3+"
    summed = total_lag([row._replace(backlog=Backlog(1, "exact", 9)), other._replace(backlog=Backlog(1))])
    assert summed == Backlog(2, "exact", 9)


def test_the_lag_of_a_recreated_topic_is_not_negative() -> None:
    (row,) = cursor_lags("crm", True, {P0: Committed(50, "")}, {P0: 10}, [P0])
    assert row.offsets == 0


def test_offsets_of_open_transactions_are_counted_apart_from_the_lag() -> None:
    """The high watermark is read first, so records committed meanwhile give no negative number."""
    places = {P0: Committed(10, ""), P1: Committed(5, "")}
    rows = cursor_lags("crm", True, places, {P0: 12, P1: 9}, [P0, P1], {P0: 40, P1: 8})
    assert [(row.log_end, row.offsets, row.in_transactions) for row in rows] == [(12, 2, 28), (9, 4, 0)]


def test_a_damaged_completion_map_is_noted_and_the_row_is_shown() -> None:
    (row,) = cursor_lags("crm", True, {P0: Committed(5, "h1AAAA")}, {P0: 10}, [P0])
    assert (row.offsets, row.settled_beyond) == (5, 0)
    assert row.problem.startswith("map ignored: ")


def test_only_groups_of_cursors_are_listed() -> None:
    """Not groups with members, cursors of other bridges, or names that only start with the same letters."""
    groups = {
        "ferry": "consumer", "ferry.crm": "", "ferry.old-1": "",
        "ferry.test": "consumer", "ferry.test.crm": "", "ferrymen.crm": "", "ferry.Some App": "", "other": "",
        "ferry.": "",
    }  # fmt: skip
    assert cursor_names("ferry", groups) == ["crm", "old-1"]
