"""What the commands show of the cursors, from what the broker has."""

from __future__ import annotations

from bridge.cli.lag import OpenRetry, cursor_names, lag, standing
from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.model import Committed, Partition

P0, P1 = Partition("orders", 0), Partition("orders", 1)


def test_a_row_tells_what_is_open_and_what_is_done_beyond_it() -> None:
    failures = {(12, 0): Failures(3, 1_782_720_930), (14, 2): Failures(1, 1_782_720_931)}
    text, _ = completion_map.encode(12, [12, 14, 15], 20, failures)
    (row,) = standing("crm", True, {P0: Committed(12, text)}, {P0: 30}, [P0])
    assert (row.committed, row.log_end, row.lag, row.settled_beyond) == (12, 30, 18, 5)
    assert row.retries == (
        OpenRetry(12, 3, "2026-06-29T08:15:30Z"), OpenRetry(14, 1, "2026-06-29T08:15:31Z"),
    )  # fmt: skip
    shown = row.as_json()
    assert (shown["topic"], shown["partition"]) == ("orders", 0)


def test_places_that_are_not_known_are_none_and_count_for_nothing() -> None:
    """No commit yet; a commit in a topic that is gone."""
    gone = Partition("gone", 3)
    rows = standing("crm", True, {gone: Committed(7, "")}, {P0: 10, P1: 5}, [P0, P1])
    assert [(row.partition, row.committed, row.log_end, row.lag) for row in rows] == [
        (gone, 7, None, None), (P0, None, 10, None), (P1, None, 5, None)
    ]  # fmt: skip
    assert lag(rows) is None
    assert lag(standing("crm", True, {P0: Committed(4, "")}, {P0: 10, P1: 5}, [P0, P1])) == 6


def test_a_log_that_was_made_anew_has_no_lag_below_zero() -> None:
    (row,) = standing("crm", True, {P0: Committed(50, "")}, {P0: 10}, [P0])
    assert row.lag == 0


def test_a_damaged_map_is_a_note_not_an_end() -> None:
    (row,) = standing("crm", True, {P0: Committed(5, "h1AAAA")}, {P0: 10}, [P0])
    assert (row.lag, row.settled_beyond) == (5, 0)
    assert row.problem.startswith("map ignored: ")


def test_cursors_are_told_from_every_other_group() -> None:
    """Members, other bridges with a longer name, and what merely begins with the same letters."""
    groups = {
        "ferry": "consumer", "ferry.crm": "", "ferry.old-1": "",
        "ferry.test": "consumer", "ferry.test.crm": "", "ferrymen.crm": "", "ferry.Some App": "", "other": "",
        "ferry.": "",
    }  # fmt: skip
    assert cursor_names("ferry", groups) == ["crm", "old-1"]
