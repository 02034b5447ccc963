"""The metrics that only the supervisor of several workers has, and how those of its workers become one.

Invariant: a name is in one of the two tables, this one or that of ``metrics``.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.telemetry.metrics import TABLE, MetricSpec, OverWorkers

_WORKER: Final = {"worker": "the number of the worker, from 1"}

WORKER_TABLE: Final = (
    MetricSpec(
        "hookferry_worker_up",
        "gauge",
        "1 while the worker runs and answers the supervisor, otherwise 0",
        "If it is 0 for longer than a start takes: the log event `worker.ended` has the reason.",
        _WORKER,
    ),
    MetricSpec(
        "hookferry_worker_restarts_total",
        "counter",
        "Times that the worker ended by itself, or was killed, and was started again",
        "Always, if it grows: the log event `worker.ended` has cause and remedy.",
        _WORKER,
    ),
)

RULES: Final[dict[str, OverWorkers]] = {
    spec.name: spec.over_workers for spec in TABLE if spec.kind == "gauge"
}


class WorkerMetrics:
    """The metrics of ``WORKER_TABLE``, in a registry that those of the workers are added to."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        up, restarts = WORKER_TABLE
        self.up = Gauge(up.name, up.meaning, [*up.labels], registry=self.registry)
        self.restarts = Counter(restarts.name, restarts.meaning, [*restarts.labels], registry=self.registry)
