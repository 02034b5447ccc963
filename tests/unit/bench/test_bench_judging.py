"""The arithmetic of the published benchmark, and its verdict on a change."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from tests.bench.compare import cells
from tests.bench.compare.__main__ import chosen, in_turns
from tests.bench.compare.judging import (
    Sample,
    compare_cpu,
    cpu_us_middle,
    latencies_ms,
    medians,
    paired_ratio,
    percentiles,
    violations,
)
from tests.bench.compare.others import OTHERS

GOOD = {"accepted": 5, "distinct": 5, "repeats": 0, "inversions": 0, "overlaps": 0, "without_id": 0}


def cpu(*values: float) -> list[dict[str, float]]:
    return [{"cpu_us": value} for value in values]


def test_a_run_in_which_every_event_arrived_once_and_in_order_has_no_violation() -> None:
    assert violations(GOOD, 5) == {}


@pytest.mark.parametrize("name", GOOD)
def test_each_kind_of_violation_is_found(name: str) -> None:
    assert violations(GOOD | {name: GOOD[name] + 1}, 5) == {name: GOOD[name] + 1}


def test_a_run_that_was_ended_early_is_judged_by_order_and_repeats_only() -> None:
    assert violations(GOOD | {"accepted": 3}, None) == {}
    assert violations(GOOD | {"accepted": 3, "overlaps": 1}, None) == {"overlaps": 1}


def test_the_cpu_of_start_and_end_is_not_counted() -> None:
    samples = [
        Sample(events, {"own": seconds})
        for events, seconds in ((0, 5.0), (100, 6.0), (500, 6.4), (900, 6.8), (1_000, 9.0))
    ]
    assert cpu_us_middle(samples, "own") == pytest.approx(1_000)


def test_a_run_without_a_middle_has_no_figure() -> None:
    with pytest.raises(ValueError, match="too short"):
        cpu_us_middle([Sample(0, {"own": 0.0}), Sample(10, {"own": 1.0})][1:], "own")


def test_a_latency_runs_from_the_append_of_the_same_event() -> None:
    appended = {("e1", 0): 1_000, ("e1", 1): 2_000, ("lost", 0): 2_000}
    arrived = {("e1", 0): 1_003_000_000, ("e1", 1): 2_001_500_000, ("unknown", 7): 1}
    assert latencies_ms(appended, arrived) == [3.0, 1.5]


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles(range(1, 1_001)) == {"p50_ms": 500, "p99_ms": 990, "p99.9_ms": 999}
    assert percentiles([7.0]) == {"p50_ms": 7.0, "p99_ms": 7.0, "p99.9_ms": 7.0}
    with pytest.raises(ValueError, match="no event"):
        percentiles([])


def test_one_bad_round_of_three_changes_no_median() -> None:
    assert medians(cpu(100, 900, 110)) == {"cpu_us": 110}


def test_a_ratio_compares_runs_of_the_same_minute() -> None:
    """The machine became twice as slow after the first round, and that is not a difference of the two."""
    assert paired_ratio(cpu(100, 200, 200), cpu(100, 200, 200), "cpu_us") == 1
    assert paired_ratio(cpu(110, 220, 900), cpu(100, 200, 200), "cpu_us") == pytest.approx(1.1)


def test_a_drift_of_the_machine_favors_none_of_two() -> None:
    places = {"hookferry": 0, "base": 0}
    for number in range(4):
        for place, name in enumerate(in_turns(list(places), number)):
            places[name] += place
    assert places["hookferry"] == places["base"]


def test_a_change_fails_only_above_the_margin() -> None:
    runs = {
        "base": {"hookferry": cpu(109, 109), "base": cpu(100, 100)},
        "5-ms": {"hookferry": cpu(112, 112), "base": cpu(100, 100)},
        "500-per-s": {"hookferry": cpu(50, 50), "base": cpu(100, 100)},
    }
    compared = compare_cpu(runs, 0.1)
    assert [(one.cell, one.rose) for one in compared] == [
        ("base", False),
        ("5-ms", True),
        ("500-per-s", False),
    ]
    assert not any(one.rose for one in compare_cpu(runs, 0.2))


def test_a_cell_without_deliveries_has_no_cpu_per_event_to_compare() -> None:
    idle = [{"cpu_percent": 1.7, "peak_mb": 120.0}]
    runs = {"idle": {"hookferry": idle, "base": idle}, "base": {"hookferry": cpu(100), "base": cpu(100)}}
    assert [one.cell for one in compare_cpu(runs, 0.1)] == ["base"]


def test_each_cell_has_a_name_and_a_label_of_its_own() -> None:
    for field in ("name", "label"):
        values = [getattr(cell, field) for cell in cells.FULL]
        assert len(set(values)) == len(values)


def test_the_quick_form_has_cells_of_the_full_one() -> None:
    assert {cell.name for cell in cells.QUICK} <= {cell.name for cell in cells.FULL}


def test_the_cells_vary_every_dimension_of_the_benchmark() -> None:
    wanted = {
        "delay_ms": {0, 5, 20, 50}, "entities": {10, 1_000, 100_000}, "partitions": {4, 12},
        "value_bytes": {1_000, 10_000, 100_000}, "tls": {False, True}, "workers": {1, 2},
        "endpoints": {1, 10}, "fineract": {False, True}, "rate_per_s": {500, 2_000, 0.5},
        "refuse_every": {0, 100}, "kind": {"backlog", "steady", "waiting", "idle"},
    }  # fmt: skip
    for field, values in wanted.items():
        assert values <= {getattr(cell, field) for cell in cells.FULL}, field


def test_cells_are_chosen_by_name_and_an_unknown_one_lists_the_known() -> None:
    assert [cell.name for cell in cells.chosen(cells.FULL, ["tls", "base"], ())] == ["tls", "base"]
    with pytest.raises(ValueError, match=r"no cell 1-ms; there are base, 5-ms.*, batches$"):
        cells.chosen(cells.FULL, ["1-ms"], ["batches"])


@pytest.mark.parametrize(
    ("options", "cells_wanted", "others_wanted"),
    [
        ({}, [cell.name for cell in cells.FULL], list(OTHERS)),
        ({"quick": True}, [cell.name for cell in cells.QUICK], []),
        ({"base": "main"}, [cell.name for cell in cells.FULL], []),
        ({"only": ["batches"]}, [], ["batches"]),
        ({"only": ["tls", "wide-record"]}, ["tls"], ["wide-record"]),
    ],
)
def test_what_no_row_shows_is_measured_with_all_rows_or_by_name(
    options: dict[str, Any], cells_wanted: list[str], others_wanted: list[str]
) -> None:
    given = argparse.Namespace(**({"quick": False, "base": None, "only": []} | options))
    wanted, others = chosen(given)
    assert ([cell.name for cell in wanted], others) == (cells_wanted, others_wanted)


def test_neighbors_of_different_numbers_of_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio(cpu(1, 2), cpu(1), "cpu_us")
