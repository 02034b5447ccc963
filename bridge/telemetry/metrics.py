"""All metrics in one table. Labels are bounded: endpoint, topic, outcome; never an entity or event id.

One ``Metrics`` per process, with a registry of its own, so that tests can have many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge.model import Verdict

_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200)


class EndpointMetrics(NamedTuple):
    """The metrics of one endpoint, bound to its label once: a look-up per event would cost more."""

    attempts: dict[Verdict, Counter]
    attempt_seconds: Histogram
    latency_seconds: Histogram
    retries_succeeded: Counter
    parked: Counter
    events_off: Counter


class Metrics:
    """The table: name with unit, type, labels, help."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.records = counter(
            "records",
            "Events read, by what became of them: handed_over to at least one endpoint, unwanted by all,"
            " switched_off for all who want it, duplicate, tombstone (no value), rejected (not decodable)",
            "outcome",
        )
        self.events_off = counter(
            "events_off", "Events not sent because their type is switched off for the endpoint", "endpoint"
        )
        self.attempts = counter("attempts", "Requests sent, by verdict", "endpoint", "verdict")
        self.attempt_seconds = histogram(
            "attempt_seconds", "Seconds from sending a request to its answer", "endpoint"
        )
        self.latency_seconds = histogram(
            "delivery_latency_seconds", "Seconds from the record's timestamp to its 2xx", "endpoint"
        )
        self.retries_succeeded = counter(
            "retries_succeeded", "Deliveries that needed more than one attempt", "endpoint"
        )
        self.parked = counter("parked", "Events written to the dead-letter topic", "endpoint")
        self.unsettled = gauge("unsettled_events", "Events read and not yet settled", "endpoint")
        self.in_flight = gauge("in_flight_requests", "Requests without an answer yet", "endpoint")
        self.breaker_open = gauge("breaker_open", "1 while the breaker holds requests back", "endpoint")
        self.endpoint_on = gauge("endpoint_on", "1 while the endpoint is on, 0 while it is off", "endpoint")
        self.held_lanes = gauge(
            "held_lanes", "Lanes of this process that wait for a parked event", "endpoint"
        )
        self.commits = counter("commits", "Commits of cursors", "outcome")
        self.history_rows = counter("history_rows", "Attempts for the history", "outcome")
        self.without_schema = gauge(
            "partitions_without_schema", "Partitions that wait until their registry gives a schema"
        )
        self.partitions = gauge("assigned_partitions", "Partitions of source topics assigned to this process")

    def endpoint(self, name: str) -> EndpointMetrics:
        """The bound metrics of one endpoint; all its series exist from the start, at zero."""
        return EndpointMetrics(
            attempts={verdict: self.attempts.labels(name, verdict.value) for verdict in Verdict},
            attempt_seconds=self.attempt_seconds.labels(name),
            latency_seconds=self.latency_seconds.labels(name),
            retries_succeeded=self.retries_succeeded.labels(name),
            parked=self.parked.labels(name),
            events_off=self.events_off.labels(name),
        )

    def watch(self, gauge: Gauge, read: Callable[[], float], *labels: str) -> None:
        """Read a gauge's value when it is scraped."""
        (gauge.labels(*labels) if labels else gauge).set_function(read)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"hookferry_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"hookferry_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"hookferry_{name}", text, labels, registry=self.registry, buckets=_LATENCY_S)
