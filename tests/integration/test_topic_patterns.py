"""Sources with patterns on real Kafka: topics that appear and vanish while the bridges run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import all_report, ask, cursors, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
HARMLESS = {"topics.vanished"}
"""What a bridge may log at WARNING or above here: a topic is deleted."""


def config(kafka: RealKafka, receiver: Receiver, group: str, topics: list[str]) -> dict[str, Any]:
    settings = quick_config(kafka, "unused", {"shop": {"url": receiver.url("/shop")}}, group)
    settings["sources"]["orders"]["topics"] = topics
    return settings


def problems(bridge: BridgeProcess) -> list[dict[str, Any]]:
    """Return what it logged at WARNING or above and what does not belong to the test."""
    lines = (line for line in logged(bridge) if line["level"] not in ("debug", "info"))
    return [line for line in lines if line["event"] not in HARMLESS]


def test_a_new_topic_that_matches_is_delivered_once_and_a_deleted_one_stops_nothing(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Two bridges: the partitions of the new topic are shared, and the excluded topic stays out."""
    first_topic = kafka.create_topic("bank.events.loan", partitions=4)
    settings = config(kafka, receiver, "family", ["bank.events.*", "!*.audit"])
    pair = [bridges(settings).start(), bridges(settings).start()]
    wait_until(lambda: all_report(pair, "assigned: 2 partitions"), "two partitions each")
    produce(kafka.bootstrap, first_topic, outbox_events(100, entities=20, seed=1))

    new, audit = (kafka.create_topic(f"bank.events.{name}", partitions=4) for name in ("client", "audit"))
    produce(kafka.bootstrap, new, outbox_events(200, entities=40, seed=2))
    produce(kafka.bootstrap, audit, outbox_events(50, seed=3))
    wait_until(lambda: all_report(pair, "assigned: 4 partitions"), "four partitions each")
    receiver.wait_for("/shop", accepted=300)
    wait_settled(kafka, "family.shop", new)
    matched = wait_until(lambda: logged(pair[0], "topics.matched")[1:], "the new topic is reported")
    assert [line["topics"] for line in matched] == [{new: "orders"}]

    rows = orjson.loads(answer_of(pair[0], "cursors", "list", "--json"))
    assert {row["topic"] for row in rows} == {first_topic, new, "family.again"}
    assert "event:   cannot" not in answer_of(pair[0], "inspect", f"--topic={new}", "--count=1")

    admin = kafka.admin()  # its futures end when it is collected
    admin.delete_topics([new])[new].result(15)
    wait_until(lambda: all_report(pair, "assigned: 2 partitions"), "the deleted topic is given up")
    produce(kafka.bootstrap, first_topic, outbox_events(100, entities=20, seed=4, first_seq=100))
    receiver.wait_for("/shop", accepted=400)
    wait_settled(kafka, "family.shop", first_topic)
    report = receiver.report("/shop")  # its inversions count for nothing: the topics have the same entities
    assert report["accepted"] == report["distinct"] == 400
    assert report["repeats"] == 0
    assert cursors(kafka, "family.shop", audit) == {}
    assert [problems(bridge) for bridge in pair] == [[], []]


def test_a_pattern_without_a_topic_and_a_missing_topic_are_waited_for_while_the_others_are_read(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The topic of redrives grows with the new topic, without a restart."""
    bridge = bridges(config(kafka, receiver, "early", ["late.named", "late.[a-m]*"])).start()
    assert "waiting for topics that match: late.[a-m]*" in ask(bridge, "/readyz")[1]
    (line,) = wait_until(lambda: logged(bridge, "topics.awaited"), "the waiting is logged")
    assert line["patterns"] == ["late.[a-m]*"]
    first = kafka.create_topic("late.loans", partitions=3)
    produce(kafka.bootstrap, first, outbox_events(30, seed=5))
    receiver.wait_for("/shop", accepted=30)
    wait_until(lambda: kafka.partitions("early.again") == 3, "the topic of redrives has grown")
    second = kafka.create_topic("late.named", partitions=2)
    produce(kafka.bootstrap, second, outbox_events(20, seed=6))
    receiver.wait_for("/shop", accepted=50)
    wait_until(lambda: ask(bridge, "/readyz") == (200, "assigned: 5 partitions\n"), "all are read")
    report = receiver.report("/shop")
    assert report["accepted"] == report["distinct"] == 50
    assert problems(bridge) == []
