"""Lasting names of members: a crash, a stop, a taken name, other topics after a restart, no broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import ask, logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]
LONG_SESSION_S = 120
"""Longer than any wait here: what happens before it ends does not wait for it."""


@pytest.fixture
def own_broker(kafka: RealKafka) -> Iterator[RealKafka]:  # requests `kafka` for its skip and its marker
    """Return a broker for this test alone."""
    with RealKafka() as broker:
        yield broker


def partitions(bridge: BridgeProcess) -> int:
    return int(bridge.metric("hookferry_assigned_partitions")) if ask(bridge, "/healthz")[0] else 0


def config(kafka: RealKafka, topic: str, receiver: Receiver, **kafka_settings: Any) -> dict[str, Any]:
    endpoint = {"url": receiver.url("/shop"), "concurrency": 16}
    made = quick_config(kafka, topic, {"shop": endpoint}, group=f"g.{topic}")
    made["kafka"] |= kafka_settings
    return made


def assigned(bridge: BridgeProcess) -> int:
    """Return how often the bridge was assigned partitions or none."""
    return len(logged(bridge, "source.assigned"))


def share_two(made: dict[str, Any], bridges: Bridges) -> tuple[BridgeProcess, BridgeProcess]:
    """Start two bridges; return them once each has two of the four partitions."""
    first, second = bridges(made).start(), bridges(made).start()
    wait_until(lambda: (partitions(first), partitions(second)) == (2, 2), "two partitions each")
    return first, second


def test_a_killed_member_that_returns_disturbs_no_other(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Without any setting it has its name again, takes its place at once, and nothing is rebalanced."""
    topic = kafka.fresh_topic("back", 4)
    killed, other = share_two(config(kafka, topic, receiver, session_timeout_s=LONG_SESSION_S), bridges)
    epochs = assigned(other)
    killed.kill()
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=1))
    killed.start()
    receiver.wait_for("/shop", accepted=200)
    assert (partitions(killed), partitions(other)) == (2, 2)
    assert assigned(other) == epochs, "the other member was disturbed"


def test_the_partitions_of_a_killed_member_move_when_its_session_ends(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("gone", 4)
    killed, other = share_two(config(kafka, topic, receiver), bridges)
    killed.kill()
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=2))
    receiver.wait_for("/shop", accepted=200)
    assert partitions(other) == 4


def test_a_member_that_stops_in_order_hands_over_at_once(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """It leaves by its name: its partitions do not wait for its session."""
    topic = kafka.fresh_topic("stops", 4)
    first, second = share_two(config(kafka, topic, receiver, session_timeout_s=LONG_SESSION_S), bridges)
    epochs = assigned(second)
    assert first.terminate() == 0
    wait_until(lambda: partitions(second) == 4, "the other one has all partitions")
    wait_until(lambda: assigned(second) == epochs + 1, "one rebalance")
    (line,) = logged(first, "source.left")
    assert line["member"]
    assert not logged(first, "source.not_left")
    produce(kafka.bootstrap, topic, outbox_events(100, entities=40, seed=3))
    receiver.wait_for("/shop", accepted=100)


def test_of_two_members_with_one_name_the_first_gives_up_and_says_so(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """They do not take the name from each other in turns, and the first does not make the second leave."""
    topic = kafka.fresh_topic("twice", 4)
    made = config(kafka, topic, receiver, group_instance_id="pod-1", session_timeout_s=LONG_SESSION_S)
    first = bridges(made).start()
    second = bridges(made).start()
    wait_until(lambda: ask(first, "/readyz")[0] == 503, "the first is not ready")
    words = ask(first, "/readyz")[1]
    assert "another process has joined group" in words
    assert "pod-1" in words
    (line,) = wait_until(lambda: logged(first, "source.fenced"), "it is logged")
    assert {"cause", "remedy", "member", "group"} <= line.keys()
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=4))
    receiver.wait_for("/shop", accepted=200)
    assert first.terminate() == 0
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=5, first_seq=1000))
    receiver.wait_for("/shop", accepted=400)
    assert partitions(second) == 4
    assert ask(second, "/readyz")[0] == 200
    assert assigned(second) == 1, "the two took the name from each other"
    assert len(logged(first, "source.fenced")) == 1
    assert receiver.report("/shop")["inversions"] == 0


def test_a_member_that_returns_with_other_topics_gets_their_partitions(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The coordinator returns its old assignment without a rebalance, so the member requests one."""
    topic, added = kafka.fresh_topic("first", 1), kafka.fresh_topic("second", 2)
    made = config(kafka, topic, receiver, session_timeout_s=LONG_SESSION_S)
    bridge = bridges(made).start()
    bridge.kill()
    bridge.config["sources"]["orders"]["topics"] = [topic, added]
    produce(kafka.bootstrap, added, outbox_events(50, seed=6))
    bridge.start(wait=False)
    receiver.wait_for("/shop", accepted=50)
    wait_until(lambda: partitions(bridge) == 3, "it has the partitions of both topics")

    bridge.kill()
    bridge.config["sources"]["orders"]["topics"] = [added]
    admin = kafka.admin()  # its futures end when it is collected
    admin.create_partitions([NewPartitions(added, 5)])[added].result(15)
    produce(kafka.bootstrap, added, outbox_events(50, seed=7, first_seq=1000))
    bridge.start(wait=False)
    receiver.wait_for("/shop", accepted=100)
    wait_until(lambda: partitions(bridge) == 5, "it has the partitions of the second topic, new ones too")
    assert not logged(bridge, "source.replaced")


def test_without_a_broker_a_process_is_not_ready_until_it_is_back(
    own_broker: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = own_broker.create_topic("away", 1)
    bridge = bridges(config(own_broker, topic, receiver)).start()
    own_broker.kill()
    wait_until(lambda: ask(bridge, "/readyz")[0] == 503, "it is not ready")
    assert (
        "no answer from Kafka: the coordinator of group g.away has accepted no" in ask(bridge, "/readyz")[1]
    )
    assert ask(bridge, "/healthz")[0] == 200
    own_broker.start()
    wait_until(lambda: ask(bridge, "/readyz") == (200, "assigned: 1 partitions\n"), "it is ready again", 60)

    def states() -> list[str]:
        return [line["state"] for line in logged(bridge, "readiness.changed")]

    wait_until(lambda: "no answer" in states() and states()[-1] == "assigned", "both are logged")
    produce(own_broker.bootstrap, topic, outbox_events(10))
    receiver.wait_for("/shop", accepted=10)
