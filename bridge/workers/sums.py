"""Add up the metrics of several workers, so that they look like those of one process. Pure.

Invariant: no counter and no histogram ever falls while the supervisor runs, because the last values of a
process that ended are added to those of its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from bridge.telemetry.families import Family, Value
from bridge.telemetry.worker_metrics import RULES

_TOTALS = frozenset({"counter", "histogram"})
_BEGAN = "_created"
"""The suffix of the instant at which a series began."""
_OF_PROCESS = "process_"
"""The prefix of what the Prometheus client itself measures of a process."""
_WORKER: Final = "worker"
_COMBINE: Final[Mapping[str, Callable[[float, float], float]]] = {
    "sum": lambda left, right: left + right,
    "min": min,
    "max": max,
}
_Key = tuple[str, tuple[tuple[str, str], ...]]


def add_up(reports: Mapping[str, Iterable[Family]], ended: Iterable[Family] = ()) -> list[Family]:
    """Return one family for each name in ``reports``, by worker, or in ``ended``, of ended processes.

    ``RULES`` decides what becomes of a gauge. A gauge without a rule, and what the Prometheus client measures
    of a process, have one series per worker.
    """
    heads: dict[str, Family] = {}
    sums: dict[str, dict[_Key, Value]] = {}
    for worker, families in [*reports.items(), ("", ended)]:
        for family in families:
            heads.setdefault(family.name, family)
            values = sums.setdefault(family.name, {})
            for value in family.values:
                _add(values, value, _rule(family, value), worker)
    return [head._replace(values=[*sums[name].values()]) for name, head in heads.items()]


def _rule(family: Family, value: Value) -> str:
    if family.name.startswith(_OF_PROCESS):
        return "each"
    if value.name.endswith(_BEGAN):
        return "min"
    return "sum" if family.kind in _TOTALS else RULES.get(family.name, "each")


def _add(values: dict[_Key, Value], value: Value, rule: str, worker: str) -> None:
    labels = {**value.labels, _WORKER: worker} if rule == "each" else value.labels
    key = value.name, tuple(sorted(labels.items()))
    before = values.get(key)
    number = value.value if before is None else _COMBINE.get(rule, max)(before.value, value.value)
    values[key] = Value(value.name, labels, number)


def totals(*reports: Iterable[Family]) -> list[Family]:
    """Return the counters and histograms of all reports together; the rest ends with its process."""
    listed: Sequence[list[Family]] = [
        [one for one in report if one.kind in _TOTALS and not one.name.startswith(_OF_PROCESS)]
        for report in reports
    ]
    return add_up({str(number): report for number, report in enumerate(listed)})
