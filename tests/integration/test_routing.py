"""Events filtered by content, and event types switched off and on while two pods run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.produce import OutboxEvent, outbox_events, produce
from tests.support.raw_records import Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import all_report, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


def ids(receiver: Receiver, path: str) -> set[str]:
    """Return the events that a receiver got, as "entity/number"."""
    return {f"{request['entity']}/{request['seq']}" for request in receiver.records(path)}


def of(events: Iterable[OutboxEvent], *types: str) -> set[str]:
    """Return the events of these types, as "entity/number"."""
    return {f"{event.entity}/{event.seq}" for event in events if orjson.loads(event.value)["type"] in types}


def test_an_event_type_is_switched_off_and_on_in_every_pod_without_a_restart(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The switch affects one endpoint, survives a restart, and skipped events are not sent later."""
    topic, group = kafka.fresh_topic("types", partitions=2), "types"
    endpoints = {"crm": {"url": receiver.url("/crm")}, "erp": {"url": receiver.url("/erp")}}
    config = quick_config(kafka, topic, endpoints, group)
    pods = [bridges(config).start(), bridges(config).start()]
    wait_until(lambda: all_report(pods, "assigned: 1 partitions"), "both pods have partitions")
    assert answer_of(pods[0], "events", "list") == "no event type is off\n"

    output = answer_of(pods[0], "events", "off", "OrderP*", "-e", "crm", "--reason", "too chatty", "--yes")
    # within a second on an idle machine; a loaded one only has to be faster than a restart or a timeout
    wait_until(lambda: all_report(pods, "; event types off: OrderP* for crm\n"), "both pods report it", 15)
    assert output.startswith("OrderP* for crm: off; every running bridge applies this within a second\n")
    assert "does not send them later" in output
    first = list(outbox_events(200, entities=20, seed=61))
    produce(kafka.bootstrap, topic, first)
    receiver.wait_for("/erp", accepted=200)
    for name in ("crm", "erp"):
        wait_settled(kafka, f"{group}.{name}", topic)
    assert ids(receiver, "/crm") == of(first, "OrderShipped", "OrderClosed")
    assert sum(pod.metric("hookferry_events_off_total", endpoint="crm") for pod in pods) == 100
    assert sum(pod.metric("hookferry_events_off_total", endpoint="erp") for pod in pods) == 0
    row = answer_of(pods[0], "events", "list").splitlines()[1].split()
    assert (row[:2], row[-2:]) == (["OrderP*", "crm"], ["too", "chatty"])
    event = pods[0].folder / "event.json"
    event.write_text(json.dumps({"type": "OrderPaid", "data": {}}))
    assert "\ncrm  gets it\n" in answer_of(pods[0], "route", str(event))
    assert "\ncrm  no, off: OrderP* is switched off" in answer_of(pods[0], "route", str(event), "--live")

    assert pods[0].terminate() == 0
    pods[1].kill()
    for pod in pods:
        pod.start()
    wait_until(lambda: all_report(pods, "; event types off: OrderP* for crm\n"), "still off after a restart")
    answer_of(pods[1], "events", "off", "OrderClosed", "--yes")
    wait_until(lambda: all_report(pods, "event types off: OrderClosed, OrderP* for crm\n"), "both switches")
    output = answer_of(pods[1], "events", "on", "OrderP*", "--endpoint", "crm")
    assert output == "OrderP* for crm: on; every running bridge applies this within a second\n"
    wait_until(lambda: all_report(pods, "; event types off: OrderClosed\n"), "on again in both pods")
    second = list(outbox_events(200, entities=20, seed=62, first_seq=1000))
    produce(kafka.bootstrap, topic, second)
    receiver.wait_for("/crm", accepted=250)
    receiver.wait_for("/erp", accepted=350)
    for name in ("crm", "erp"):
        wait_settled(kafka, f"{group}.{name}", topic)
    wanted = of(second, "OrderPlaced", "OrderPaid", "OrderShipped")
    assert ids(receiver, "/crm") == wanted | of(first, "OrderShipped", "OrderClosed"), (
        "a skipped event was sent later"
    )
    assert receiver.report("/crm")["inversions"] == receiver.report("/erp")["inversions"] == 0
    assert sum(pod.metric("hookferry_records_total", outcome="switched_off") for pod in pods) == 50
    for pod in pods:
        assert len(logged(pod, "types.turned_off")) == 3, "one line per switch, and one after the restart"
        assert len(logged(pod, "types.turned_on")) == 1
    output = answer_of(pods[1], "events", "on", "Order*")
    assert output.startswith("Order* for all endpoints: on (it was already)")
    assert "still off by another switch: hookferry events on 'OrderClosed'\n" in output


def test_endpoints_choose_by_content_header_and_topic(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Events on which a filter fails are parked; endpoints without a filter get everything."""
    topic, group = kafka.fresh_topic("content", partitions=1), "content"
    endpoints = {
        "all": {"url": receiver.url("/all")},
        "big": {"url": receiver.url("/big"), "when": 'data.amount > 1000 and data.currency == "USD"'},
        "eu": {"url": receiver.url("/eu"), "record_headers": {"region": ["eu-*"]}},
        "elsewhere": {"url": receiver.url("/elsewhere"), "topics": ["*", f"!{topic}"]},
    }
    amounts: list[object] = [1500, 1500.5, 1000, 10, None, "1500", 2000]
    records = [
        Raw(
            json.dumps(
                {
                    "id": f"id-{seq}", "type": "Paid", "entity": f"e{seq}",
                    "createdAt": "2026-06-29T08:15:30Z",
                    "payload": {"entity": f"e{seq}", "seq": 0, "amount": amount,
                                "currency": "EUR" if seq == 6 else "USD"},
                }
            ).encode(),
            b"e%d" % seq,
            (("region", b"eu-1" if seq % 2 else b"us-1"),),
        )
        for seq, amount in enumerate(amounts)
    ]  # fmt: skip
    publish(kafka, topic, records)
    bridge = bridges(quick_config(kafka, topic, endpoints, group)).start()
    receiver.wait_for("/all", accepted=7)
    for name in endpoints:
        wait_settled(kafka, f"{group}.{name}", topic)
    assert ids(receiver, "/all") == {f"e{seq}/0" for seq in range(7)}
    assert ids(receiver, "/big") == {"e0/0", "e1/0"}
    assert ids(receiver, "/eu") == {"e1/0", "e3/0", "e5/0"}
    assert receiver.count("/elsewhere")["requests"] == 0
    (parked,) = read_parked(kafka, group, 1)
    assert parked.facts["endpoint"] == "big"
    assert "text > a number" in parked.facts["cause"]
    assert bridge.metric("hookferry_parked_total", endpoint="big") == 1
    assert bridge.metric("hookferry_records_total", outcome="handed_over") == 7
