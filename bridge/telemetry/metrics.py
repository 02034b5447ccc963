"""All metrics in one table. Labels are bounded: endpoint, source, verdict, outcome; never an entity or event.

Each ``Metrics`` has a registry of its own, so that a test can have several. The reference page
docs/reference/metrics.md is generated from ``TABLE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge.model import Verdict

_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200)


class MetricSpec(NamedTuple):
    """One metric: what it is, when an operator should worry, and the values each of its labels can have."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    worry: str
    labels: Mapping[str, str] = {}


_ENDPOINT: Final = {"endpoint": "the endpoint's name"}

TABLE: Final = (
    MetricSpec(
        "hookferry_records_total",
        "counter",
        "Events read from the source topics, by what happened to them",
        "If `rejected` grows: records cannot be decoded and are parked. If `unwanted` grows and should not:"
        " no endpoint's filter matches.",
        {
            "outcome": "handed_over (to at least one endpoint), unwanted (by all endpoints), switched_off"
            " (for all endpoints that want it), duplicate, tombstone (a null value that is no event),"
            " rejected (not decodable)"
        },
    ),
    MetricSpec(
        "hookferry_tombstones_total",
        "counter",
        "Records with a null value that contain no event, by the format of the source; they are skipped",
        "If it grows and the topic is not compacted: the producer writes null values, or the source's"
        " format or places do not fit the events.",
        {"source": "the source's name"},
    ),
    MetricSpec(
        "hookferry_duplicates_differing_total",
        "counter",
        "Dropped duplicates whose type or data differs from that of the first event with their id",
        "Always: two events probably have one id, and the second was not sent. The log event"
        " `event.duplicate_differed` names both.",
        {"source": "the source's name"},
    ),
    MetricSpec(
        "hookferry_fields_refused_total",
        "counter",
        "Times and entities of events that could not be used; the event was sent with something else",
        "If it grows: the source's place or `time_unit` does not fit its events, or a producer's clock is"
        " wrong. The log event `event.field_refused` has an example.",
        {
            "source": "the source's name",
            "field": "time (of the event), timestamp (of the record), entity",
        },
    ),
    MetricSpec(
        "hookferry_events_off_total",
        "counter",
        "Events not sent because their type is switched off for the endpoint",
        "If it grows and was not intended: `hookferry events list` shows who switched the type off.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_attempts_total",
        "counter",
        "Requests sent to the endpoint, by verdict",
        "If `again` grows faster than `delivered`: the endpoint fails. If `park` grows: it refuses events.",
        {
            **_ENDPOINT,
            "verdict": "delivered, again (will be retried), park (dead letter), off (it is switched off)",
        },
    ),
    MetricSpec(
        "hookferry_signature_failures_total",
        "counter",
        "Answers that complain of the signature of the request",
        "If it grows, as after a change of keys: the receiver has another key. The log event"
        " `signature.refused` names the key of the request.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_attempt_seconds",
        "histogram",
        "Seconds from sending a request to its answer",
        "If it approaches the endpoint's `timeout_s`: requests will fail and be retried.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_delivery_latency_seconds",
        "histogram",
        "Seconds from the timestamp of a record to the 2xx for it, retries included",
        "If it grows: the endpoint is slower than its events arrive, or was down.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_retries_succeeded_total",
        "counter",
        "Deliveries that needed more than one attempt",
        "Never by itself; compare it with `hookferry_attempts_total`.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_parked_total",
        "counter",
        "Events written to the dead-letter topic",
        "If it grows: `hookferry parked list` shows the events and why.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_unsettled_events",
        "gauge",
        "Events read and not yet delivered, filtered or parked",
        "If it stays high: the endpoint is slow or down.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_in_flight_requests",
        "gauge",
        "Requests without an answer yet",
        "If it stays at the endpoint's `concurrency`: the endpoint limits the throughput.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_breaker_open",
        "gauge",
        "1 while the circuit breaker holds requests back, otherwise 0",
        "If it stays 1: the endpoint does not answer, or answers with errors.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_rate_limit",
        "gauge",
        "Requests per second that an overloaded receiver was found to take; 0 while there is no such limit",
        "If it stays above 0 and below the rate of the events: the receiver takes less than arrives. The log"
        " event `endpoint.slowed` has the reason.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_concurrency_limit",
        "gauge",
        "Requests that may be in flight now; the endpoint's `concurrency` unless its receiver is busy",
        "If it stays below `concurrency`: the receiver answers 502, 503 or 504 to more requests at once.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_on",
        "gauge",
        "1 while the endpoint is switched on, 0 while it is switched off",
        "If it is 0: the endpoint's events wait until `hookferry endpoints on`.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_held_lanes",
        "gauge",
        "Lanes of this process that wait for a parked event; add it up over all processes",
        "If it is above 0: these entities receive nothing until somebody redrives or discards.",
        _ENDPOINT,
    ),
    MetricSpec(
        "hookferry_commits_total",
        "counter",
        "Commits of the cursors to Kafka",
        "If `failed` grows: after a restart, events since the last commit are sent again.",
        {"outcome": "done, failed"},
    ),
    MetricSpec(
        "hookferry_history_attempts_total",
        "counter",
        "Attempts for the topic of the history",
        "If `dropped` grows: the history has gaps; the log event `history.failed` has the reason.",
        {"outcome": "written, dropped"},
    ),
    MetricSpec(
        "hookferry_partitions_without_schema",
        "gauge",
        "Partitions that wait because the schema registry does not give a schema they need",
        "If it stays above 0: check the registry and its login.",
    ),
    MetricSpec(
        "hookferry_partitions_failing",
        "gauge",
        "Assigned partitions whose records the broker cannot read now",
        "If it stays above 0: these partitions deliver nothing; the log event `fetch.failed` has the reason.",
    ),
    MetricSpec(
        "hookferry_ready",
        "gauge",
        "1 while `/readyz` answers 200, otherwise 0",
        "If it is 0 for longer than a start or a rebalance: `/readyz` and the log event `readiness.changed`"
        " contain the reason.",
    ),
    MetricSpec(
        "hookferry_assigned_partitions",
        "gauge",
        "Partitions of source topics assigned to this process",
        "If it is 0 for longer than a rebalance: there are more processes than partitions, or this one is not"
        " in the group.",
    ),
    MetricSpec(
        "hookferry_memory_budget_bytes",
        "gauge",
        "Memory that waiting events may use, all endpoints together",
        "Never by itself. It is about half of `memory_budget`, less what the process uses at rest.",
    ),
    MetricSpec(
        "hookferry_memory_waiting_bytes",
        "gauge",
        "Memory that waiting events use; an event that waits for several endpoints is counted once",
        "If it stays near the budget: `hookferry_endpoint_memory_bytes` shows for which endpoints they wait.",
    ),
    MetricSpec(
        "hookferry_memory_fetched_bytes",
        "gauge",
        "Records that the Kafka clients have fetched and not passed on, an upper estimate: as compressed, and"
        " batches that are read in part as unpacked",
        "Never by itself.",
    ),
    MetricSpec(
        "hookferry_memory_resident_bytes",
        "gauge",
        "Resident memory of the process",
        "If it is above nine tenths of the container's limit: lower `memory_budget`, or raise the limit.",
    ),
    MetricSpec(
        "hookferry_endpoint_memory_bytes",
        "gauge",
        "Memory of the events that wait for an endpoint, including those that wait for others as well",
        "If it stays high for an endpoint that delivers: it is slower than its events arrive.",
        _ENDPOINT,
    ),
)
"""In the order of an event's way."""


class EndpointMetrics(NamedTuple):
    """The metrics of one endpoint, bound to its label once: a look-up per event would cost more."""

    attempts: dict[Verdict, Counter]
    signature_failures: Counter
    attempt_seconds: Histogram
    latency_seconds: Histogram
    retries_succeeded: Counter
    parked: Counter
    events_off: Counter


class Metrics:
    """The metrics of ``TABLE``, registered."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        specs = {spec.name: spec for spec in TABLE}

        def counter(name: str) -> Counter:
            spec = specs[f"hookferry_{name}_total"]
            return Counter(spec.name, _help(spec), [*spec.labels], registry=self.registry)

        def gauge(name: str) -> Gauge:
            spec = specs[f"hookferry_{name}"]
            return Gauge(spec.name, _help(spec), [*spec.labels], registry=self.registry)

        def histogram(name: str) -> Histogram:
            spec = specs[f"hookferry_{name}"]
            labels = [*spec.labels]
            return Histogram(spec.name, _help(spec), labels, registry=self.registry, buckets=_LATENCY_S)

        self.records = counter("records")
        self.tombstones = counter("tombstones")
        self.duplicates_differing = counter("duplicates_differing")
        self.fields_refused = counter("fields_refused")
        self.events_off = counter("events_off")
        self.attempts = counter("attempts")
        self.signature_failures = counter("signature_failures")
        self.attempt_seconds = histogram("attempt_seconds")
        self.latency_seconds = histogram("delivery_latency_seconds")
        self.retries_succeeded = counter("retries_succeeded")
        self.parked = counter("parked")
        self.unsettled = gauge("unsettled_events")
        self.in_flight = gauge("in_flight_requests")
        self.breaker_open = gauge("breaker_open")
        self.rate_limit = gauge("endpoint_rate_limit")
        self.concurrency_limit = gauge("endpoint_concurrency_limit")
        self.endpoint_on = gauge("endpoint_on")
        self.held_lanes = gauge("held_lanes")
        self.commits = counter("commits")
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

    def endpoint(self, name: str) -> EndpointMetrics:
        """Bind the metrics of one endpoint; all its series exist from the start, at zero."""
        return EndpointMetrics(
            attempts={verdict: self.attempts.labels(name, verdict.value) for verdict in Verdict},
            signature_failures=self.signature_failures.labels(name),
            attempt_seconds=self.attempt_seconds.labels(name),
            latency_seconds=self.latency_seconds.labels(name),
            retries_succeeded=self.retries_succeeded.labels(name),
            parked=self.parked.labels(name),
            events_off=self.events_off.labels(name),
        )

    def watch(self, gauge: Gauge, read: Callable[[], float], *labels: str) -> None:
        """Make a gauge call ``read`` for its value whenever it is scraped."""
        (gauge.labels(*labels) if labels else gauge).set_function(read)


def _help(spec: MetricSpec) -> str:
    values = [f"{label}: {values}" for label, values in spec.labels.items() if label != "endpoint"]
    return "; ".join([spec.meaning, *values])
