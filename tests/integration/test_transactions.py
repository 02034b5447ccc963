"""Cursors of a topic with a transactional producer: they reach the end, and wait at an open transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_END, TopicPartition

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.transactions import TransactionalProducer
from tests.support.watch import cursors, logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]


def wait_at(kafka: RealKafka, cursor: str, topic: str, offset: int) -> None:
    """Return when the cursor is at this offset of partition 0, with nothing open."""

    def there() -> bool:
        return (completion := cursors(kafka, cursor, topic).get(0)) is not None and (
            completion.offset,
            completion.open_offsets,
        ) == (offset, frozenset())

    wait_until(there, f"{cursor} at {offset}")


def rows_of(bridge: BridgeProcess) -> dict[str, dict[str, Any]]:
    """Return what ``hookferry cursors list`` shows, by endpoint."""
    return {row["endpoint"]: row for row in json.loads(answer_of(bridge, "cursors", "list", "--json"))}


def test_cursors_pass_markers_and_aborted_records_and_stop_at_an_open_transaction(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The narrow endpoint catches up with its own reader; both reach the end, and deletion is no loss."""
    topic = kafka.fresh_topic("transactional", partitions=1)
    endpoints = {
        "wide": {"url": receiver.url("/wide")},
        "narrow": {"url": receiver.url("/narrow"), "window": 2, "concurrency": 1},
    }
    both = [f"pays.{name}" for name in endpoints]
    producer = TransactionalProducer(kafka.bootstrap, "pays")
    bridge = bridges(quick_config(kafka, topic, endpoints, "pays")).start()

    producer.begin(topic, outbox_events(40, entities=8, seed=1))
    producer.end(commit=True)
    producer.begin(topic, outbox_events(2_000, seed=2))
    producer.end(commit=False)
    for cursor in both:
        wait_at(kafka, cursor, topic, 40 + 1 + 2_000 + 1)

    producer.begin(topic, outbox_events(7, seed=3, first_seq=100))
    stable = 2_042
    rows = rows_of(bridge)
    assert [(row["committed"], row["lag"], row["in_transactions"]) for row in rows.values()] == [
        (stable, 0, 7)
    ] * 2
    assert receiver.count("/wide")["accepted"] == 40, "an open transaction is not delivered"
    shown = kafka.describe_group("pays.wide")[topic, 0]
    assert (shown.committed, shown.lag) == (stable, 7), "Kafka's own tool counts the open transaction"
    assert "7 more in open transactions" in answer_of(bridge, "cursors", "list")
    producer.end(commit=True)
    end = stable + 7 + 1
    for cursor in both:
        wait_at(kafka, cursor, topic, end)
    assert all((row["lag"], row["in_transactions"]) == (0, 0) for row in rows_of(bridge).values())
    assert "json" in answer_of(bridge, "inspect", f"--topic={topic}", "-n", "1"), "the last is a marker"
    assert all(row.lag == 0 for cursor in both for row in kafka.describe_group(cursor).values())
    assert all(row.lag == 0 for row in kafka.describe_group("pays").values()), "of the member group"

    admin = kafka.admin()  # its futures end when it is collected
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, OFFSET_END)]).values()
    assert deleted.result(15).low_watermark == end
    assert bridge.terminate() == 0
    bridge.start()
    produce(kafka.bootstrap, topic, outbox_events(3, seed=4, first_seq=200))
    for cursor in both:
        wait_at(kafka, cursor, topic, end + 3)
    for path in ("/wide", "/narrow"):
        report = receiver.report(path)
        assert (report["accepted"], report["inversions"], report["repeats"]) == (50, 0, 0), path
    assert logged(bridge, "records.deleted") == []


def test_an_aborted_transaction_that_came_while_the_bridge_was_down_is_passed_at_the_start(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Nothing else follows it, so no record ever moves the cursor."""
    topic = kafka.fresh_topic("aborted", partitions=1)
    producer = TransactionalProducer(kafka.bootstrap, "aborts")
    config = quick_config(kafka, topic, {"crm": {"url": receiver.url("/crm")}}, "aborted")
    bridge = bridges(config).start()
    wait_at(kafka, "aborted.crm", topic, 0)
    assert bridge.terminate() == 0
    for seed in range(3):
        producer.begin(topic, outbox_events(5, seed=seed))
        producer.end(commit=False)
    bridge.start()
    wait_at(kafka, "aborted.crm", topic, 18)
    assert receiver.count("/crm")["accepted"] == 0
