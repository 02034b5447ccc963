"""Permanent failures are parked before the offset moves; temporary ones are retried in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import (
    SOON,
    cursors,
    history,
    logged,
    quick_config,
    wait_settled,
    wait_until,
)

Bridges = Callable[..., BridgeProcess]


def order(entity: str, seq: int, pad: str = "") -> Raw:
    event = {"id": f"{entity}-{seq}", "type": "OrderPlaced", "entity": entity,
             "payload": {"entity": entity, "seq": seq, "pad": pad}}  # fmt: skip
    return Raw(orjson.dumps(event), entity.encode(), (("trace", b"\x00\xff"),))


def accepted(receiver: Receiver, path: str = "/shop") -> list[tuple[str, int]]:
    """Return entity and number of each accepted event, in the order of arrival."""
    return [
        (request["entity"], request["seq"]) for request in receiver.records(path) if request["status"] == 200
    ]


def set_max_message_bytes(kafka: RealKafka, topic: str, max_bytes: int) -> None:
    """Set ``max.message.bytes`` of a topic."""
    entry = ConfigEntry("max.message.bytes", str(max_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = kafka.admin()  # its futures live as long as it does
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(10)


def too_small(kafka: RealKafka, topic: str) -> Iterator[None]:
    """Make the dead-letter topic refuse every record until the generator is resumed."""
    kafka.create_topic(topic, 1, max_message_bytes=300)
    yield
    set_max_message_bytes(kafka, topic, 1_000_000)


def deleted(kafka: RealKafka, topic: str) -> Iterator[None]:
    """Create the dead-letter topic, which the test deletes; recreate it when the generator is resumed."""
    kafka.create_topic(topic, 1)
    yield
    kafka.create_topic(topic, 1)


@pytest.mark.parametrize("outage", [too_small, deleted])
def test_the_offset_waits_until_the_dead_letter_topic_has_the_event(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, outage: Callable[..., Iterator[None]]
) -> None:
    """Other entities continue, later events of the same entity wait, and the failure is logged once."""
    group = f"held-{outage.__name__}"
    topic = kafka.fresh_topic(group, partitions=1)
    steps = outage(kafka, f"{group}.parked")
    next(steps)
    receiver.control("/shop", status=400, body="no such order", fail_first=1, entities=["bad"])
    endpoint = {"url": receiver.url("/shop"), "retry": SOON}
    bridge = bridges(quick_config(kafka, topic, {"shop": endpoint}, group)).start()
    if outage is deleted:
        admin = kafka.admin()
        for done in admin.delete_topics([f"{group}.parked"]).values():
            done.result(10)
    bad = order("bad", 0, "x" * 400)
    publish(kafka, topic, [order("a", 0), bad, order("bad", 1), *(order("a", n) for n in range(1, 30))])

    receiver.wait_for("/shop", accepted=30)
    if outage is too_small:  # for a missing topic, the producer reports no error for 40 s
        (failed,) = wait_until(lambda: logged(bridge, "parking.failed"), "the failure is logged")
        assert f"{group}.parked" in failed["cause"]
        assert "--add-config max.message.bytes=" in failed["remedy"]
    assert ("bad", 1) not in accepted(receiver)

    def only_bad_is_open() -> bool:
        cursor = cursors(kafka, f"{group}.shop", topic).get(0)
        return cursor is not None and {1, 2} == {offset for offset in range(32) if not cursor.settled(offset)}

    wait_until(only_bad_is_open, "all other events are in the completion map")
    (cursor,) = cursors(kafka, f"{group}.shop", topic).values()
    assert cursor.offset == 1, "the offset moved before its event was parked"

    next(steps, None)
    receiver.wait_for("/shop", accepted=31)
    (parked,) = read_parked(kafka, group, 1)
    assert (parked.value, parked.key, parked.headers) == (bad.value, bad.key, bad.headers)
    assert parked.facts["cause"] == "status 400: no such order"
    assert parked.facts["endpoint"] == "shop"
    assert parked.facts["event-id"] == "bad-0"
    assert (parked.facts["topic"], parked.facts["offset"]) == (topic, "1")
    wait_settled(kafka, f"{group}.shop", topic)
    failures = len(logged(bridge, "parking.failed"))
    assert failures <= 1
    wait_until(lambda: len(logged(bridge, "parking.recovered")) == failures, "the recovery is logged")


def test_an_event_that_waits_to_be_parked_survives_a_kill(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("parked-later", partitions=1)
    kafka.create_topic("parked-later.parked", 1, max_message_bytes=300)
    receiver.control("/shop", status=422)
    publish(kafka, topic, [order("a", 0, "x" * 400)])
    endpoint = {"url": receiver.url("/shop"), "retry": SOON, "timeout_s": 1}
    bridge = bridges(quick_config(kafka, topic, {"shop": endpoint}, "parked-later", drain_timeout_s=1))
    bridge.start()
    wait_until(lambda: logged(bridge, "parking.failed"), "the failure is logged")
    assert bridge.terminate() == 0, "a failing dead-letter topic blocked the shutdown"
    bridge.start()
    wait_until(lambda: len(logged(bridge, "parking.failed")) == 2, "the second process tries as well")
    bridge.kill()
    set_max_message_bytes(kafka, "parked-later.parked", 1_000_000)
    bridge.start()
    (parked,) = read_parked(kafka, "parked-later", 1)
    assert parked.value == order("a", 0, "x" * 400).value
    assert "status 422" in parked.facts["cause"]
    wait_settled(kafka, "parked-later.shop", topic)
    assert receiver.count("/shop")["requests"] == 1, "an event that was refused for good was sent again"


def test_retries_keep_the_order_of_an_entity_and_let_others_pass(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The first event of an entity gets 503 three times; all four attempts have rows with one webhook-id."""
    topic = kafka.fresh_topic("retried", partitions=1)
    receiver.control("/shop", status=503, fail_first=3, entities=["slow"], body="later")
    slow = [order("slow", seq) for seq in range(3)]
    others = [order(f"e{n % 7}", n // 7) for n in range(70)]
    publish(kafka, topic, [*slow, *others])
    endpoint = {"url": receiver.url("/shop"), "retry": {"base_s": 1, "cap_s": 1}}
    bridge = bridges(quick_config(kafka, topic, {"shop": endpoint}, "retried")).start()
    receiver.wait_for("/shop", accepted=73)
    wait_settled(kafka, "retried.shop", topic)

    report = receiver.report("/shop")
    assert (report["inversions"], report["overlaps"], report["repeats"]) == (0, 0, 0)
    assert report["retries"] == 3
    order_seen = accepted(receiver)
    assert [event for event in order_seen if event[0] == "slow"] == [("slow", seq) for seq in range(3)]
    assert order_seen.index(("slow", 0)) > 20, "the others waited for a retry"
    delivered = {"endpoint": "shop", "verdict": "delivered"}
    wait_until(
        lambda: bridge.metric("hookferry_attempts_total", **delivered) == 73, "73 deliveries are counted"
    )
    assert bridge.metric("hookferry_attempts_total", endpoint="shop", verdict="again") == 3
    assert bridge.metric("hookferry_retries_succeeded_total", endpoint="shop") == 1
    assert bridge.metric("hookferry_parked_total") == 0

    wait_until(
        lambda: len(history(bridge)) == 76, "the history has each attempt"
    )  # which are written in batches
    rows = [row for row in history(bridge) if row["event_id"] == "slow-0"]
    assert [(row["attempt"], row["verdict"], row["status"]) for row in rows] == [
        (1, "again", 503), (2, "again", 503), (3, "again", 503), (4, "delivered", 200)
    ]  # fmt: skip
    assert len({row["webhook_id"] for row in rows}) == 1
    assert {row["reason"] for row in rows} == {"status 503: later", ""}
    assert [row["later"] is not None and row["later"].at_s > row["answered_s"] for row in rows] == [
        True, True, True, False
    ]  # fmt: skip
    sent = [
        request for request in receiver.records("/shop") if (request["entity"], request["seq"]) == ("slow", 0)
    ]
    assert [row["body"].decode() for row in rows] == [one["body"] for one in sent]
    assert {one["webhook_id"] for one in sent} == {rows[0]["webhook_id"]}


@pytest.mark.parametrize(
    ("behavior", "retry", "cause"),
    [
        ({"status": 500}, {"max_attempts": 3}, "gave up after 3 attempts; the last: status 500"),
        ({"reset": True}, {"max_attempts": 2}, "gave up after 2 attempts; the last: read: "),
        ({"status": 302}, {"max_attempts": 1}, "redirects are not followed"),
    ],
)
def test_an_event_is_parked_after_the_last_attempt(
    kafka: RealKafka,
    receiver: Receiver,
    bridges: Bridges,
    behavior: dict[str, Any],
    retry: dict[str, Any],
    cause: str,
) -> None:
    group = f"gave-up-{retry['max_attempts']}"
    topic = kafka.fresh_topic(group, partitions=1)
    receiver.control("/shop", entities=["bad"], fail_first=1000, **behavior)
    publish(kafka, topic, [order("bad", 0), order("good", 0)])
    endpoint = {"url": receiver.url("/shop"), "retry": SOON | retry}
    bridge = bridges(quick_config(kafka, topic, {"shop": endpoint}, group)).start()
    (parked,) = read_parked(kafka, group, 1)
    assert cause in parked.facts["cause"]
    assert parked.facts["attempts"] == str(retry["max_attempts"])
    wait_settled(kafka, f"{group}.shop", topic)
    assert accepted(receiver) == [("good", 0)]
    assert bridge.metric("hookferry_parked_total", endpoint="shop") == 1
