"""A failing or slow endpoint does not slow the other endpoints, and catches up after it recovers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS = 6_000


def two_endpoints(kafka: RealKafka, topic: str, receiver: Receiver, group: str) -> dict[str, Any]:
    retry = {"base_s": 0.2, "cap_s": 0.5, "max_attempts": 1000}
    endpoints = {
        "well": {"url": receiver.url("/well")},
        "ill": {"url": receiver.url("/ill"), "window": 200, "retry": retry},
    }
    config = plain_config(kafka.bootstrap, topic, endpoints, group=group)
    config["kafka"] |= {"session_timeout_s": 6, "heartbeat_interval_s": 1}
    return config


def assert_complete_and_in_order(report: dict[str, Any]) -> None:
    assert report["accepted"] == EVENTS
    assert report["inversions"] == 0
    assert report["overlaps"] == 0


def test_a_failing_endpoint_delays_no_other_and_catches_up_after_it_recovers(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("isolated")
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=300, seed=11, duplicates=0.02))
    receiver.control("/ill", status=503)
    bridge = bridges(two_endpoints(kafka, topic, receiver, "isolated")).start()
    receiver.wait_for("/well", accepted=EVENTS)
    assert receiver.count("/ill")["accepted"] == 0
    assert bridge.metric("hookferry_unsettled_events", endpoint="ill") < 4 * (200 + 1000)

    receiver.control("/ill", status=200)
    receiver.wait_for("/ill", accepted=EVENTS)
    assert bridge.terminate() == 0
    for path in ("/well", "/ill"):
        assert_complete_and_in_order(receiver.report(path))
        assert receiver.report(path)["repeats"] == 0
    for endpoint in ("well", "ill"):
        assert all(row.lag == 0 for row in kafka.describe_group(f"isolated.{endpoint}").values())


def test_a_lagging_endpoint_keeps_its_cursor_over_a_kill_and_loses_nothing(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("behind")
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=300, seed=12, duplicates=0.02))
    receiver.control("/ill", delay_ms=40)
    bridge = bridges(two_endpoints(kafka, topic, receiver, "behind")).start()
    receiver.wait_for("/well", accepted=EVENTS)
    receiver.wait_for("/ill", accepted=EVENTS // 4)
    wait_until(
        lambda: bridge.metric("hookferry_unsettled_events", endpoint="well") == 0, "the answers are read"
    )
    in_flight = receiver.report("/ill")["in_flight"]
    bridge.kill()
    bridge.start()
    receiver.wait_for("/ill", accepted=EVENTS)
    assert bridge.terminate() == 0
    for path in ("/well", "/ill"):
        assert_complete_and_in_order(receiver.report(path))
    assert receiver.report("/well")["repeats"] == 0, "settled events are in the commit or in the journal"
    assert receiver.report("/ill")["repeats"] <= in_flight + 64, (
        "only requests in flight at the kill may repeat"
    )
