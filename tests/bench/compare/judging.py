"""The arithmetic of the benchmark: violations, medians, latencies, and the comparison with a revision.

Pure. A run with a violation has no figures.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

Figures = dict[str, float]
EventKey = tuple[str, int]
"""Entity and number of an event; unique in a topic."""


class NotProven(Exception):
    """The run violated a guarantee, or did not end: it has no figures."""


class Sample(NamedTuple):
    """Events accepted so far, and the CPU seconds of each process until then."""

    events: int
    cpu_s: Mapping[str, float]


def violations(report: Mapping[str, Any], events: int | None) -> dict[str, int]:
    """Return what a receiver's report contradicts of: every event once, in order, one at a time.

    ``events``: how many there are; None if the run ended before all of them were delivered.
    """
    wanted: dict[str, int] = {"repeats": 0, "inversions": 0, "overlaps": 0, "without_id": 0}
    if events is not None:
        wanted |= {"accepted": events, "distinct": events}
    return {name: report[name] for name, value in wanted.items() if report[name] != value}


def cpu_us_middle(samples: Sequence[Sample], process: str) -> float:
    """Return CPU microseconds per event between the samples nearest to the first and last tenth."""
    events = samples[-1].events
    first = min(samples, key=lambda sample: abs(sample.events - events * 0.1))
    last = min(samples, key=lambda sample: abs(sample.events - events * 0.9))
    if last.events <= first.events:
        raise ValueError("the run was too short for a figure: use more events")
    return (last.cpu_s[process] - first.cpu_s[process]) / (last.events - first.events) * 1e6


def latencies_ms(appended_ms: Mapping[EventKey, int], arrived_ns: Mapping[EventKey, int]) -> list[float]:
    """Return the time of each event that arrived, from its append at the broker."""
    return [at / 1e6 - appended_ms[key] for key, at in arrived_ns.items() if key in appended_ms]


def percentiles(values: Iterable[float]) -> Figures:
    """Return p50, p99 and p99.9 by nearest rank. Raises ``ValueError`` without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no event was measured")
    return {
        f"p{share:g}_ms": ordered[max(0, ceil(len(ordered) * share / 100) - 1)] for share in (50, 99, 99.9)
    }


def medians(rounds: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def paired_ratio(ours: Sequence[Figures], theirs: Sequence[Figures], name: str) -> float:
    """Return the median of the ratios of runs that were neighbors in time."""
    return statistics.median(one[name] / other[name] for one, other in zip(ours, theirs, strict=True))


class Comparison(NamedTuple):
    """A figure of this revision, divided by that of the base; ``rose`` if it is above the margin."""

    cell: str
    ratio: float
    rose: bool


def compare_cpu(runs: Mapping[str, Mapping[str, Sequence[Figures]]], margin: float) -> list[Comparison]:
    """Compare the CPU per event of ``hookferry`` with that of ``base`` in each cell that delivers events."""
    compared = []
    for cell, by_contender in runs.items():
        ours, theirs = by_contender["hookferry"], by_contender["base"]
        if "cpu_us" not in ours[0]:  # it waits or is idle
            continue
        ratio = paired_ratio(ours, theirs, "cpu_us")
        compared.append(Comparison(cell, ratio, ratio > 1 + margin))
    return compared
