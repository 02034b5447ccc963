"""Metrics of reading: records, events, the dedupe index.

Invariant: names follow the conventions of Prometheus: base units, and ``_total`` at the end of a counter.
"""

from __future__ import annotations

from typing import Final

from bridge.telemetry.metric_table.spec import SOURCE, MetricSpec

OUTCOMES: Final = ("handed_over", "unwanted", "switched_off", "duplicate", "tombstone", "rejected")

TABLE: Final = (
    MetricSpec(
        "hookferry_records_read_total",
        "counter",
        "Records of Kafka that were read and accepted",
        "If `main` does not grow while `hookferry_endpoint_unread_offsets` grows: the bridge does not read.",
        {
            "reader": "main (each record once), catch_up (again, for an endpoint that was slower than the"
            " others)"
        },
        {"reader": ("main", "catch_up")},
    ),
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
        {"outcome": OUTCOMES},
    ),
    MetricSpec(
        "hookferry_tombstones_total",
        "counter",
        "Records with a null value that contain no event, by the format of the source; they are skipped",
        "If it grows and the topic is not compacted: the producer writes null values, or the source's"
        " format or places do not fit the events.",
        SOURCE,
    ),
    MetricSpec(
        "hookferry_duplicates_differing_total",
        "counter",
        "Dropped duplicates whose type or data differs from that of the first event with their id",
        "Always: two events probably have one id, and the second was not sent. The log event"
        " `event.duplicate_differed` names both.",
        SOURCE,
    ),
    MetricSpec(
        "hookferry_fields_refused_total",
        "counter",
        "Times and entities of events that could not be used; the event was sent with something else",
        "If it grows: the source's place or `time_unit` does not fit its events, or a producer's clock is"
        " wrong. The log event `event.field_refused` has an example.",
        {
            **SOURCE,
            "field": "time (of the event), timestamp (of the record), entity",
        },
        {"field": ("time", "timestamp", "entity")},
    ),
    MetricSpec(
        "hookferry_dedupe_index_keys",
        "gauge",
        "Idempotency keys that the dedupe index remembers; hits are `hookferry_records_total` with the"
        " outcome `duplicate`",
        "If it stays at `dedupe.max_keys` times the partitions: keys are forgotten before `dedupe.window_s`.",
    ),
    MetricSpec(
        "hookferry_dedupe_index_bytes",
        "gauge",
        "Size of the dedupe index on the disk of `state_dir`",
        "If it approaches the size of the volume: lower `dedupe.max_keys`, or give the volume more.",
    ),
)
