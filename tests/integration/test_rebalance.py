"""Several bridges in one group: each partition has one owner, and a rebalance repeats nothing."""

from __future__ import annotations

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


def assert_in_order_and_once(receiver: Receiver, count: int) -> None:
    report = receiver.report("/shop")
    assert report["accepted"] == report["distinct"] == count
    assert (report["inversions"], report["overlaps"], report["repeats"]) == (0, 0, 0)


def test_a_bridge_that_joins_or_leaves_during_deliveries_causes_no_repeat(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """One bridge, then two, then only the second: requests in flight are drained before partitions move."""
    topic = kafka.fresh_topic("shared", partitions=4)
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=100, seed=11))
    receiver.control("/shop", delay_ms=50)
    bridge_config = config(kafka, topic, receiver, "shared")
    first = bridges(bridge_config).start()
    assert partitions(first) == 4
    receiver.wait_for("/shop", accepted=EVENTS // 10)
    # at least 20 s of work: the rebalance comes in the middle of it, on a slow machine too
    receiver.control("/shop", delay_ms=300)
    second = bridges(bridge_config).start()
    wait_until(lambda: (partitions(first), partitions(second)) == (2, 2), "two partitions each")
    joined = receiver.count("/shop")["accepted"]
    assert joined < EVENTS, "the rebalance came too late to prove anything"
    receiver.wait_for("/shop", accepted=joined + 100)

    assert first.terminate() == 0
    assert receiver.count("/shop")["accepted"] < EVENTS, "the shutdown came too late to prove anything"
    receiver.control("/shop", delay_ms=20)
    wait_until(lambda: partitions(second) == 4, "the other bridge has all partitions")
    receiver.wait_for("/shop", accepted=EVENTS)
    wait_settled(kafka, "shared.shop", topic)
    assert_in_order_and_once(receiver, EVENTS)
    assert len(logged(first, "source.revoked")) == 1
    assert not logged(first, "commit.failed")
    assert not logged(second, "commit.failed")


def test_a_bridge_without_a_partition_waits_and_takes_over(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The owner of the only partition is killed; only uncommitted events and those in flight repeat."""
    topic = kafka.fresh_topic("standby", partitions=1)
    receiver.control("/shop", delay_ms=20)
    bridge_config = config(kafka, topic, receiver, "standby")
    pair = [bridges(bridge_config).start(), bridges(bridge_config).start()]
    wait_until(lambda: sum(map(partitions, pair)) == 1, "one of them has the partition")
    idle, busy = sorted(pair, key=partitions)
    standby = (200, "standing by: all partitions are with other pods\n")
    wait_until(lambda: ask(idle, "/readyz") == standby, "the other one is a standby")
    produce(kafka.bootstrap, topic, outbox_events(400, entities=40, seed=12))
    receiver.wait_for("/shop", accepted=200)
    busy.kill()
    accepted = receiver.count("/shop")["accepted"]
    committed = cursors(kafka, "standby.shop", topic).get(0)
    settled = sum(committed.settled(offset) for offset in range(400)) if committed else 0
    receiver.wait_for("/shop", accepted=400)
    wait_settled(kafka, "standby.shop", topic)
    report = receiver.report("/shop")
    assert report["inversions"] == 0
    # each record is one event: delivered and not committed yet, and what the 16 workers had in flight
    assert report["repeats"] <= accepted - settled + 16


def test_a_killed_static_member_continues_without_a_session_timeout(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The same ``group_instance_id`` returns before its session ends, and reads on immediately."""
    topic = kafka.fresh_topic("static", partitions=4)
    bridge_config = config(kafka, topic, receiver, "static")
    bridge_config["kafka"] |= {"session_timeout_s": 600, "heartbeat_interval_s": 0.5}
    pair = []
    for name in ("pod-0", "pod-1"):
        own = bridge_config | {"kafka": bridge_config["kafka"] | {"group_instance_id": name}}
        pair.append(bridges(own).start())
    wait_until(lambda: list(map(partitions, pair)) == [2, 2], "two partitions each")
    epochs = len(logged(pair[1], "source.assigned"))
    pair[0].kill()
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=13))
    pair[0].start()
    # an end of the session would show below as another assignment
    receiver.wait_for("/shop", accepted=200)
    wait_until(lambda: partitions(pair[0]) == 2, "its two partitions")
    assert len(logged(pair[1], "source.assigned")) == epochs, "the other member was disturbed"
    assert_in_order_and_once(receiver, 200)


def test_a_bridge_that_resumes_after_a_pause_sets_no_cursor_back(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Paused for longer than its session, it resumes with old progress: the fence refuses its commit."""
    topic, group = kafka.fresh_topic("frozen", partitions=1), "frozen"
    produce(kafka.bootstrap, topic, outbox_events(300, entities=60, seed=14))
    receiver.control("/shop", delay_ms=100)
    bridge_config = config(kafka, topic, receiver, group)
    first = bridges(bridge_config).start()
    receiver.wait_for("/shop", accepted=100)
    first.pause()
    second = bridges(bridge_config).start(wait=False)
    receiver.wait_for("/shop", accepted=300)
    wait_settled(kafka, f"{group}.shop", topic)
    end = cursors(kafka, f"{group}.shop", topic)[0].offset

    first.resume()
    offsets = []

    def rejoined() -> bool:
        offsets.append(cursors(kafka, f"{group}.shop", topic)[0].offset)
        return bool(logged(first, "source.revoked")) and sum(map(partitions, (first, second))) == 1

    wait_until(rejoined, "the paused bridge is a member again")
    assert set(offsets) == {end}, "a cursor went back"
    assert receiver.report("/shop")["accepted"] == 300
    assert receiver.report("/shop")["inversions"] == 0
