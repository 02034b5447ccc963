"""What is observed from outside, on real Kafka: reports of the pods, metrics of the backlog, traces."""

from __future__ import annotations

import time
from collections.abc import Callable

from bridge.core.pod_report import PodReport, PodReports, name_of, read_report
from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.otlp_collector import collecting
from tests.support.parked_orders import order
from tests.support.produce import outbox_events, produce
from tests.support.raw_records import publish
from tests.support.receiver import Receiver
from tests.support.watch import SOON, history, logged, quick_config, read_topic, wait_until

Bridges = Callable[..., BridgeProcess]


def alive(kafka: RealKafka, group: str) -> list[PodReport]:
    """Return the reports of the processes that live, as a console reads them."""
    reports = PodReports()
    for record in read_topic(kafka.bootstrap, f"{group}.control"):
        name = name_of(record.key)
        if name is not None:
            reports.put(name, None if record.value is None else read_report(name, record.value))
    return reports.alive(time.time())


def test_two_pods_report_themselves_with_their_backlogs_until_they_stop(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, group = kafka.fresh_topic("observed", partitions=4), "observed"
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, group)
    first, second = bridges(config).start(), bridges(config).start()
    wait_until(
        lambda: sorted(len(pod.partitions.get(topic, ())) for pod in alive(kafka, group)) == [2, 2],
        "both report two partitions each",
    )
    answer_of(first, "endpoints", "off", "shop")
    produce(kafka.bootstrap, topic, outbox_events(40, entities=20, seed=5))

    wait_until(lambda: lag_of(first) + lag_of(second) == 40, "the pods together count all events that wait")
    off = {"endpoint": "shop", "reason": "off"}
    assert first.metric("hookferry_endpoint_limited", **off) == 1
    assert first.metric("hookferry_endpoint_lag_seconds", endpoint="shop") > 0
    wait_until(
        lambda: not any(pod.endpoints["shop"].on for pod in alive(kafka, group)), "the reports say off"
    )

    assert second.terminate() == 0
    wait_until(lambda: len(alive(kafka, group)) == 1, "a clean stop deletes its report")
    wait_until(lambda: lag_of(first) == 40, "the first pod has all partitions now")
    assert first.metric("hookferry_rebalance_seconds_count") > 0
    answer_of(first, "endpoints", "on", "shop")
    wait_until(lambda: lag_of(first) == 0, "everything is delivered")
    assert first.metric("hookferry_attempts_total", verdict="delivered", status="2xx") == 40
    assert first.metric("hookferry_records_read_total", reader="main") >= 40
    assert first.metric("hookferry_commits_total", outcome="done") > 0
    assert first.metric("hookferry_event_loop_lag_seconds_count") > 0
    assert first.metric("hookferry_dedupe_index_keys") > 0
    assert not logged(first, "watch.failed") + logged(first, "report.failed")


def lag_of(bridge: BridgeProcess) -> float:
    return bridge.metric("hookferry_endpoint_lag_events", endpoint="shop")


def test_the_trace_of_a_record_reaches_the_receiver_and_the_collector(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The first answer is 503: two attempts are two spans of the trace that the record began."""
    topic, group = kafka.fresh_topic("traced", partitions=1), "traced"
    trace, above = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    receiver.control("/shop", status=503, fail_first=1)
    with collecting() as collector:
        config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop"), "retry": SOON}}, group)
        config["tracing"] = {"endpoint": collector.url, "service_name": "loans"}
        bridge = bridges(config).start()
        carried = ("traceparent", f"00-{trace}-{above}-01".encode())
        publish(kafka, topic, [order("a", 0)._replace(headers=(carried,))])
        wait_until(lambda: len(collector.spans) == 2, "a span for each attempt")
        assert {span.trace_id.hex() for span in collector.spans} == {trace}
        assert {span.parent_span_id.hex() for span in collector.spans} == {above}
        wait_until(lambda: len(history(bridge)) == 2, "both attempts are in the history")
        sent = {
            line.removeprefix(b"traceparent: ").decode()
            for row in history(bridge)
            for line in row["headers"].split(b"\n")
            if line.startswith(b"traceparent: ")
        }
        assert sent == {f"00-{trace}-{span.span_id.hex()}-01" for span in collector.spans}
        assert {row["trace_id"] for row in history(bridge)} == {trace}
        assert {line["trace_id"] for line in logged(bridge, "delivery.attempted")} == {trace}
        wait_until(lambda: bridge.metric("hookferry_trace_spans_total", outcome="exported") == 2, "counted")
        assert bridge.terminate() == 0
