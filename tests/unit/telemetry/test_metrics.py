"""The table of metrics: names, bounded labels, series that exist from the start."""

from __future__ import annotations

from itertools import product

import pytest
from prometheus_client.exposition import generate_latest

from bridge.model import Verdict
from bridge.reasons import ParkReason
from bridge.telemetry.metrics import TABLE, Metrics, MetricSpec, status_class

UNBOUNDED = {"entity", "event_id", "webhook_id", "tenant", "url", "offset", "type"}
CONFIGURED = {"endpoint": ("crm", "shop"), "source": ("orders", "loans")}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return all samples by name and labels, without the bounds of histograms."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_two_instances_do_not_share_a_registry() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.endpoint("crm").retries_succeeded.inc()
    assert other.registry.get_sample_value("hookferry_retries_succeeded_total", {"endpoint": "crm"}) is None


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.name)
def test_every_series_of_the_table_exists_from_the_start(spec: MetricSpec) -> None:
    metrics = Metrics()
    metrics.prepare(*CONFIGURED.values())
    present = samples(metrics)
    name = f"{spec.name}_count" if spec.kind == "histogram" else spec.name
    choices = [spec.values.get(label) or CONFIGURED[label] for label in spec.labels]
    for values in product(*choices):
        labels = tuple(sorted(zip(spec.labels, map(str, values), strict=True)))
        assert (name, labels) in present
        if not spec.name.startswith(("process_", "hookferry_build_info")):
            assert present[name, labels] == 0
    if spec.kind == "counter":
        assert sum(key[0] == spec.name for key in present) >= len(list(product(*choices)))


def test_binding_an_endpoint_creates_all_its_series_too() -> None:
    prepared, bound = Metrics(), Metrics()
    prepared.prepare(["crm"], [])
    bound.endpoint("crm")
    assert samples(prepared).keys() == samples(bound).keys()


def test_every_label_has_names_of_the_configuration_or_a_list_that_its_description_names() -> None:
    for spec in TABLE:
        for label, described in spec.labels.items():
            if label in CONFIGURED:
                assert label not in spec.values
            elif spec.name != "hookferry_build_info":
                assert all(value in described for value in spec.values[label]), (spec.name, label)


def test_every_row_of_the_table_is_registered_with_its_type_and_labels() -> None:
    families = {family.name: family for family in Metrics().registry.collect()}
    rows = {spec.name.removesuffix("_total"): spec for spec in TABLE}
    assert {name: family.type for name, family in families.items()} == {
        name: spec.kind for name, spec in rows.items()
    }
    assert all(spec.worry.endswith(".") for spec in TABLE)


def test_names_follow_the_conventions_of_prometheus() -> None:
    for spec in TABLE:
        assert spec.name.startswith(("hookferry_", "process_"))
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert spec.kind != "histogram" or spec.name.endswith("_seconds")
        assert not spec.name.endswith(("_ms", "_milliseconds", "_kilobytes", "_count", "_sum", "_bucket"))


def test_labels_are_bounded() -> None:
    metrics = Metrics()
    metrics.endpoint("crm")
    for family in metrics.registry.collect():
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


@pytest.mark.parametrize(
    ("status", "expected"),
    [(None, "none"), (204, "2xx"), (302, "3xx"), (429, "4xx"), (503, "5xx"), (600, "other")],
)
def test_every_status_has_a_class(status: int | None, expected: str) -> None:
    assert status_class(status) == expected
    assert (Verdict.AGAIN, expected) in Metrics().endpoint("crm").attempts


def test_undecodable_records_are_counted_without_an_endpoint() -> None:
    labels = {"endpoint": "", "reason": ParkReason.UNDECODABLE}
    assert Metrics().registry.get_sample_value("hookferry_parked_total", labels) == 0
