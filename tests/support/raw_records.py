"""Write raw records to Kafka, and read records and parked records.

Uses confluent-kafka, which is independent of the library that the product uses.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.support.kafka import RealKafka
from tests.support.produce import ProduceFailed

Headers = tuple[tuple[str, bytes | None], ...]
MAX_BYTES = 32 * 1024 * 1024


class Raw(NamedTuple):
    """One record; with ``partition`` -1 the key selects the partition."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int = 0


class Parked(NamedTuple):
    """One record of a dead-letter topic: its original headers, and the added ones without their prefix."""

    value: bytes | None
    key: bytes | None
    headers: Headers
    facts: dict[str, str]


def publish(kafka: RealKafka, topic: str, records: Iterable[Raw], codec: str = "none") -> None:
    """Publish in order; return when the broker has acknowledged all. Raises ``ProduceFailed``."""
    failed: list[KafkaError] = []

    def settled(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "enable.idempotence": True,
            "message.max.bytes": 2 * MAX_BYTES,
            "compression.type": codec,
            "linger.ms": 5,
            "log_level": 0,
        }
    )
    for one in records:
        producer.produce(
            topic, one.value, one.key, one.partition, on_delivery=settled, headers=list(one.headers)
        )
    missing = producer.flush(30)
    if missing or failed:
        raise ProduceFailed(f"{missing} records unsent; refused: {failed}")


def read_messages(kafka: RealKafka, topic: str, count: int, timeout_s: float = 120) -> list[Any]:
    """Return the first ``count`` messages, each partition in order; raises ``TimeoutError`` for fewer."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "reads-raw",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": MAX_BYTES,
            "log_level": 0,
        }
    )
    deadline = time.monotonic() + timeout_s
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        messages: list[Any] = []
        while len(messages) < count:
            messages += [one for one in consumer.consume(count, timeout=0.2) if not one.error()]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic}: {len(messages)} of {count} records after {timeout_s} s")
    finally:
        consumer.close()
    return sorted(messages, key=lambda one: (one.partition(), one.offset()))


def read_parked(kafka: RealKafka, group: str, count: int) -> list[Parked]:
    """Return the first ``count`` records of the dead-letter topic of a group, sorted by original place."""
    records = []
    for message in read_messages(kafka, f"{group}.parked", count):
        headers = message.headers() or []
        own = tuple((name, value) for name, value in headers if not name.startswith("hookferry-"))
        facts = {
            name.removeprefix("hookferry-"): (value or b"").decode()
            for name, value in headers
            if name.startswith("hookferry-")
        }
        records.append(Parked(message.value(), message.key(), own, facts))
    return sorted(records, key=lambda one: (int(one.facts["partition"]), int(one.facts["offset"])))
