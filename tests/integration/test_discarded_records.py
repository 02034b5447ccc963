"""A record that cannot be decoded stays discarded for an endpoint that is added later and begins earlier."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.bridge_process import BridgeProcess
from tests.support.command import listed, parked
from tests.support.kafka import RealKafka
from tests.support.parked_orders import order
from tests.support.raw_records import Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import SOON, logged, quick_config, wait_settled

Bridges = Callable[..., BridgeProcess]


def test_a_discarded_and_a_waiting_record_are_not_parked_again_for_a_new_endpoint(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("once", partitions=1)
    endpoints = {"shop": {"url": receiver.url("/shop"), "retry": SOON}}
    bridge = bridges(quick_config(kafka, topic, endpoints, "once")).start()
    publish(kafka, topic, [Raw(b"{discarded", b"k1"), Raw(b"{waiting", b"k2"), order("a", 0)])
    read_parked(kafka, "once", 2)
    wait_settled(kafka, "once.shop", topic)
    (discarded,) = [letter["address"] for letter in listed(bridge) if letter["entity"] == "k1"]
    parked(bridge, "discard", discarded, "--reason", "a test", "--yes")
    bridge.terminate()

    endpoints["erp"] = {"url": receiver.url("/erp"), "retry": SOON}
    later = bridges(quick_config(kafka, topic, endpoints, "once")).start()
    receiver.wait_for("/erp", accepted=1)
    wait_settled(kafka, "once.erp", topic)
    assert len(logged(later, "record.parked_before")) == 2
    states = {letter["entity"]: letter["state"] for letter in listed(later, "--all")}
    assert states == {"k1": "discarded", "k2": "waiting"}
    assert len(listed(later, "--all")) == 2
