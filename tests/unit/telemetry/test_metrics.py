"""The table of metrics: names, bounded labels, series that exist from the start."""

from __future__ import annotations

from prometheus_client.exposition import generate_latest

from bridge.telemetry.metrics import TABLE, Metrics

UNBOUNDED = {"entity", "event_id", "webhook_id", "tenant", "url", "offset", "type"}


def test_two_instances_do_not_share_a_registry() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.endpoint("crm").parked.inc()
    assert other.registry.get_sample_value("hookferry_parked_total", {"endpoint": "crm"}) is None


def test_every_series_of_an_endpoint_exists_at_zero_before_its_first_event() -> None:
    metrics = Metrics()
    metrics.endpoint("crm")
    for verdict in ("delivered", "again", "park"):
        labels = {"endpoint": "crm", "verdict": verdict}
        assert metrics.registry.get_sample_value("hookferry_attempts_total", labels) == 0
    for name in ("parked_total", "retries_succeeded_total", "attempt_seconds_count"):
        assert metrics.registry.get_sample_value(f"hookferry_{name}", {"endpoint": "crm"}) == 0


def test_every_row_of_the_table_is_registered_with_its_type_and_labels() -> None:
    families = {family.name: family for family in Metrics().registry.collect()}
    rows = {spec.name.removesuffix("_total"): spec for spec in TABLE}
    assert {name: family.type for name, family in families.items()} == {
        name: spec.kind for name, spec in rows.items()
    }
    assert all(spec.worry.endswith(".") for spec in TABLE)


def test_names_share_a_prefix_and_labels_are_bounded() -> None:
    metrics = Metrics()
    metrics.endpoint("crm")
    for family in metrics.registry.collect():
        assert family.name.startswith("hookferry_")
        assert family.documentation
        for sample in family.samples:
            assert not UNBOUNDED & sample.labels.keys()
    assert generate_latest(metrics.registry)


def test_a_watched_gauge_calls_its_function_when_it_is_scraped() -> None:
    metrics, now = Metrics(), [1]
    metrics.watch(metrics.in_flight, lambda: now[0], "crm")
    metrics.watch(metrics.partitions, lambda: now[0] * 10)
    now[0] = 7
    assert metrics.registry.get_sample_value("hookferry_in_flight_requests", {"endpoint": "crm"}) == 7
    assert metrics.registry.get_sample_value("hookferry_assigned_partitions") == 70


def test_the_latency_buckets_range_from_5_ms_to_12_hours() -> None:
    metrics = Metrics()
    metrics.endpoint("crm").latency_seconds.observe(40_000)
    for bound, count in (("0.005", 0), ("7200.0", 0), ("43200.0", 1)):
        labels = {"endpoint": "crm", "le": bound}
        assert metrics.registry.get_sample_value("hookferry_delivery_latency_seconds_bucket", labels) == count
