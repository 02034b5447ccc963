"""On real Kafka with real signals: each event arrives, in order, and no commit passes an open event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from standardwebhooks import Webhook

from bridge.core import completion_map
from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import wait_settled

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENTS = 20_000
CONCURRENCY = 64
Bridges = Callable[..., BridgeProcess]


def config(kafka: RealKafka, topic: str, receiver: Receiver, group: str, **top: Any) -> dict[str, Any]:
    endpoint = {"url": receiver.url("/shop"), "secrets": [SECRET], "concurrency": CONCURRENCY}
    bridge_config = plain_config(kafka.bootstrap, topic, {"shop": endpoint}, group=group, **top)
    bridge_config["kafka"] |= {"session_timeout_s": 6, "heartbeat_interval_s": 1}
    return bridge_config


def places(kafka: RealKafka, topic: str, count: int) -> dict[tuple[str, int], int]:
    """Return the first place of each event in the log: (entity, seq) -> partition * 2**40 + offset."""
    import orjson

    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "places", "enable.auto.commit": False}
    )
    first_places: dict[tuple[str, int], int] = {}
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
        seen = 0
        while seen < count:
            batch = consumer.consume(1000, timeout=15)
            assert batch, f"only {seen} of {count} records came back"
            for message in batch:
                seen += 1
                payload = orjson.loads(message.value())["payload"]
                key = (payload["entity"], payload["seq"])
                first_places.setdefault(key, (message.partition() << 40) + message.offset())
    finally:
        consumer.close()
    return first_places


def settled_places(kafka: RealKafka, group: str) -> Callable[[int], bool]:
    """Return a function that is True for places that the committed cursor lists as settled now."""
    maps = {
        partition: completion_map.decode(offset, metadata)
        for (_, partition), (offset, metadata) in kafka.consumer_groups(group).items()
    }
    return lambda place: place >> 40 in maps and maps[place >> 40].settled(place & (2**40 - 1))


@pytest.fixture
def recorder() -> Iterator[Receiver]:
    """Start a receiver that records every request of the long test, not only the first ones."""
    with Receiver(record_bound=2 * EVENTS) as receiver:
        yield receiver


@pytest.mark.slow
def test_every_event_arrives_in_order_through_two_sigterms_and_a_sigkill(
    kafka: RealKafka, recorder: Receiver, bridges: Bridges
) -> None:
    """20,000 events of 500 entities, 1 % published twice. Only requests in flight at the kill may repeat."""
    topic, group = kafka.fresh_topic("outbox"), "guarantee"
    sent = produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=500, seed=3, duplicates=0.01))
    assert sent > EVENTS
    where = places(kafka, topic, sent)
    recorder.control("/shop", delay_ms=20)
    bridge = bridges(config(kafka, topic, recorder, group), forked=False)  # as users start it

    for share in (0.25, 0.5):
        bridge.start()
        recorder.wait_for("/shop", accepted=int(EVENTS * share))
        assert bridge.terminate() == 0
    assert recorder.report("/shop")["repeats"] == 0, "a drained bridge repeats nothing"

    bridge.start()
    recorder.wait_for("/shop", accepted=int(EVENTS * 0.75))
    bridge.kill()
    settled = settled_places(kafka, f"{group}.shop")
    accepted = {
        (request["entity"], request["seq"])
        for request in recorder.records("/shop")
        if request["status"] == 200
    }
    may_repeat = {key for key in accepted if not settled(where[key])}

    bridge.start()
    recorder.wait_for("/shop", accepted=EVENTS)
    assert bridge.terminate() == 0

    report = recorder.report("/shop")
    assert report["accepted"] == report["distinct"] == EVENTS, "an event is missing, or has two webhook-ids"
    assert report["inversions"] == 0
    assert report["overlaps"] == 0
    repeated = {(request["entity"], request["seq"]) for request in _repeated(recorder.records("/shop"))}
    assert len(repeated) == report["repeats"]
    assert repeated <= may_repeat, "repeated although its completion was committed before the kill"
    assert len(repeated) <= CONCURRENCY, "repeated although it was not in flight at the kill"
    print(f"repeats after SIGKILL: {report['repeats']}, delivered since the last commit: {len(may_repeat)}")

    cursors = kafka.describe_group(f"{group}.shop")
    assert sum(row.committed for row in cursors.values()) == sent
    assert all(row.lag == 0 for row in cursors.values())


def _repeated(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the requests about an event that had been answered with 200 before."""
    seen: set[tuple[str, int]] = set()
    again = []
    for one in records:
        key = (one["entity"], one["seq"])
        if key in seen:
            again.append(one)
        if one["status"] == 200:
            seen.add(key)
    return again


def test_an_independent_verifier_accepts_the_signature(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("signed")
    produce(kafka.bootstrap, topic, outbox_events(5, entities=2, seed=4))
    bridges(config(kafka, topic, receiver, "signed")).start()
    receiver.wait_for("/shop", accepted=5)
    for one in receiver.records("/shop"):
        headers = {name: value for name, value in one["headers"].items() if name.startswith("webhook-")}
        Webhook(SECRET).verify(one["body"], headers)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(SECRET).verify(one["body"].replace(one["entity"], "e3"), headers)


def test_a_drained_bridge_recognizes_duplicates_after_it_lost_its_disk(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The duplicates arrive after a restart on an empty disk: the window is read again from the log."""
    topic = kafka.fresh_topic("rebuilt")
    events = list(outbox_events(50, entities=5, seed=5))
    produce(kafka.bootstrap, topic, events)
    first = bridges(config(kafka, topic, receiver, "rebuilt")).start()
    receiver.wait_for("/shop", accepted=50)
    assert first.terminate() == 0
    produce(kafka.bootstrap, topic, [*events, *outbox_events(1, entities=1, seed=6, first_seq=1000)])
    second = bridges(config(kafka, topic, receiver, "rebuilt"))
    assert second.folder != first.folder
    second.start()
    receiver.wait_for("/shop", accepted=51)
    wait_settled(kafka, "rebuilt.shop", topic)
    report = receiver.report("/shop")
    assert (report["accepted"], report["repeats"]) == (51, 0)
    assert second.metric("hookferry_records_total", outcome="duplicate") == 50
