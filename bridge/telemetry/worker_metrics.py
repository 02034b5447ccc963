"""The metrics that only the supervisor of several workers has, and how those of its workers become one.

Invariant: a name is in one of the two tables, this one or that of ``metrics``, and every gauge has a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from bridge.telemetry.metrics import MetricSpec

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

OverWorkers = Literal["sum", "max", "min", "each"]
"""How the gauges of several workers become one. ``each``: one series per worker, labelled ``worker``."""

RULES: Final[Mapping[str, OverWorkers]] = {
    "hookferry_unsettled_events": "sum",
    "hookferry_in_flight_requests": "sum",
    "hookferry_breaker_open": "max",
    "hookferry_endpoint_rate_limit": "each",
    "hookferry_endpoint_concurrency_limit": "each",
    "hookferry_endpoint_on": "min",
    "hookferry_held_lanes": "sum",
    "hookferry_partitions_without_schema": "sum",
    "hookferry_partitions_failing": "sum",
    "hookferry_ready": "min",
    "hookferry_config_info": "max",
    "hookferry_config_last_reload_success_timestamp_seconds": "min",
    "hookferry_assigned_partitions": "sum",
    "hookferry_memory_budget_bytes": "sum",
    "hookferry_memory_waiting_bytes": "sum",
    "hookferry_memory_fetched_bytes": "sum",
    "hookferry_memory_resident_bytes": "each",
    "hookferry_endpoint_memory_bytes": "sum",
    "hookferry_endpoint_lag_events": "sum",
    "hookferry_endpoint_lag_seconds": "max",
    "hookferry_endpoint_unread_offsets": "sum",
    "hookferry_breaker_state": "each",
    "hookferry_endpoint_limited": "each",
    "hookferry_again_unsettled_records": "sum",
    "hookferry_dedupe_index_keys": "sum",
    "hookferry_dedupe_index_bytes": "sum",
    "hookferry_build_info": "max",
}
"""Of every gauge. Counters and histograms are added up."""


class WorkerMetrics:
    """The metrics of ``WORKER_TABLE``, in a registry that those of the workers are added to."""

    def __init__(self) -> None:
        self.registry, self.process = CollectorRegistry(), CollectorRegistry()
        """``process`` has what the Prometheus client measures of the supervisor."""
        ProcessCollector(registry=self.process)
        up, restarts = WORKER_TABLE
        self.up = Gauge(up.name, up.meaning, [*up.labels], registry=self.registry)
        self.restarts = Counter(restarts.name, restarts.meaning, [*restarts.labels], registry=self.registry)
