"""A lane held by a parked event stays held over SIGKILL and between two bridges, until it is redriven."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import hookferry, listed, parked
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish
from tests.support.receiver import Receiver
from tests.support.watch import SOON, ask, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


def order(entity: str, seq: int, partition: int = 0) -> Raw:
    event = {"id": f"{entity}-{seq}", "type": "OrderPlaced", "entity": entity,
             "payload": {"entity": entity, "seq": seq}}  # fmt: skip
    return Raw(orjson.dumps(event), entity.encode(), (), partition)


def setup(
    kafka: RealKafka, receiver: Receiver, group: str, on_park: str = "hold", **endpoint: Any
) -> tuple[str, dict[str, Any]]:
    topic = kafka.fresh_topic(group, partitions=2)
    shop = {"url": receiver.url("/shop"), "retry": SOON, "start": "earliest", "on_park": on_park, **endpoint}
    return topic, quick_config(kafka, topic, {"shop": shop}, group)


def accepted(receiver: Receiver, entity: str) -> list[int]:
    """Return the numbers of an entity's accepted events, in the order of arrival."""
    return [
        request["seq"]
        for request in receiver.records("/shop")
        if request["entity"] == entity and 200 <= request["status"] < 300
    ]


def holds(bridge: BridgeProcess) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = orjson.loads(parked(bridge, "list", "--holds", "--json"))
    return rows


def held_lanes(*pair: BridgeProcess) -> int:
    return sum(int(bridge.metric("hookferry_held_lanes")) for bridge in pair)


def test_events_after_a_parked_event_wait_over_kills_and_between_pods_and_arrive_in_order(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The bridge with the held lane is killed; the other one keeps holding it, and later releases it."""
    topic, config = setup(kafka, receiver, "held")
    receiver.control("/shop", status=422, body="no such order", entities=["bad"])
    pair = [bridges(config).start(), bridges(config).start()]
    wait_until(
        lambda: [bridge.metric("hookferry_assigned_partitions") for bridge in pair] == [1, 1], "shared", 40
    )
    publish(kafka, topic, [order("good", 0), order("bad", 0), order("bad", 1), order("other", 0, 1)])
    wait_until(lambda: held_lanes(*pair) == 1, "the lane is held", 40)
    wait_until(lambda: len(listed(pair[0])) == 2, "both events are parked")
    (keeper,) = (bridge for bridge in pair if int(bridge.metric("hookferry_held_lanes")))
    (second,) = (bridge for bridge in pair if bridge is not keeper)
    (line,) = wait_until(lambda: logged(keeper, "lane.held"), "the hold is logged")
    assert (line["endpoint"], line["entity"], line["place"]) == ("shop", "bad", f"{topic}-0@1")
    assert "held lanes: shop 1" in ask(keeper, "/readyz")[1]

    keeper.kill()
    publish(kafka, topic, [order("bad", 2), order("good", 1), order("bad", 3)])
    wait_until(lambda: len(listed(second)) == 4, "the other bridge parks the later events", 60)
    wait_until(lambda: accepted(receiver, "good")[-1:] == [1], "and continues with other entities")
    assert accepted(receiver, "bad") == []
    assert logged(second, "lane.held") == [], "a lane that was held before is logged once"
    (hold,) = holds(second)
    assert (hold["endpoint"], hold["entity"], hold["waits_for"], hold["behind"]) == (
        "shop", "bad", f"{topic}-0@1", 3
    )  # fmt: skip
    assert {letter["held_behind"] for letter in listed(second)} == {None, f"{topic}-0@1"}
    table = parked(second, "list")
    assert "HELD FOR" in table
    assert f"held behind {topic}-0@1" in table

    done = hookferry(second, "parked", "redrive", "--entity", "bad", "--yes")
    assert done.returncode == 1, "the receiver still refuses it"
    assert "still held: shop, entity bad" in done.stderr
    assert "status 422" in done.stderr
    (again,) = holds(second)
    assert (again["waits_for"], again["behind"]) == (f"{topic}-0@1", 3)

    keeper.start()
    wait_until(lambda: held_lanes(*pair) == 1, "exactly one bridge has the lane", 40)
    receiver.control("/shop")
    publish(kafka, topic, [order("bad", 4)])
    planned = parked(second, "redrive", "--reason", "status 422", "--dry-run")
    assert "held lanes: 1, with" in planned
    done = hookferry(second, "parked", "redrive", "--reason", "status 422", "--yes")
    assert "released: 1 held lane" in done.stdout, done.stdout + done.stderr
    publish(kafka, topic, [order("bad", 5)])
    wait_until(lambda: accepted(receiver, "bad")[-1:] == [5], "the lane is free")
    assert accepted(receiver, "bad") == [0, 1, 2, 3, 4, 5]
    assert receiver.report("/shop")["overlaps"] == 0
    wait_settled(kafka, "held.shop", topic)
    wait_settled(kafka, "held.shop", "held.again")
    wait_until(lambda: (listed(second), holds(second), held_lanes(*pair)) == ([], [], 0), "nothing is held")
    wait_until(
        lambda: sum(len(logged(bridge, "lane.released")) for bridge in pair) == 1, "one release is logged"
    )


def test_events_that_wait_for_a_discarded_event_are_sent(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, config = setup(kafka, receiver, "aside")
    receiver.control("/shop", status=422, fail_first=1)
    publish(kafka, topic, [order("a", 0), order("a", 1), order("a", 2)])
    bridge = bridges(config).start()
    wait_until(lambda: len(listed(bridge)) == 3, "three are parked", 40)
    (cause,) = (letter for letter in listed(bridge) if letter["held_behind"] is None)
    waiting = [letter for letter in listed(bridge) if letter["held_behind"]]
    output = parked(bridge, "discard", waiting[0]["address"], "--reason", "not this one", "--yes")
    assert "sent" not in output, "the lane waits for another event"
    assert len(holds(bridge)) == 1
    done = parked(bridge, "discard", cause["address"], "--reason", "a test", "--yes")
    assert "1 sent again" in done
    assert "released: 1 held lane" in done
    wait_until(lambda: accepted(receiver, "a") == [2], "the waiting event is sent")
    wait_until(lambda: (listed(bridge), holds(bridge)) == ([], []), "nothing is held")


def test_an_endpoint_switched_to_continue_lifts_its_holds_and_logs_it(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Its parked events remain, and can be redriven as before."""
    topic, config = setup(kafka, receiver, "nomore")
    receiver.control("/shop", status=422, fail_first=2)
    publish(kafka, topic, [order("a", 0), order("a", 1), order("b", 0, 1)])
    bridge = bridges(config).start()
    wait_until(lambda: len(listed(bridge)) == 3, "three are parked", 40)
    wait_until(lambda: len(holds(bridge)) == 2, "two lanes are held")
    assert bridge.terminate() == 0
    config["endpoints"]["shop"]["on_park"] = "continue"
    other = bridges(config).start()
    (line,) = wait_until(lambda: logged(other, "holds.lifted"), "it is logged")
    assert (line["endpoint"], line["lanes"]) == ("shop", 2)
    publish(kafka, topic, [order("a", 2)])
    wait_until(lambda: accepted(receiver, "a") == [2], "later events are sent")
    wait_until(lambda: holds(other) == [], "no lane is held")
    assert "3 written to" in parked(other, "redrive", "--wait", "0", "--endpoint", "shop", "--yes")
    wait_until(lambda: accepted(receiver, "a") == [2, 0, 1], "the parked events are sent too")


def test_the_dead_letter_topic_is_created_without_retention_and_a_retention_is_logged(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """A retention would delete events that lanes wait for.

    Pruning also lifts the holds of removed endpoints.
    """
    topic, config = setup(kafka, receiver, "keeps")
    kafka.create_topic("forgets.parked", partitions=2, retention_ms=3_600_000)
    bridge = bridges(config).start()
    wait_until(lambda: ask(bridge, "/readyz")[0] == 200, "ready", 40)
    assert kafka.topic_config("keeps.parked")["retention.ms"] == "-1"
    assert logged(bridge, "topic.forgets") == []

    receiver.control("/shop", status=422)
    publish(kafka, topic, [order("a", 0)])
    wait_until(lambda: len(holds(bridge)) == 1, "the lane is held")
    assert bridge.terminate() == 0
    receiver.control("/shop")
    without = config | {"endpoints": {"till": config["endpoints"]["shop"]}}
    other = bridges(without).start()
    assert hookferry(other, "cursors", "prune", "--yes").returncode == 0
    assert holds(other) == []

    forgetful = bridges(config | {"group": "forgets"}).start()
    (line,) = wait_until(lambda: logged(forgetful, "topic.forgets"), "it is logged", 40)
    assert "retention.ms is 3600000" in line["cause"]
