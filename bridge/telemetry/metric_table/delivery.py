"""Metrics of delivering: attempts, retries, dead letters, backlogs and limits of the endpoints.

Invariant: names follow the conventions of Prometheus: base units, and ``_total`` at the end of a counter.
"""

from __future__ import annotations

from typing import Final

from bridge.model import Verdict
from bridge.reasons import LimitReason, ParkReason
from bridge.telemetry.metric_table.spec import ENDPOINT, MetricSpec

STATUS_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx", "other", "none")

TABLE: Final = (
    MetricSpec(
        "hookferry_events_off_total",
        "counter",
        "Events not sent because their type is switched off for the endpoint",
        "If it grows and was not intended: `hookferry events list` shows who switched the type off.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_attempts_total",
        "counter",
        "Requests sent to the endpoint, by verdict and by the class of the answer's status",
        "If `again` grows faster than `delivered`: the endpoint fails. If `park` grows: it refuses events.",
        {
            **ENDPOINT,
            "verdict": "delivered, again (will be retried), park (dead letter), off (it is switched off)",
            "status": "2xx, 3xx, 4xx, 5xx, other, none (no answer: timeout, connection, TLS, login)",
        },
        {"verdict": tuple(Verdict), "status": STATUS_CLASSES},
    ),
    MetricSpec(
        "hookferry_batches_total",
        "counter",
        "Requests with a batch of events; `hookferry_attempts_total` counts each event of them",
        "Divide the rate of `hookferry_attempts_total` by its rate: the events per request. If that stays far"
        " below `batch.max_events` while the endpoint has a backlog: its events are too large, or refused.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_signature_failures_total",
        "counter",
        "Answers that complain of the signature of the request",
        "If it grows, as after a change of keys: the receiver has another key. The log event"
        " `signature.refused` names the key of the request.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_attempt_seconds",
        "histogram",
        "Seconds from sending a request to its answer",
        "If it approaches the endpoint's `timeout_s`: requests will fail and be retried.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_delivery_latency_seconds",
        "histogram",
        "Seconds from the timestamp of a record to the 2xx for it, retries included",
        "If it grows: the endpoint is slower than its events arrive, or was down.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_retries_needed_total",
        "counter",
        "Events whose first attempt failed and was to be repeated",
        "Divide its rate by that of `hookferry_attempts_total` with the verdict `delivered`: the share of"
        " events that need a retry.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_retries_succeeded_total",
        "counter",
        "Deliveries that needed more than one attempt",
        "The success rate of retries is this, divided by this plus `hookferry_parked_total` with the reason"
        " `retries_used_up`.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_parked_total",
        "counter",
        "Events written to the dead-letter topic, by reason",
        "If it grows: `hookferry parked list` shows the events and why.",
        {
            "endpoint": "the endpoint's name; empty for records that cannot be decoded, which are parked once"
            " for all endpoints",
            "reason": "refused (a final answer of the receiver), retries_used_up, unrenderable (a template,"
            " filter or field failed), held (it waits for a parked event of its entity), left_over (an"
            " earlier process had yet to park it), undecodable",
        },
        {"reason": tuple(ParkReason)},
    ),
    MetricSpec(
        "hookferry_endpoint_lag_events",
        "gauge",
        "Events that the endpoint has yet to get: those read and not settled, counted, plus an estimate of"
        " those not read yet. The estimate is `hookferry_endpoint_unread_offsets` times the share of offsets"
        " that the endpoint selected so far (1 until 100 were read)",
        "If it grows: the endpoint is slower than its events arrive, down, or off.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_lag_seconds",
        "gauge",
        "Age of the oldest event that waits for the endpoint, by the timestamp of its record; if only unread"
        " records wait, the time for which nothing was read. 0 if nothing waits",
        "If it exceeds what the receiver may be late.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_unread_offsets",
        "gauge",
        "Offsets that are not read for the endpoint yet, as of at most 10 s ago: an upper bound of the"
        " records, because transaction marks and compaction leave offsets without one",
        "If it grows: the endpoint's window is full, or the partitions fail or wait for a schema.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_unsettled_events",
        "gauge",
        "Events read and not yet delivered, filtered or parked",
        "If it stays high: the endpoint is slow or down.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_in_flight_requests",
        "gauge",
        "Requests without an answer yet",
        "If it stays at the endpoint's `concurrency`: the endpoint limits the throughput.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_breaker_open",
        "gauge",
        "1 while the circuit breaker holds requests back, otherwise 0",
        "If it stays 1: the endpoint does not answer, or answers with errors.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_breaker_state",
        "gauge",
        "1 for the state of the circuit breaker, 0 for the others",
        "If `open` stays 1: the endpoint does not answer, or answers with errors.",
        {**ENDPOINT, "state": "closed, open, half-open (it probes)"},
        {"state": ("closed", "open", "half-open")},
    ),
    MetricSpec(
        "hookferry_endpoint_rate_limit",
        "gauge",
        "Requests per second that an overloaded receiver was found to take; 0 while there is no such limit",
        "If it stays above 0 and below the rate of the events: the receiver takes less than arrives. The log"
        " event `endpoint.slowed` has the reason.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_concurrency_limit",
        "gauge",
        "Requests that may be in flight now; the endpoint's `concurrency` unless its receiver is busy",
        "If it stays below `concurrency`: the receiver answers 502, 503 or 504 to more requests at once.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_endpoint_limited",
        "gauge",
        "1 for each reason that limits the endpoint now, otherwise 0",
        "If `too_many_requests` or `busy` stays 1 and the lag grows: the receiver takes less than arrives.",
        {
            **ENDPOINT,
            "reason": "off (switched off), breaker (open or probing), too_many_requests (429 lowered the"
            " rate), busy (502, 503 or 504 lowered the concurrency), retry_after (the receiver asked for a"
            " pause), configured_rate (`rate` is used up)",
        },
        {"reason": tuple(LimitReason)},
    ),
    MetricSpec(
        "hookferry_endpoint_on",
        "gauge",
        "1 while the endpoint is switched on, 0 while it is switched off",
        "If it is 0: the endpoint's events wait until `hookferry endpoints on`.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_held_lanes",
        "gauge",
        "Lanes of this process that wait for a parked event; add it up over all processes",
        "If it is above 0: these entities receive nothing until somebody redrives or discards.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_again_unsettled_records",
        "gauge",
        "Records of `<group>.again`, redriven or re-sent, that some endpoint has not settled; of the"
        " partitions of this process, and as of at most 10 s ago",
        "If it stays above 0: the lag of the endpoints shows which one does not take them.",
    ),
)
