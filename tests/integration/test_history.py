"""The history on real Kafka: nothing delivered is missing in it, and deliveries do not need it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import (
    SOON,
    attempts_of,
    cursors,
    history,
    logged,
    quick_config,
    wait_settled,
    wait_until,
)

Bridges = Callable[..., BridgeProcess]
EVENTS = 1200


def set_topic(kafka: RealKafka, topic: str, **config: object) -> None:
    """Change settings of a topic."""
    entries = [
        ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = kafka.admin()  # its futures live as long as it does
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(10)


def found(bridge: BridgeProcess, *arguments: str) -> list[dict[str, Any]]:
    """Return the output of ``hookferry history -o json``."""
    output = answer_of(bridge, "history", "--output=json", *arguments)
    attempts: list[dict[str, Any]] = orjson.loads(output[output.index("[") : output.rindex("]") + 1])
    return attempts


def test_after_a_kill_only_the_last_attempts_of_the_killed_process_are_missing_in_the_history(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Two bridges deliver, one is killed, the other one takes over."""
    topic = kafka.fresh_topic("told", partitions=4)
    receiver.control("/shop", delay_ms=30)
    endpoint = {"url": receiver.url("/shop"), "concurrency": 8}
    config = quick_config(kafka, topic, {"shop": endpoint}, "told")
    first = bridges(config).start()
    second = bridges(config).start()
    wait_until(lambda: first.metric("hookferry_assigned_partitions") == 2, "two partitions each")
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=100, seed=11))
    receiver.wait_for("/shop", accepted=EVENTS // 3)
    killed_s = time.time()
    first.kill()
    assert receiver.count("/shop")["accepted"] < EVENTS, "the kill came too late to prove anything"
    receiver.wait_for("/shop", accepted=EVENTS)
    wait_settled(kafka, "told.shop", topic)
    assert second.terminate() == 0

    rows = attempts_of(kafka.bootstrap, "told.attempts")
    delivered = {row["webhook_id"] for row in rows if row["verdict"] == "delivered"}
    accepted = {
        request["webhook_id"]: request["arrived_ns"] / 1e9
        for request in receiver.records("/shop")
        if request["status"] == 200
    }
    assert delivered <= accepted.keys()
    missing = accepted.keys() - delivered
    early = [id for id in missing if accepted[id] < killed_s - 5]
    assert not early, "what was committed before is in the history"
    assert len(missing) < EVENTS // 4
    survivor = {row["webhook_id"] for row in rows if row["sent_s"] > killed_s + 1}
    assert survivor, "the other bridge writes to the same topic"
    for row in rows:
        assert row["body"] is not None
        assert row["topic"] == topic


def test_a_topic_of_the_history_that_accepts_nothing_delays_no_delivery_and_gets_the_attempts_later(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("quiet", partitions=2)
    endpoint = {"url": receiver.url("/shop")}
    bridge = bridges(quick_config(kafka, topic, {"shop": endpoint}, "quiet")).start()
    set_topic(kafka, "quiet.attempts", message_timestamp_before_max_ms=0)  # all are too old, by milliseconds
    produce(kafka.bootstrap, topic, outbox_events(300, entities=30, seed=12))
    receiver.wait_for("/shop", accepted=300)
    wait_settled(kafka, "quiet.shop", topic)
    assert cursors(kafka, "quiet.shop", topic)
    assert bridge.is_ready()
    wait_until(lambda: logged(bridge, "history.failed"), "the failure is logged")
    set_topic(kafka, "quiet.attempts", message_timestamp_before_max_ms=10**12)
    wait_until(lambda: len(history(bridge)) == 300, "all attempts arrive later", 90)
    assert len({row["webhook_id"] for row in history(bridge)}) == 300
    assert bridge.metric("hookferry_history_attempts_total", outcome="dropped") == 0
    assert bridge.terminate() == 0
    assert logged(bridge, "history.recovered")


def test_the_command_finds_attempts_by_what_an_operator_knows_and_shows_one_as_it_was(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("asked", partitions=2)
    receiver.control("/shop", status=503, fail_first=2, entities=["e0"], body="busy now")
    endpoints = {
        "shop": {"url": receiver.url("/shop"), "retry": SOON},
        "other": {"url": receiver.url("/other"), "headers": {"X-Key": "S3CR3T-VALUE"}},
    }
    bridge = bridges(quick_config(kafka, topic, endpoints, "asked")).start()
    assert kafka.topic_config("asked.attempts")["retention.ms"] == "604800000"
    produce(kafka.bootstrap, topic, outbox_events(40, entities=4, seed=13))
    for name in endpoints:
        wait_settled(kafka, f"asked.{name}", topic)
    refused = found(bridge, "--status", "5xx")
    assert {(row["endpoint"], row["entity"], row["verdict"]) for row in refused} == {("shop", "e0", "again")}
    assert all(row["next_attempt_at"] > row["sent_at"] for row in refused)
    one = found(bridge, "--event", refused[0]["webhook_id"], "--endpoint", "shop")
    assert [row["attempt"] for row in one] == list(range(1, len(one) + 1))
    assert one[-1]["verdict"] == "delivered"
    assert len(found(bridge, "--limit", "1000")) == 80 + len(refused)
    assert len(found(bridge, "--limit", "3")) == 3
    assert found(bridge, "--entity", "e1", "--until", "7d") == []
    assert found(bridge, "--text", "BUSY NOW", "--since", "1h", "--verdict", "again") == refused
    assert found(bridge, "--text", "never answered", "--since", "1h") == []

    shown = answer_of(bridge, "history", "show", refused[0]["id"])
    (sent, *_) = [
        request for request in receiver.records("/shop") if request["webhook_id"] == refused[0]["webhook_id"]
    ]
    assert sent["body"] in shown
    assert "status 503" in shown
    assert "busy now" in shown
    assert f"webhook-id: {sent['webhook_id']}" in shown
    page = answer_of(bridge, "history", "--endpoint=other", "--bodies", "--limit", "2")
    assert "X-Key: ***" in page
    assert "S3CR3T" not in page
    table = answer_of(bridge, "history", "--verdict=again")
    assert "WHY" in table
    assert "status 503: busy now" in table
    assert "no attempt 0:99999:0" in answer_of(bridge, "history", "show", "0:99999:0", exits=1)
    assert bridge.terminate() == 0
