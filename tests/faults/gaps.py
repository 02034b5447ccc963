"""Time without deliveries of a partition after its pod was killed and restarted immediately. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from tests.faults.facts import NO_ENTITY, Requests, key_of
from tests.faults.ledger import Ledger
from tests.faults.truth import Truth

AT_ONCE_NS = 500_000_000
RECENT_NS = 2_000_000_000


def delivery_gaps(
    ledger: Ledger, requests: Requests, truth: Truth, path: int, has_configured_name: Callable[[int], bool]
) -> dict[str, list[float]]:
    """Return the seconds from a SIGKILL to the next request about each partition, by kind of member name.

    Counts only kills followed by an immediate restart, and the requests of one mostly healthy path.
    """
    of_partition = _by_partition(requests, truth, path)
    gaps: dict[str, list[float]] = {"configured": [], "default": []}
    began = sorted((run.pod, run.began_ns) for run in ledger.runs.values())
    for run in ledger.runs.values():
        killed = run.killed_ns
        if killed is None or not any(
            pod == run.pod and killed <= at_ns <= killed + AT_ONCE_NS for pod, at_ns in began
        ):
            continue
        for rows in of_partition.values():
            before = [row for row in rows if killed - RECENT_NS <= requests.came_ns[row] <= killed]
            if not before or requests.run[before[-1]] != run.number:
                continue
            after = next((row for row in rows if requests.came_ns[row] > killed), None)
            if after is not None:
                gap_s = round((requests.came_ns[after] - killed) / 1e9, 3)
                gaps["configured" if has_configured_name(run.pod) else "default"].append(gap_s)
    return gaps


def _by_partition(requests: Requests, truth: Truth, path: int) -> dict[int, list[int]]:
    rows_of: dict[int, list[int]] = {}
    for row in sorted(range(len(requests)), key=lambda row: requests.came_ns[row]):
        if requests.path[row] != path or requests.entity[row] == NO_ENTITY:
            continue
        place = truth.places.get(key_of(requests.entity[row], requests.seq[row]))
        if place is not None:
            rows_of.setdefault(place >> 40, []).append(row)
    return rows_of


def format_gaps(gaps: dict[str, Any]) -> list[str]:
    """Return one line per kind of member name."""
    return [
        f"gap after a SIGKILL with immediate restart, {kind} name: {_spread(gaps_s)}"
        for kind, gaps_s in gaps.items()
    ]


def _spread(gaps_s: Sequence[float]) -> str:
    if not gaps_s:
        return "none"
    ordered = sorted(gaps_s)
    return (
        f"median {statistics.median(ordered):.2f} s, minimum {ordered[0]:.2f} s, maximum {ordered[-1]:.2f} s"
        f" ({len(ordered)} partitions)"
    )
