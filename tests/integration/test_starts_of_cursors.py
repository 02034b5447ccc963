"""Where cursors start in a real cluster, under ``start: latest``: no event of an endpoint is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import orjson
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish
from tests.support.receiver import Receiver
from tests.support.watch import cursors, logged, quick_config, wait_settled, wait_until

pytestmark = pytest.mark.slow
Bridges = Callable[..., BridgeProcess]
NOTICED_S = 60
"""The bridge looks every 10 s; a loaded machine needs longer."""


def orders(names: Iterable[str], partition: int = 0) -> list[Raw]:
    """Return one event for each name, which is its entity, too."""
    return [
        Raw(
            orjson.dumps({"id": name, "type": "OrderPlaced", "entity": name,
                          "payload": {"entity": name, "seq": 0}}),
            name.encode(),
            partition=partition,
        )
        for name in names
    ]  # fmt: skip


def named(prefix: str, count: int) -> list[str]:
    """Return so many names."""
    return [f"{prefix}{number}" for number in range(count)]


def wait_for_all(receiver: Receiver, path: str, names: Iterable[str]) -> None:
    """Return when each of these events was accepted."""
    wanted = set(names)
    wait_until(
        lambda: wanted <= set(receiver.report(path)["entities"]),
        f"{path} has {len(wanted)} events",
        NOTICED_S,
    )


def wait_for_cursor(kafka: RealKafka, group: str, topic: str, partitions: int = 1) -> None:
    """Return when a cursor is committed in so many partitions."""
    wait_until(lambda: len(cursors(kafka, group, topic)) == partitions, f"{group} has begun")


def delete_topic(kafka: RealKafka, topic: str) -> None:
    """Delete a topic, and return when the broker no longer lists it."""
    admin = kafka.admin()
    admin.delete_topics([topic])[topic].result(15)
    wait_until(lambda: topic not in admin.list_topics(timeout=5).topics, "the topic is deleted")


def recreate_topic(kafka: RealKafka, topic: str, names: Iterable[str]) -> None:
    """Delete a topic, create it again with one partition, and publish these events."""
    delete_topic(kafka, topic)

    def created() -> bool:
        try:
            return bool(kafka.create_topic(topic, 1))
        except KafkaException:
            return False

    wait_until(created, "the topic is created again")
    publish(kafka, topic, orders(names))


def test_a_topic_that_appears_after_the_first_start_is_read_from_its_first_record(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """One topic exists; two appear, while the bridge waits and while it is down. No event of them is lost."""
    old, waited, later = kafka.fresh_topic("there", 1), "starts.waited", "starts.later"
    publish(kafka, old, orders(named("old", 5)))
    config = quick_config(kafka, old, {"crm": {"url": receiver.url("/crm"), "start": "latest"}}, "appears")
    config["sources"]["orders"]["topics"] = [old, waited, later]
    bridge = bridges(config).start(wait=False)
    wait_until(lambda: logged(bridge, "topics.missing"), "it waits for the topics")
    publish(kafka, old, orders(named("new", 5)))
    kafka.create_topic(waited, 2)
    publish(kafka, waited, orders(named("waited", 20), 0) + orders(named("other", 20), 1))
    bridge.kill()
    kafka.create_topic(later, 1)
    publish(kafka, later, orders(named("later", 20)))
    bridge.start()
    wanted = [*named("new", 5), *named("waited", 20), *named("other", 20), *named("later", 20)]
    wait_for_all(receiver, "/crm", wanted)
    wait_settled(kafka, "appears.crm", old)
    report = receiver.report("/crm")
    assert set(report["entities"]) == set(wanted), "an event from before the endpoint began was sent"
    assert report["repeats"] == 0
    bridge.kill()


def test_added_partitions_are_read_from_their_first_record(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """While the bridge runs, and while it is down."""
    topic = kafka.fresh_topic("grows", 1)
    endpoints = {"crm": {"url": receiver.url("/crm"), "start": "latest"}}
    bridge = bridges(quick_config(kafka, topic, endpoints, "grows")).start()
    wait_for_cursor(kafka, "grows.crm", topic)

    def grow(partitions: int, names: list[str]) -> None:
        admin = kafka.admin()  # its futures end when it is collected
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(15)
        wait_until(
            lambda: len(admin.list_topics(timeout=5).topics[topic].partitions) == partitions,
            "it grew",
        )
        publish(kafka, topic, orders(names, partitions - 1))

    grow(2, named("running", 50))
    wait_for_all(receiver, "/crm", named("running", 50))
    assert bridge.terminate() == 0
    grow(3, named("down", 50))
    bridge.start()
    wait_for_all(receiver, "/crm", [*named("running", 50), *named("down", 50)])
    assert receiver.report("/crm")["repeats"] == 0
    assert not logged(bridge, "cursor.lost")
    bridge.kill()


@pytest.mark.parametrize("new", [3, 40], ids=["shorter", "longer"])
def test_a_topic_that_was_deleted_and_created_again_is_delivered_from_its_first_record(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, new: int
) -> None:
    """With the bridge down, and while it runs. The new log is shorter or longer than the old one was."""
    topic, group = kafka.fresh_topic("again", 1), f"again{new}"
    endpoints = {"crm": {"url": receiver.url("/crm"), "start": "latest"}}
    bridge = bridges(quick_config(kafka, topic, endpoints, group)).start()
    wait_for_cursor(kafka, f"{group}.crm", topic)
    publish(kafka, topic, orders(named("first", 13)))
    wait_settled(kafka, f"{group}.crm", topic)

    assert bridge.terminate() == 0
    recreate_topic(kafka, topic, named("down", new))
    bridge.start()
    wait_for_all(receiver, "/crm", [*named("first", 13), *named("down", new)])
    (line,) = logged(bridge, "cursor.lost")
    assert "created again" in line["cause"]
    wait_settled(kafka, f"{group}.crm", topic)

    recreate_topic(kafka, topic, named("running", new + 30))
    wait_for_all(receiver, "/crm", named("running", new + 30))
    wait_settled(kafka, f"{group}.crm", topic, NOTICED_S)
    publish(kafka, topic, orders(["afterwards"]))
    wait_for_all(receiver, "/crm", ["afterwards"])
    bridge.kill()


def test_the_policy_decides_after_committed_offsets_were_deleted(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """As by ``offsets.retention.minutes``. Without the policy ``latest``, no event is lost."""
    topic = kafka.fresh_topic("expired", 1)
    policies = ("earliest", "latest", "stop")
    endpoints = {
        name: {"url": receiver.url(f"/{name}"), "start": "latest", "on_lost_offset": name}
        for name in policies
    }
    bridge = bridges(quick_config(kafka, topic, endpoints, "expired")).start()
    for name in policies:
        wait_for_cursor(kafka, f"expired.{name}", topic)
    publish(kafka, topic, orders(named("before", 10)))
    for name in policies:
        wait_settled(kafka, f"expired.{name}", topic)
    assert bridge.terminate() == 0
    groups = [f"expired.{name}" for name in policies]
    admin = kafka.admin()
    for deleting in admin.delete_consumer_groups(groups).values():
        deleting.result(15)
    publish(kafka, topic, orders(named("away", 10)))

    bridge.start()
    wait_until(lambda: len(logged(bridge, "cursor.lost")) == 3, "the three cursors are lost")
    publish(kafka, topic, orders(["after"]))
    wait_for_all(receiver, "/earliest", [*named("before", 10), *named("away", 10), "after"])
    wait_for_all(receiver, "/latest", ["after"])
    assert set(receiver.report("/latest")["entities"]) == {*named("before", 10), "after"}
    assert set(receiver.report("/stop")["entities"]) == set(named("before", 10)), "it is turned off"
    bridge.kill()
    bridge.start()
    assert "on_lost_offset" in answer_of(bridge, "endpoints", "list")
    answer_of(bridge, "endpoints", "on", "stop")
    wait_for_all(receiver, "/stop", [*named("away", 10), "after"])
    assert {line["partition"] for line in logged(bridge, "cursor.lost")} == {f"{topic}-0"}
    bridge.kill()
