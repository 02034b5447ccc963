"""What the commands say of a group is true: lag in events, redrives that only wait, rights and topics."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of, hookferry, listed, parked
from tests.support.kafka import RealKafka
from tests.support.parked_orders import order, topic_and_config, wait_parked
from tests.support.produce import outbox_events, produce
from tests.support.raw_records import publish
from tests.support.receiver import Receiver
from tests.support.watch import quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


def test_lag_counts_the_events_that_an_endpoint_selects(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Both endpoints are off. One selects a quarter of the events, the other all of them."""
    topic, group = kafka.fresh_topic("wanted", partitions=2), "wanted"
    endpoints = {
        "some": {"url": receiver.url("/some"), "events": ["OrderPaid"]},
        "all": {"url": receiver.url("/all")},
    }
    bridge = bridges(quick_config(kafka, topic, endpoints, group)).start()
    for name in endpoints:
        answer_of(bridge, "endpoints", "off", name)
    wait_until(lambda: not any(row["state"] == "on" for row in rows(bridge)), "both are off")
    events = list(outbox_events(200, entities=20, seed=3))
    produce(kafka.bootstrap, topic, events)
    paid = sum(b'"OrderPaid"' in event.value for event in events)
    assert 0 < paid < 200
    wait_until(
        lambda: (
            {row["endpoint"]: (row["lag"], row["lag_is"]) for row in rows(bridge)}
            == {"some": (paid, "exact"), "all": (200, "exact")}
        ),
        "the events are counted",
    )
    assert {row["lag_is"] for row in rows(bridge, "--scan", "10")} <= {"at least", "exact"}
    assert {row["lag_is"] for row in rows(bridge, "--scan", "0")} == {"at most"}

    screen = orjson.loads(answer_of(bridge, "status", "--json"))
    assert len(screen["pods"]) == 1
    assert screen["bridge_here"]["ready"] is True
    assert any("some is off" in text for text in screen["attention"])
    assert "nothing needs attention" not in answer_of(bridge, "status", "--scan=0")


def rows(bridge: BridgeProcess, *more: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = orjson.loads(answer_of(bridge, "endpoints", "list", "--json", *more))
    return found


def test_a_redrive_without_a_bridge_waits_where_the_list_shows_it_and_is_delivered_later(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, config = topic_and_config(kafka, receiver, "later")
    receiver.control("/shop", status=400)
    publish(kafka, topic, [order(f"e{n}", 0, n % 2) for n in range(6)])
    bridge = bridges(config).start()
    wait_parked(bridge, 6)
    wait_settled(kafka, "later.shop", topic)
    assert bridge.terminate() == 0
    receiver.control("/shop")

    done = hookferry(bridge, "parked", "redrive", "-e", "shop", "--yes", "--wait", "1")
    assert done.returncode == 1
    assert "6 written to later.again" in done.stdout
    assert "6 wait in later.again: no bridge has settled them" in done.stderr
    assert [letter["state"] for letter in listed(bridge)] == ["queued"] * 6
    assert "nothing to send again" in parked(bridge, "redrive", "-e", "shop", "--yes"), (
        "they are on their way"
    )

    bridge.start()
    receiver.wait_for("/shop", accepted=6)
    wait_until(lambda: listed(bridge) == [], "nothing waits any more")
    assert {letter["state"] for letter in listed(bridge, "--all")} == {"redriven"}
    assert receiver.report("/shop")["repeats"] == 0


def test_the_doctor_finds_a_whole_group_healthy_and_a_missing_topic_not(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, config = topic_and_config(kafka, receiver, "sound")
    bridge = bridges(config).start()
    wait_until(lambda: bridge.metric("hookferry_assigned_partitions") == 2, "it has its partitions")
    found = orjson.loads(answer_of(bridge, "doctor", "--output=json"))
    levels = {(one["part"], one["level"]) for one in found["findings"]}
    assert found["healthy"] is True, found
    assert {("brokers", "ok"), ("topics", "ok"), ("groups", "ok"), ("clock", "ok"), ("rights", "ok"),
            ("endpoint shop", "ok")} <= levels  # fmt: skip
    bridge.config["sources"]["orders"]["topics"] = [topic, "absent"]
    bridge.terminate()
    bridge.start(wait=False).kill()  # writes its file
    answer = answer_of(bridge, "doctor", "--output=table", exits=1)
    assert "error    topics: absent does not exist" in answer
