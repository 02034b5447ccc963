"""Redriven events arrive in order among live ones, over crashes, rebalances and removed endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka.admin import NewPartitions

from bridge.dead_letters import store as redriving
from bridge.dead_letters.letter import LetterFilter
from bridge.dead_letters.resend_request import resend_requests
from bridge.dead_letters.store import DeadLetterStore
from bridge.kafka.client import KafkaOptions
from tests.support.bridge_process import BridgeProcess
from tests.support.command import hookferry, listed, parked
from tests.support.kafka import RealKafka
from tests.support.parked_orders import TOKEN, arrivals, order, topic_and_config, wait_parked
from tests.support.raw_records import publish
from tests.support.receiver import Receiver
from tests.support.watch import logged, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


def test_four_hundred_refused_events_are_redriven_in_order_among_live_events(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The receiver refuses events, is fixed, and gets them again while the same entities have new events."""
    topic, config = topic_and_config(kafka, receiver, "fixed", partitions=4, concurrency=40, start="latest")
    bridge = bridges(config).start()
    receiver.control("/shop", status=400, body=f"bad token {TOKEN}")
    refused = [order(f"e{n % 40}", n // 40, n % 40 % 4) for n in range(400)]
    publish(kafka, topic, refused)
    wait_parked(bridge, 400)
    wait_settled(kafka, "fixed.shop", topic)
    assert len(listed(bridge)) == 400

    ids = {
        (request["entity"], request["seq"]): request["webhook_id"] for request in receiver.records("/shop")
    }
    receiver.reset()
    receiver.control("/shop", delay_ms=150)
    live = [order(f"e{n % 40}", 10 + n // 40, n % 40 % 4) for n in range(400)]
    planned = parked(bridge, "redrive", "--endpoint", "shop", "--dry-run")
    assert "send again: 400 for shop" in planned
    publish(kafka, topic, live)
    assert "400 written to" in parked(bridge, "redrive", "--wait", "0", "--endpoint", "shop", answer="y\n")
    publish(kafka, topic, [order(f"e{n % 40}", 20 + n // 40, n % 40 % 4) for n in range(400)])
    receiver.wait_for("/shop", accepted=1200)
    wait_settled(kafka, "fixed.shop", topic)
    wait_settled(kafka, "fixed.shop", "fixed.again")

    report = receiver.report("/shop")
    assert (report["accepted"], report["repeats"], report["retries"], report["overlaps"]) == (1200, 0, 0, 0)
    assert report["most_in_flight"] > 1, "without concurrency, nothing can overlap"
    for entity in {f"e{n}" for n in range(40)}:
        sequence = [seq for seq, _, _ in arrivals(receiver, entity)]
        again = [seq for seq in sequence if seq < 10]
        assert again == list(range(10)), "redriven events of an entity overtook each other"
        assert [seq for seq in sequence if seq >= 10] == list(range(10, 30))
        assert max(sequence.index(seq) for seq in again) < sequence.index(29)
        assert {ids[entity, seq] for seq in again} == {
            webhook_id for seq, _, webhook_id in arrivals(receiver, entity) if seq < 10
        }
    assert listed(bridge) == []
    assert {letter["state"] for letter in listed(bridge, "--all")} == {"redriven"}
    assert kafka.describe_group("fixed.shop")["fixed.again", 0].lag == 0
    wait_settled(kafka, "fixed", "fixed.again")  # the group of the members commits later than the cursor
    assert kafka.describe_group("fixed")["fixed.again", 0].lag == 0


def test_two_redrives_send_an_event_twice_but_a_redrive_repeated_after_a_crash_sends_it_once(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redrive that died before its markers is run again: the bridge drops the duplicate by its id."""
    topic, config = topic_and_config(kafka, receiver, "twice")
    receiver.control("/shop", status=404, fail_first=2)
    publish(kafka, topic, [order("a", 0), order("b", 0, 1)])
    bridge = bridges(config).start()
    wait_parked(bridge, 2)

    async def dies(*_: object) -> None:
        raise KeyboardInterrupt

    async def redrive() -> None:
        async with DeadLetterStore(
            KafkaOptions((kafka.bootstrap,)), "twice.parked", "twice.again", "twice.control"
        ) as dead:
            await dead.redrive(resend_requests(await dead.find(LetterFilter(entity="a"))), "ann")

    with monkeypatch.context() as patch:
        patch.setattr(redriving.DeadLetterStore, "_mark", dies)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(redrive())
    receiver.wait_for("/shop", accepted=1)
    assert len(listed(bridge)) == 2, "marked as redriven although the redrive died"
    assert "2 delivered" in parked(bridge, "redrive", "--since", "1h", "--yes")
    assert receiver.count("/shop")["accepted"] == 2, "the command says what was delivered, after it was"
    wait_settled(kafka, "twice.shop", "twice.again")
    assert [status for _, status, _ in arrivals(receiver, "a")] == [404, 200]

    (address,) = (letter["address"] for letter in listed(bridge, "--all") if letter["entity"] == "a")
    assert "1 written to" in parked(bridge, "redrive", "--wait", "0", address, "--yes")
    receiver.wait_for("/shop", requests=5)
    wait_settled(kafka, "twice.shop", "twice.again")
    assert [status for _, status, _ in arrivals(receiver, "a")] == [404, 200, 200]
    assert len({webhook_id for _, _, webhook_id in arrivals(receiver, "a")}) == 1


def test_a_letter_of_a_removed_endpoint_is_not_redriven_and_the_endpoint_is_named(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Covers an endpoint removed everywhere, and one removed only from the bridge: no event is lost."""
    topic, config = topic_and_config(kafka, receiver, "gone")
    receiver.control("/shop", status=400)
    publish(kafka, topic, [order("a", 0)])
    bridge = bridges(config).start()
    wait_parked(bridge, 1)
    bridge.terminate()
    without = config | {"endpoints": {"other": config["endpoints"]["shop"] | {"start": "latest"}}}
    other = bridges(without).start()
    done = hookferry(other, "parked", "redrive", "--entity", "a", "--yes")
    assert "cannot be sent again: there is no endpoint 'shop'" in done.stderr
    assert "nothing to send again" in done.stdout
    assert "1 written to" in parked(bridge, "redrive", "--wait", "0", "--entity", "a", "--yes")
    (rejected,) = wait_until(lambda: logged(other, "record.rejected"), "the bridge parks it again")
    assert "there is no endpoint 'shop' any more" in rejected["cause"]
    (again,) = wait_until(lambda: listed(other), "it is listed again")
    assert (again["endpoint"], again["from"]["topic"], again["from"]["offset"]) == ("shop", topic, 0)


def test_a_bridge_owns_the_same_partition_numbers_of_the_source_and_the_redrive_topic(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """With two pods, then one: redriven and live events of an entity never overlap."""
    topic, config = topic_and_config(kafka, receiver, "pods", partitions=5, concurrency=32)
    receiver.control("/shop", status=400)
    publish(kafka, topic, [order(f"e{n % 25}", n // 25, n % 25 % 5) for n in range(150)])
    pair = [bridges(config).start(), bridges(config).start()]
    wait_until(
        lambda: sorted(int(bridge.metric("hookferry_assigned_partitions")) for bridge in pair) == [2, 3],
        "shared",
    )
    wait_until(lambda: len(listed(pair[0])) == 150, "all are parked", 40)
    for one in pair:
        (*_, assigned) = logged(one, "source.assigned")
        numbers = {
            name: {
                int(place.rpartition("-")[2]) for place in assigned["next_offsets"] if place.startswith(name)
            }
            for name in (topic, "pods.again")
        }
        assert numbers[topic] == numbers["pods.again"]

    receiver.reset()
    # 24 s of live events at least: the redrive and the rebalance come in the middle, on a slow machine too
    receiver.control("/shop", delay_ms=600)
    publish(kafka, topic, [order(f"e{n % 25}", 6 + n // 25, n % 25 % 5) for n in range(1000)])
    assert "150 written to" in parked(pair[0], "redrive", "--wait", "0", "--endpoint", "shop", "--yes")
    assert receiver.count("/shop")["accepted"] < 900, "no live events were left: nothing could overlap"
    receiver.wait_for("/shop", accepted=400)
    assert receiver.count("/shop")["accepted"] < 1150, "the rebalance came too late to prove anything"
    assert pair[1].terminate() == 0
    receiver.control("/shop", delay_ms=50)
    receiver.wait_for("/shop", accepted=1150)
    report = receiver.report("/shop")
    assert (report["overlaps"], report["repeats"], report["accepted"]) == (0, 0, 1150)
    for entity in {f"e{n}" for n in range(25)}:
        sequence = [seq for seq, _, _ in arrivals(receiver, entity)]
        assert [seq for seq in sequence if seq < 6] == list(range(6))
        assert [seq for seq in sequence if seq >= 6] == list(range(6, 46))


def test_the_redrive_topic_grows_with_the_source_topics(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, config = topic_and_config(kafka, receiver, "grows", partitions=1)
    bridge = bridges(config).start()
    admin = kafka.admin()  # its futures live as long as it does
    (done,) = admin.create_partitions([NewPartitions(topic, 3)]).values()
    done.result(10)
    receiver.control("/shop", status=400, fail_first=1)
    publish(kafka, topic, [order("a", 0, 2)])
    assert bridge.terminate() == 0
    bridge.start()
    wait_parked(bridge, 1)
    assert len(logged(bridge, "topic.grew")) == 1
    assert "1 written to" in parked(bridge, "redrive", "--wait", "0", "--entity", "a", "--yes")
    receiver.wait_for("/shop", accepted=1)
    wait_settled(kafka, "grows.shop", "grows.again")
