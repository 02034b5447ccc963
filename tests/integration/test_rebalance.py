"""Several bridges in one group: each partition has one of them, and none leaves a trace when it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import ask, cursors, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS = 1500


def partitions(bridge: BridgeProcess) -> int:
    return int(bridge.metric("hookferry_assigned_partitions")) if ask(bridge, "/healthz")[0] else 0


def config(kafka: RealKafka, topic: str, receiver: Receiver, group: str) -> dict[str, Any]:
    endpoint = {"url": receiver.url("/shop"), "concurrency": 16}
    return quick_config(kafka, topic, {"shop": endpoint}, group)


def in_order_and_once(receiver: Receiver, count: int) -> None:
    report = receiver.report("/shop")
    assert report["accepted"] == report["distinct"] == count
    assert (report["inversions"], report["overlaps"], report["repeats"]) == (0, 0, 0)


def test_a_bridge_that_joins_or_leaves_in_mid_delivery_costs_no_repeat(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """One, then two, then the second alone: what is in flight is drained before partitions move."""
    topic = kafka.fresh_topic("shared", partitions=4)
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=100, seed=11))
    receiver.control("/shop", delay_ms=50)
    made = config(kafka, topic, receiver, "shared")
    first = bridges(made).start()
    assert partitions(first) == 4
    receiver.wait_for("/shop", accepted=EVENTS // 10)
    # 20 s of work and more: what is to happen in the middle of it does, on a slow machine too
    receiver.control("/shop", delay_ms=300)
    second = bridges(made).start()
    wait_until(lambda: (partitions(first), partitions(second)) == (2, 2), "two partitions each")
    joined = receiver.count("/shop")["accepted"]
    assert joined < EVENTS, "the rebalance came too late to prove anything"
    receiver.wait_for("/shop", accepted=joined + 100)

    assert first.terminate() == 0
    assert receiver.count("/shop")["accepted"] < EVENTS, "the shutdown came too late to prove anything"
    receiver.control("/shop", delay_ms=20)
    wait_until(lambda: partitions(second) == 4, "the other one has all partitions")
    receiver.wait_for("/shop", accepted=EVENTS)
    wait_settled(kafka, "shared.shop", topic)
    in_order_and_once(receiver, EVENTS)
    assert len(logged(first, "source.revoked")) == 1
    assert not logged(first, "commit.failed")
    assert not logged(second, "commit.failed")


def test_a_bridge_without_a_partition_stands_by_and_takes_over(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """One partition, two bridges; the one that has it is killed, and its repeats are bounded by its lanes."""
    topic = kafka.fresh_topic("standby", partitions=1)
    receiver.control("/shop", delay_ms=20)
    made = config(kafka, topic, receiver, "standby")
    pair = [bridges(made).start(), bridges(made).start()]
    wait_until(lambda: sum(map(partitions, pair)) == 1, "one of them has the partition")
    idle, busy = sorted(pair, key=partitions)
    assert ask(idle, "/readyz") == (200, "standing by: all partitions are with other pods\n")
    produce(kafka.bootstrap, topic, outbox_events(400, entities=40, seed=12))
    receiver.wait_for("/shop", accepted=200)
    busy.kill()
    receiver.wait_for("/shop", accepted=400, timeout_s=40)
    wait_settled(kafka, "standby.shop", topic)
    report = receiver.report("/shop")
    assert report["inversions"] == 0
    # delivered and not committed yet: one beat of 0.2 s, and what the 16 workers had in flight
    assert report["repeats"] <= 0.3 / 0.02 * 16


def test_a_static_member_that_was_killed_goes_on_where_it_was(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The same ``group_instance_id`` comes back before its session is over: nobody waits for a timeout."""
    topic = kafka.fresh_topic("static", partitions=4)
    made = config(kafka, topic, receiver, "static")
    made["kafka"] |= {"session_timeout_s": 25, "heartbeat_interval_s": 0.5}
    pair = []
    for name in ("pod-0", "pod-1"):
        own = made | {"kafka": made["kafka"] | {"group_instance_id": name}}
        pair.append(bridges(own).start())
    wait_until(lambda: list(map(partitions, pair)) == [2, 2], "two partitions each")
    epochs = len(logged(pair[1], "source.assigned"))
    pair[0].kill()
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=13))
    began = time.monotonic()
    pair[0].start()
    receiver.wait_for("/shop", accepted=200, timeout_s=15)
    assert time.monotonic() - began < 15, "it waited for its own dead session"
    assert partitions(pair[0]) == 2
    assert len(logged(pair[1], "source.assigned")) == epochs, "the other member was disturbed"
    in_order_and_once(receiver, 200)


def test_a_bridge_that_stood_still_sets_no_cursor_back(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Frozen beyond its session, it wakes with old progress: the fence refuses it before any cursor moves."""
    topic, group = kafka.fresh_topic("frozen", partitions=1), "frozen"
    produce(kafka.bootstrap, topic, outbox_events(300, entities=60, seed=14))
    receiver.control("/shop", delay_ms=100)
    made = config(kafka, topic, receiver, group)
    first = bridges(made).start()
    receiver.wait_for("/shop", accepted=100)
    first.pause()
    second = bridges(made).start(wait=False)
    receiver.wait_for("/shop", accepted=300, timeout_s=40)
    wait_settled(kafka, f"{group}.shop", topic)
    end = cursors(kafka, f"{group}.shop", topic)[0].offset

    first.resume()
    offsets = []

    def noticed() -> bool:
        offsets.append(cursors(kafka, f"{group}.shop", topic)[0].offset)
        return bool(logged(first, "source.revoked")) and sum(map(partitions, (first, second))) == 1

    wait_until(noticed, "the one that stood still is a member again")
    assert set(offsets) == {end}, "a cursor went back"
    assert receiver.report("/shop")["accepted"] == 300
    assert receiver.report("/shop")["inversions"] == 0
