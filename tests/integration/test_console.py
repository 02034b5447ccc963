"""The console on real Kafka, with two bridges: what it finds, what it changes, and what survives a kill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.console_process import ConsoleProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS = 300


def test_every_attempt_is_found_and_acted_upon_and_is_back_after_the_store_was_deleted(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, consoles: Callable[..., ConsoleProcess]
) -> None:
    topic = kafka.fresh_topic("desk", partitions=4)
    receiver.control("/bad", status=400)
    bad = {"url": receiver.url("/bad"), "park_limit": "off"}
    endpoints = {"shop": {"url": receiver.url("/shop")}, "bad": bad}
    config = quick_config(kafka, topic, endpoints, "desk")
    first = bridges(config).start()
    bridges(config).start()
    wait_until(lambda: first.metric("hookferry_assigned_partitions") == 2, "two partitions each")
    console = consoles(config)
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=20, seed=3))
    wait_settled(kafka, "desk.shop", topic)
    wait_settled(kafka, "desk.bad", topic)

    wait_until(lambda: len(console.all("attempts", endpoint="shop")) == EVENTS, "every delivery")
    wait_until(lambda: len(console.all("parked", endpoint="bad")) == EVENTS, "every parked event")
    rows = console.all("attempts")
    assert len({row["id"] for row in rows}) == len(rows) == 2 * EVENTS
    some = next(row for row in rows if row["endpoint"] == "bad")
    assert (some["status"], some["verdict"]) == (400, "park")
    timeline = console.get(f"events/{some['event_id']}")
    assert {row["endpoint"] for row in timeline["attempts"]} == {"shop", "bad"}
    assert [row["endpoint"] for row in timeline["parked"]] == ["bad"]
    detail = console.get(f"attempts/{some['id']}")
    assert some["entity"] in detail["body"]

    def state(name: str) -> Any:
        return console.get(f"endpoints/{name}")

    wait_until(lambda: state("shop")["lag_events"] == 0, "no lag")
    assert state("shop")["success_rate"] == 1
    done = console.post("endpoints/shop/off", {"reason": "inventory"}, Idempotency_Key="k1")
    again = console.post("endpoints/shop/off", {"reason": "inventory"}, Idempotency_Key="k1")
    assert done == again
    wait_until(lambda: state("shop")["on"] is False, "the switch is seen")
    receiver.control("/bad", status=200)
    address = timeline["parked"][0]["address"]
    console.post("parked/redrive", {"addresses": [address], "reason": "repaired"})
    receiver.wait_for("/bad", accepted=1)
    wait_until(lambda: len(console.all("parked", endpoint="bad")) == EVENTS - 1, "one parked event less")
    wait_until(lambda: console.get("endpoints/bad")["last_delivered_s"], "the redrive is in the history")
    console.post(f"attempts/{some['id']}/resend", {"reason": "asked for"})
    receiver.wait_for("/bad", requests=EVENTS + 2)
    bulk = {"filter": {"endpoint": "bad", "status": "4xx"}, "dry_run": True}
    assert console.post("resends", bulk)["count"] == EVENTS
    job = console.post("resends", bulk | {"dry_run": False}, Idempotency_Key="k2")["job"]
    assert console.post("resends", bulk | {"dry_run": False}, Idempotency_Key="k2")["job"] == job
    wait_until(lambda: console.get(f"jobs/{job}")["state"] == "done", "the bulk re-send ends")
    receiver.wait_for("/bad", accepted=EVENTS)
    wait_until(
        lambda: (
            len({row["event_id"] for row in console.all("attempts", endpoint="bad", status="200")}) == EVENTS
        ),
        "all re-sends are in the history",
    )
    wait_settled(kafka, "desk.bad", topic)
    before = {row["id"] for row in console.all("attempts")}
    audit = [(row["action"], row["subject"], row["reason"]) for row in console.all("audit")]
    assert audit == [
        ("resend start", f"job {job}", ""),
        ("resend", f"bad attempt {some['id']}", "asked for"),
        ("parked redrive", address, "repaired"),
        ("endpoint off", "shop", "inventory"),
    ]

    console.kill()
    console.delete_store()
    console.start()
    assert {row["id"] for row in console.all("attempts")} == before
    assert len(console.all("parked", endpoint="bad")) == EVENTS - 1
    assert len(console.all("audit")) == 4
    repeated = console.post("endpoints/shop/off", {"reason": "inventory"}, Idempotency_Key="k1")
    assert repeated == done
    assert len(console.all("audit")) == 4

    other = consoles(config, "second")
    assert {row["id"] for row in other.all("attempts")} == before
    assert console.terminate() == 0
    assert console.start().all("audit") == other.all("audit")
