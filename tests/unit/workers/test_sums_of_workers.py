"""The metrics of several workers look like those of one process, and never fall."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.telemetry.families import Family, Value, read_document, read_registry, to_document, to_metrics
from bridge.telemetry.metrics import TABLE, Metrics
from bridge.telemetry.worker_metrics import RULES, WORKER_TABLE, WorkerMetrics
from bridge.workers.sums import add_up, totals

OF_THE_PROCESS = {"ready", "partitions"}
"""Gauges without labels."""


def worker(failures: int, latency_s: float = 0.2, **gauges: float) -> list[Family]:
    """Return what a worker with one endpoint reports, after JSON as on the socket."""
    metrics = Metrics()
    endpoint = metrics.endpoint("crm")
    endpoint.signature_failures.inc(failures)
    endpoint.latency_seconds.observe(latency_s)
    for name, number in gauges.items():
        gauge = getattr(metrics, name)
        gauge.labels(*() if name in OF_THE_PROCESS else ("crm",)).set(number)
    return read_document(to_document(read_registry(metrics.registry)))


def samples(families: list[Family]) -> dict[tuple[str, str, str], float]:
    return {
        (value.name, value.labels.get("endpoint", ""), value.labels.get("worker", "")): value.value
        for family in families
        for value in family.values
        if "le" not in value.labels
    }


def test_counters_and_histograms_are_added_up() -> None:
    both = samples(add_up({"1": worker(3, 0.2), "2": worker(4, 0.5)}))
    assert both["hookferry_signature_failures_total", "crm", ""] == 7
    assert both["hookferry_delivery_latency_seconds_count", "crm", ""] == 2
    assert both["hookferry_delivery_latency_seconds_sum", "crm", ""] == 0.7


def test_a_bucket_of_a_histogram_counts_the_observations_of_all_workers() -> None:
    (family,) = [
        one
        for one in add_up({"1": worker(0, 0.2), "2": worker(0, 4.0)})
        if one.name == "hookferry_delivery_latency_seconds"
    ]
    buckets = {value.labels["le"]: value.value for value in family.values if "le" in value.labels}
    assert (buckets["0.1"], buckets["0.25"], buckets["5.0"], buckets["+Inf"]) == (0, 1, 2, 2)


def test_each_gauge_follows_its_rule_in_the_table() -> None:
    first = worker(0, unsettled=5, breaker_open=0, endpoint_on=1, rate_limit=2, ready=1, partitions=2)
    second = worker(0, unsettled=6, breaker_open=1, endpoint_on=0, rate_limit=0, ready=0, partitions=1)
    both = samples(add_up({"1": first, "2": second}))
    assert both["hookferry_unsettled_events", "crm", ""] == 11
    assert both["hookferry_breaker_open", "crm", ""] == 1
    assert both["hookferry_endpoint_on", "crm", ""] == 0
    assert both["hookferry_endpoint_rate_limit", "crm", "1"] == 2
    assert both["hookferry_endpoint_rate_limit", "crm", "2"] == 0
    assert both["hookferry_ready", "", ""] == 0
    assert both["hookferry_assigned_partitions", "", ""] == 3


def test_a_gauge_without_a_rule_keeps_a_series_for_each_worker() -> None:
    report = [Family("process_open_fds", "Descriptors", "gauge", [Value("process_open_fds", {}, 7)])]
    both = samples(add_up({"1": report, "2": report}))
    assert both == {("process_open_fds", "", "1"): 7, ("process_open_fds", "", "2"): 7}


def test_what_the_client_measures_of_a_process_keeps_a_series_for_each_worker() -> None:
    """Its counters too: the CPU time of a process ends with it."""
    name = "process_cpu_seconds_total"
    report = [Family("process_cpu_seconds", "CPU", "counter", [Value(name, {}, 7)])]
    both = samples(add_up({"1": report, "2": report}, totals(report)))
    assert both == {(name, "", "1"): 7, (name, "", "2"): 7}


def test_what_an_ended_process_counted_stays_and_its_gauges_go() -> None:
    ended = totals(totals(), worker(3, unsettled=9))
    ended = totals(ended, worker(2, unsettled=9))
    now = samples(add_up({"1": worker(1, unsettled=4)}, ended))
    assert now["hookferry_signature_failures_total", "crm", ""] == 6
    assert now["hookferry_unsettled_events", "crm", ""] == 4
    alone = samples(add_up({}, ended))
    assert alone["hookferry_signature_failures_total", "crm", ""] == 5
    assert ("hookferry_unsettled_events", "crm", "") not in alone


def test_the_beginning_of_a_series_is_that_of_the_first_worker() -> None:
    reports = {
        str(at): [Family("x", "", "counter", [Value("x_total", {}, 1), Value("x_created", {}, at)])]
        for at in (50.0, 20.0, 90.0)
    }
    assert samples(add_up(reports)) == {("x_total", "", ""): 3, ("x_created", "", ""): 20}


def test_the_sum_is_valid_for_prometheus_and_has_every_metric_once() -> None:
    class Sums:
        def describe(self) -> list[object]:
            return []

        def collect(self) -> object:
            return to_metrics(add_up({"1": worker(1, unsettled=1), "2": worker(2, unsettled=2)}))

    registry = CollectorRegistry()
    registry.register(Sums())  # type: ignore[arg-type]  # a collector by its methods
    text = generate_latest(registry).decode()
    families = [one for one in text_string_to_metric_families(text) if not one.name.endswith("_created")]
    assert len({one.name for one in families}) == len(families)
    assert {spec.name.removesuffix("_total") for spec in TABLE} == {one.name for one in families}


def test_every_gauge_of_the_table_has_a_rule_and_the_two_tables_share_no_name() -> None:
    gauges = {spec.name for spec in TABLE if spec.kind == "gauge" and not spec.name.startswith("process_")}
    assert gauges == RULES.keys(), "decide it in RULES"
    assert not {spec.name for spec in TABLE} & {spec.name for spec in WORKER_TABLE}
    registered = {family.name: family.type for family in WorkerMetrics().registry.collect()}
    assert registered == {spec.name.removesuffix("_total"): spec.kind for spec in WORKER_TABLE}


def test_numbers_that_are_not_finite_are_left_out() -> None:
    metrics = Metrics()
    metrics.watch(metrics.ready, lambda: float("nan"))
    families = read_document(to_document(read_registry(metrics.registry)))
    assert ("hookferry_ready", "", "") not in samples(families)
