"""Counters and histograms in plain numbers look to a scraper like those of the Prometheus client."""

from __future__ import annotations

import re

import prometheus_client as client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from bridge.telemetry.counted import CountedFamily, Counter, Gauge, Histogram
from bridge.telemetry.metrics import Metrics

BOUNDS = (0.005, 0.1, 1, 60)
AMOUNTS = st.floats(0, 1000) | st.sampled_from(BOUNDS)


def shown(registry: CollectorRegistry, generate=generate_latest) -> str:  # type: ignore[no-untyped-def]
    """Return what a scraper reads, without the instants at which the series began."""
    return re.sub(r"(_created\S* )\S+", r"\1now", generate(registry).decode())


@given(st.lists(st.tuples(st.sampled_from(["crm", 'a"b\\c', "ü\n"]), AMOUNTS), max_size=20))
def test_a_histogram_looks_like_that_of_the_client(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = CountedFamily("h_seconds", "help", "histogram", ["endpoint"], lambda: Histogram(BOUNDS))
    ours.register(mine)
    clients = client.Histogram("h_seconds", "help", ["endpoint"], registry=theirs, buckets=BOUNDS)
    for endpoint, amount in observed:
        mine.labels(endpoint).observe(amount)
        clients.labels(endpoint).observe(amount)
    assert shown(ours) == shown(theirs)
    assert shown(ours, generate_openmetrics) == shown(theirs, generate_openmetrics)


@given(st.lists(st.lists(AMOUNTS, max_size=20), max_size=3))
def test_amounts_that_are_observed_together_count_as_if_each_was_observed_alone(
    batches: list[list[float]],
) -> None:
    together, alone = Histogram(BOUNDS), Histogram(BOUNDS)
    for batch in batches:
        together.observe_all(batch)
        for amount in batch:
            alone.observe(amount)
    assert [*together.samples()][:-2] == [*alone.samples()][:-2]


@given(st.lists(st.tuples(st.sampled_from(["done", "failed"]), st.integers(0, 1 << 40)), max_size=20))
def test_a_counter_looks_like_that_of_the_client(counted: list[tuple[str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = CountedFamily("c_total", "help", "counter", ["outcome"], Counter)
    ours.register(mine)
    clients = client.Counter("c_total", "help", ["outcome"], registry=theirs)
    for outcome, amount in counted:
        mine.labels(outcome).inc(amount)
        clients.labels(outcome).inc(amount)
    assert shown(ours) == shown(theirs)


CHANGES = st.tuples(st.sampled_from(["on", "off", "ü"]), st.floats(-1e9, 1e9), st.booleans())


@given(st.lists(CHANGES, max_size=20))
def test_a_gauge_looks_like_that_of_the_client(changes: list[tuple[str, float, bool]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = CountedFamily("g_bytes", "help", "gauge", ["state"], Gauge)
    ours.register(mine)
    clients = client.Gauge("g_bytes", "help", ["state"], registry=theirs)
    for state, amount, is_removed in changes:
        if is_removed:
            mine.remove(state)
            clients.remove_by_labels({"state": state})
        else:
            mine.labels(state).set(amount)
            clients.labels(state).set(amount)
    assert shown(ours) == shown(theirs)
    assert shown(ours, generate_openmetrics) == shown(theirs, generate_openmetrics)
    mine.clear()
    clients.clear()
    assert shown(ours) == shown(theirs)


def test_a_gauge_that_reads_its_value_looks_like_that_of_the_client() -> None:
    ours, theirs, values = CollectorRegistry(), CollectorRegistry(), [1, 2.5]
    mine = CountedFamily("g_bytes", "help", "gauge", [], Gauge)
    ours.register(mine)
    mine.labels().set_function(lambda: values[0])
    client.Gauge("g_bytes", "help", registry=theirs).set_function(lambda: values[0])
    for _ in range(2):
        assert shown(ours) == shown(theirs)
        values.reverse()


def test_a_metric_without_labels_is_shown_before_it_is_counted() -> None:
    registry = CollectorRegistry()
    registry.register(CountedFamily("c_total", "help", "counter", [], Counter))
    assert registry.get_sample_value("c_total") == 0


def test_a_value_too_few_for_the_labels_is_an_error() -> None:
    family = CountedFamily("c_total", "help", "counter", ["a", "b"], Counter)
    with pytest.raises(ValueError, match="labels"):
        family.labels("x")


def test_no_series_is_shown_twice() -> None:
    """Prometheus takes the first of two and drops the other one with a warning."""
    metrics = Metrics()
    metrics.endpoint("crm")
    lines = [line.rpartition(" ")[0] for line in generate_latest(metrics.registry).decode().splitlines()]
    series = [line for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert sum(line.startswith("process_start_time_seconds") for line in series) == 1
