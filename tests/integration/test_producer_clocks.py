"""With producers whose clocks or ids cannot be trusted, no duplicate passes and no event is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import orjson
from confluent_kafka import Producer

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish
from tests.support.receiver import Receiver
from tests.support.watch import logged, quick_config, wait_settled

Bridges = Callable[..., BridgeProcess]
DAY_MS = 24 * 3_600_000


def publish_at(kafka: RealKafka, topic: str, records: list[tuple[str, int]]) -> None:
    """Publish events by id and timestamp (Unix milliseconds, 0 for now); return once acknowledged."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "log_level": 0})
    for id_, at_ms in records:
        event = {"id": id_, "type": "T", "entity": "e", "payload": {"entity": "e"}, "createdAt": at_ms}
        producer.produce(topic, orjson.dumps(event), b"e", 0, timestamp=at_ms)
    assert producer.flush(60) == 0


def bodies(receiver: Receiver) -> list[tuple[str, str]]:
    """Return webhook-id and timestamp of each request, in order."""
    return [(one["webhook_id"], orjson.loads(one["body"])["timestamp"]) for one in receiver.records("/shop")]


def test_records_far_ahead_of_the_clock_let_no_duplicate_through_not_even_after_a_restart(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The third part begins at a record far ahead: from its timestamp, the log has no window before it."""
    config = {"message.timestamp.after.max.ms": 2**63 - 1}
    topic = kafka.fresh_topic("clocks", partitions=1, **config)
    now_ms = int(time.time() * 1000)
    far = [(f"far-{day}", now_ms + day * DAY_MS) for day in (10, 400, 20_000)]
    publish_at(kafka, topic, [("a", now_ms - 60_000), ("b", 0), *far, ("a", now_ms), ("b", 0)])
    bridge = bridges(quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "clocks")).start()
    receiver.wait_for("/shop", accepted=5)
    wait_settled(kafka, "clocks.shop", topic)
    bridge.kill()
    for file in Path(bridge.config["state_dir"]).glob("dedupe.sqlite*"):
        file.unlink()
    publish_at(kafka, topic, [("far-9", now_ms + 9 * DAY_MS)])
    publish_at(kafka, topic, [("a", 0), ("b", now_ms), *far, ("c", 0)])
    bridge.start()
    receiver.wait_for("/shop", accepted=7)
    wait_settled(kafka, "clocks.shop", topic)
    requests = bodies(receiver)
    assert len(requests) == len({webhook_id for webhook_id, _ in requests}) == 7
    assert all(instant < f"{time.gmtime().tm_year + 1}-02" for _, instant in requests)
    refused = {line["field"] for line in logged(bridge, "event.field_refused")}
    assert refused == {"time", "timestamp"}


def test_one_id_in_three_topics_and_two_types_of_id_are_all_delivered_with_ids_of_their_own(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topics = [kafka.fresh_topic(name, partitions=1) for name in ("loans", "clients", "savings")]
    for topic in topics:
        publish(
            kafka,
            topic,
            [
                Raw(b'{"id": %s, "type": "T", "entity": "e", "payload": {"n": %s}}' % (id_, n))
                for id_, n in ((b"1", b"1"), (b'"1"', b"2"), (b"1", b"1"), (b"1", b"3"))
            ],
        )
    config = quick_config(kafka, topics[0], {"shop": {"url": receiver.url("/shop")}}, "ids")
    config["sources"]["orders"]["topics"] = topics
    bridge = bridges(config).start()
    receiver.wait_for("/shop", accepted=6)
    for topic in topics:
        wait_settled(kafka, "ids.shop", topic)
    assert len({webhook_id for webhook_id, _ in bodies(receiver)}) == 6
    assert receiver.count("/shop")["requests"] == 6
    (line,) = logged(bridge, "event.duplicate_differed")
    assert line["first_place"].endswith("-0@0")
    counted = bridge.metrics()["hookferry_duplicates_differing_total", frozenset({("source", "orders")})]
    assert counted == 3
