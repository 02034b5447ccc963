"""Render docs/reference/metrics.md from the table in bridge/telemetry/metric_table/."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bridge.telemetry.metrics import TABLE, MetricSpec
from bridge.telemetry.worker_metrics import RULES, WORKER_TABLE
from tools.markdown import REFERENCE, code, escape, generated_note, page, prose, table

PAGE = REFERENCE / "metrics.md"
_HEAD = """
    Prometheus reads these metrics from `/metrics` on the admin port. Each process counts its own work: sum
    counters and gauges over all processes of a group. The configuration bounds the values of labels; none is
    an entity or an event id. A histogram `NAME` has the series `NAME_bucket`, `NAME_sum` and `NAME_count`.

    Every series exists from the start, at 0. [Metrics and alerts](../how-to/alerts.md) has queries and rules.

    For the backlog of an endpoint while no bridge runs, read the lag of the Kafka group
    `<group>.<endpoint>` with any Kafka tool. It counts offsets, and also the records of open transactions,
    which no consumer can read yet.
    The [topics](topics.md) page describes these groups.
"""

_WORKERS = """
    With [`hookferry run --workers`](../how-to/workers.md), the port of the supervisor has the metrics of all
    workers together. It adds up counters, histograms and gauges, except these gauges. Metrics that begin with
    `process_` keep a series for each worker, too. The label `worker` has the number of the worker, from 1, or
    `supervisor`.
"""
_RULES = {
    "max": "the highest value",
    "min": "the lowest value",
    "each": "a series for each worker, with the label `worker`",
}


def render() -> dict[Path, str]:
    """Return the page."""
    return {
        PAGE: page(
            "# Metrics",
            generated_note("bridge/telemetry/metric_table/"),
            prose(_HEAD),
            _table(TABLE),
            "## Several workers",
            prose(_WORKERS),
            table(("Gauge", "Over the workers"), _rule_rows()),
            prose("The supervisor itself has these metrics:"),
            _table(WORKER_TABLE),
            "## Values of the labels",
            table(("Metric", "Label", "Values"), _label_rows()),
        )
    }


def _table(specs: Iterable[MetricSpec]) -> str:
    return table(
        ("Metric", "Type", "Labels", "Meaning", "When to worry"),
        (
            (code(spec.name), spec.kind, _labels(spec), escape(spec.meaning), escape(spec.worry))
            for spec in specs
        ),
    )


def _rule_rows() -> list[tuple[str, str]]:
    return [(code(name), _RULES[rule]) for name, rule in RULES.items() if rule != "sum"]


def _labels(spec: MetricSpec) -> str:
    return ", ".join(map(code, spec.labels)) or "none"


def _label_rows() -> list[tuple[str, str, str]]:
    """Return a row for each label whose values are not simply the names of the endpoints."""
    return [
        (code(spec.name), code(label), escape(values))
        for spec in TABLE
        for label, values in spec.labels.items()
        if label != "endpoint"
    ]
