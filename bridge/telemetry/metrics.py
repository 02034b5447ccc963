"""The metrics of a process, registered as the table in ``metric_table/`` describes them.

Each ``Metrics`` has a registry of its own, so that a test can have several. Invariant: every series exists
from the start, at zero, if the values of its labels are known: the first step of a series that appears late
is in no rate.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from itertools import product
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from bridge import __version__
from bridge.model import Verdict
from bridge.reasons import ParkReason
from bridge.telemetry.counted import CountedFamily, Counter, Gauge, Histogram
from bridge.telemetry.metric_table import TABLE
from bridge.telemetry.metric_table.delivery import STATUS_CLASSES
from bridge.telemetry.metric_table.spec import MetricSpec

__all__ = ["TABLE", "EndpointMetrics", "MetricSpec", "Metrics"]

_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200)
_SHORT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)
_OWN: Final = [spec for spec in TABLE if not spec.name.startswith("process_")]
"""The rest is registered by the ``ProcessCollector``."""
_BY_FREE_LABELS: Final = {
    free: [spec for spec in _OWN if spec.labels and spec.labels.keys() - spec.values.keys() == free]
    for free in {frozenset(spec.labels.keys() - spec.values.keys()) for spec in _OWN}
}
"""The metrics with labels, by those of their labels that have no fixed list of values."""
_SHORT: Final = {
    "hookferry_commit_seconds",
    "hookferry_event_loop_lag_seconds",
    "hookferry_gc_pause_seconds",
    "hookferry_rebalance_seconds",
}


class EndpointMetrics(NamedTuple):
    """The metrics of one endpoint, bound to its label once: a look-up per event would cost more.

    ``attempts`` are by verdict and class of the status, see ``status_class``.
    """

    attempts: dict[tuple[Verdict, str], Counter]
    signature_failures: Counter
    attempt_seconds: Histogram
    latency_seconds: Histogram
    retries_needed: Counter
    retries_succeeded: Counter
    parked: dict[ParkReason, Counter]
    events_off: Counter
    batches: Counter


class Metrics:
    """The metrics of ``TABLE``, registered."""

    def __init__(self) -> None:  # noqa: PLR0915 - one line for each row of the table
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, CountedFamily[Counter]] = {}
        self._gauges: dict[str, CountedFamily[Gauge]] = {}
        self._histograms: dict[str, CountedFamily[Histogram]] = {}
        for spec in _OWN:
            self._register(spec)
        self._families = self._counters | self._gauges | self._histograms
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.records_read = counter("records_read")
        self.records = counter("records")
        self.tombstones = counter("tombstones")
        self.duplicates_differing = counter("duplicates_differing")
        self.fields_refused = counter("fields_refused")
        self.dedupe_keys = gauge("dedupe_index_keys")
        self.dedupe_bytes = gauge("dedupe_index_bytes")
        self.events_off = counter("events_off")
        self.attempts = counter("attempts")
        self.batches = counter("batches")
        self.signature_failures = counter("signature_failures")
        self.attempt_seconds = histogram("attempt_seconds")
        self.latency_seconds = histogram("delivery_latency_seconds")
        self.retries_needed = counter("retries_needed")
        self.retries_succeeded = counter("retries_succeeded")
        self.parked = counter("parked")
        self.lag_events = gauge("endpoint_lag_events")
        self.lag_seconds = gauge("endpoint_lag_seconds")
        self.unread = gauge("endpoint_unread_offsets")
        self.unsettled = gauge("unsettled_events")
        self.in_flight = gauge("in_flight_requests")
        self.breaker_open = gauge("breaker_open")
        self.breaker_state = gauge("breaker_state")
        self.rate_limit = gauge("endpoint_rate_limit")
        self.concurrency_limit = gauge("endpoint_concurrency_limit")
        self.limited = gauge("endpoint_limited")
        self.endpoint_on = gauge("endpoint_on")
        self.held_lanes = gauge("held_lanes")
        self.again_unsettled = gauge("again_unsettled_records")
        self.commits = counter("commits")
        self.commit_requests = counter("commit_requests").labels()
        self.commit_seconds = histogram("commit_seconds").labels()
        self.rebalance_seconds = histogram("rebalance_seconds").labels()
        self.history_attempts = counter("history_attempts")
        self.without_schema = gauge("partitions_without_schema")
        self.failing = gauge("partitions_failing")
        self.ready = gauge("ready")
        self.partitions = gauge("assigned_partitions")
        self.memory_budget = gauge("memory_budget_bytes")
        self.memory_waiting = gauge("memory_waiting_bytes")
        self.memory_fetched = gauge("memory_fetched_bytes")
        self.memory_resident = gauge("memory_resident_bytes")
        self.endpoint_memory = gauge("endpoint_memory_bytes")
        self.config_reloads = counter("config_reloads")
        self.config_reloaded_at = gauge("config_last_reload_success_timestamp_seconds")
        self.config_info = gauge("config_info")
        self.loop_lag_seconds = histogram("event_loop_lag_seconds").labels()
        self.gc_pause_seconds = histogram("gc_pause_seconds").labels()
        self.trace_spans = counter("trace_spans")
        self.build_info = gauge("build_info")
        self._create_series({})
        self.parked.labels("", ParkReason.UNDECODABLE)
        self.build_info.labels(__version__, platform.python_version()).set(1)

    def _register(self, spec: MetricSpec) -> None:
        """Create a metric as its row describes it."""
        labels = [*spec.labels]
        if spec.kind == "gauge":
            gauges = CountedFamily(spec.name, _help(spec), "gauge", labels, Gauge)
            self._gauges[spec.name] = gauges
            self.registry.register(gauges)
        elif spec.kind == "counter":
            counters = CountedFamily(spec.name, _help(spec), "counter", labels, Counter)
            self._counters[spec.name] = counters
            self.registry.register(counters)
        else:
            bounds = _SHORT_S if spec.name in _SHORT else _LATENCY_S
            histograms = CountedFamily(spec.name, _help(spec), "histogram", labels, lambda: Histogram(bounds))
            self._histograms[spec.name] = histograms
            self.registry.register(histograms)

    def _counter(self, name: str) -> CountedFamily[Counter]:
        return self._counters[f"hookferry_{name}_total"]

    def _gauge(self, name: str) -> CountedFamily[Gauge]:
        return self._gauges[f"hookferry_{name}"]

    def _histogram(self, name: str) -> CountedFamily[Histogram]:
        return self._histograms[f"hookferry_{name}"]

    def prepare(self, endpoints: Iterable[str], sources: Iterable[str]) -> None:
        """Create all series of these endpoints and sources, at zero."""
        for source in sources:
            self._create_series({"source": source})
        for endpoint in endpoints:
            self._create_series({"endpoint": endpoint})

    def endpoint(self, name: str) -> EndpointMetrics:
        """Bind the metrics of one endpoint; all its series exist from the start, at zero."""
        self._create_series({"endpoint": name})
        return EndpointMetrics(
            attempts={
                (verdict, status): self.attempts.labels(name, verdict.value, status)
                for verdict in Verdict
                for status in STATUS_CLASSES
            },
            signature_failures=self.signature_failures.labels(name),
            attempt_seconds=self.attempt_seconds.labels(name),
            latency_seconds=self.latency_seconds.labels(name),
            retries_needed=self.retries_needed.labels(name),
            retries_succeeded=self.retries_succeeded.labels(name),
            parked={reason: self.parked.labels(name, reason.value) for reason in ParkReason},
            events_off=self.events_off.labels(name),
            batches=self.batches.labels(name),
        )

    def forget(self, endpoint: str) -> None:
        """Remove the gauges of an endpoint that has left; what was counted for it stays."""
        for spec in _OWN:
            if spec.kind == "gauge" and "endpoint" in spec.labels:
                choices = (spec.values.get(label) or (endpoint,) for label in spec.labels)
                for values in product(*choices):
                    self._gauges[spec.name].remove(*values)

    def show_config(self, config_hash: str, since: float) -> None:
        """Show which configuration is in force, and since when (Unix seconds)."""
        self.config_info.clear()
        self.config_info.labels(config_hash).set(1)
        self.config_reloaded_at.labels().set(since)

    def watch(self, gauge: CountedFamily[Gauge], read: Callable[[], float], *labels: str) -> None:
        """Make a gauge call ``read`` for its value whenever it is scraped."""
        gauge.labels(*labels).set_function(read)

    def _create_series(self, configured: dict[str, str]) -> None:
        """Create the series whose labels are ``configured``, exactly, or have a fixed list of values."""
        for spec in _BY_FREE_LABELS.get(frozenset(configured), ()):
            choices = (spec.values.get(label) or (configured[label],) for label in spec.labels)
            family = self._families[spec.name]
            for values in product(*choices):
                family.labels(*values)


def status_class(status: int | None) -> str:
    """Return the class of an answer's status, as a value of the label ``status``; None is no answer."""
    if status is None:
        return "none"
    name = f"{status // 100}xx"
    return name if name in STATUS_CLASSES else "other"


def _help(spec: MetricSpec) -> str:
    values = [f"{label}: {values}" for label, values in spec.labels.items() if label != "endpoint"]
    return "; ".join([spec.meaning, *values])
