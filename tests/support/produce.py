"""Outbox events as plain JSON, made from a seed, and a fast way to get them into Kafka.

Uses confluent-kafka, so that what the product reads was not written by the library it reads with.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import orjson
from confluent_kafka import KafkaError, Message, Producer

TYPES = ("OrderPlaced", "OrderPaid", "OrderShipped", "OrderClosed")
VALUE_BYTES = 850
DUPLICATE_DISTANCE = 20  # how many events later, at most, the same record comes again
FLUSH_TIMEOUT_S = 60


class ProduceFailed(Exception):
    """The broker did not take every record."""


class OutboxEvent(NamedTuple):
    """One record to be published, and what a receiver should see of it."""

    key: bytes
    value: bytes
    id: str
    entity: str
    seq: int


def outbox_events(
    count: int,
    *,
    entities: int = 1_000,
    seed: int = 1,
    duplicates: float = 0.0,
    value_bytes: int = VALUE_BYTES,
    first_seq: int = 0,
) -> Iterator[OutboxEvent]:
    """``count`` distinct events about ``entities`` entities, in the order they are to be published.

    ``payload.seq`` counts per entity from ``first_seq``. The ids and the order follow from ``seed``
    alone; ``createdAt`` and ``payload.produced_ns`` are the moment the event is taken. A fraction
    ``duplicates`` of the events comes a second time, byte for byte, a little later.
    """
    chance = random.Random(seed)
    last_seq = [first_seq - 1] * entities
    again: dict[int, list[OutboxEvent]] = {}
    pad = ""
    for number in range(count):
        which = chance.randrange(entities)
        last_seq[which] += 1
        entity = f"e{which}"
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        now_ns = time.time_ns()
        value = {
            "id": event_id,
            "type": TYPES[number % len(TYPES)],
            "createdAt": datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(),
            "entity": entity,
            "payload": {"entity": entity, "seq": last_seq[which], "produced_ns": now_ns, "pad": pad},
        }
        if not pad:  # the first event tells how much is missing
            pad = "x" * max(1, value_bytes - len(orjson.dumps(value)))
            value["payload"]["pad"] = pad  # type: ignore[index]
        event = OutboxEvent(entity.encode(), orjson.dumps(value), event_id, entity, last_seq[which])
        yield event
        if duplicates and chance.random() < duplicates:
            again.setdefault(number + chance.randint(1, DUPLICATE_DISTANCE), []).append(event)
        yield from again.pop(number, ())
    for late in again.values():
        yield from late


class _Sender:
    """A producer that remembers the first record the broker refused."""

    def __init__(self, bootstrap: str) -> None:
        self.failed: KafkaError | None = None
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,  # or a resend could change the order
                "partitioner": "murmur2_random",  # where Java's producer would put the key
                "linger.ms": 5,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 200_000,
                "topic.metadata.propagation.max.ms": 2_000,  # how long a missing topic may yet appear
                "log_level": 0,
            }
        )

    def _settled(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self.failed is None:
            self.failed = error

    def send(self, topic: str, event: OutboxEvent) -> None:
        while True:
            try:
                self.producer.produce(topic, event.value, event.key, on_delivery=self._settled)
            except BufferError:
                self.producer.poll(0.05)
                continue
            return

    def finish(self) -> None:
        missing = self.producer.flush(FLUSH_TIMEOUT_S)
        if missing or self.failed:
            raise ProduceFailed(f"{missing} records unsent; first error: {self.failed}")


def produce(bootstrap: str, topic: str, events: Iterable[OutboxEvent]) -> int:
    """Publish all events and return how many, once the broker has acknowledged every one.

    Raises ``ProduceFailed`` otherwise.
    """
    sender = _Sender(bootstrap)
    sent = 0
    for event in events:
        sender.send(topic, event)
        sent += 1
        if not sent % 500:
            sender.producer.poll(0)
    sender.finish()
    return sent


def produce_paced(bootstrap: str, topic: str, events: Iterable[OutboxEvent], rate_per_s: float) -> int:
    """The same at a steady rate: each event is taken, and so gets its time, when it is due.

    A producer that falls behind sends the late ones at once: the average rate holds.
    """
    sender = _Sender(bootstrap)
    source = iter(events)
    for first in islice(source, 1):  # a producer's first record waits for its connections: that is no latency
        sender.send(topic, first)
        sender.producer.flush(FLUSH_TIMEOUT_S)
    started = time.monotonic()
    sent = 0
    while True:
        due = int((time.monotonic() - started) * rate_per_s) + 1
        while sent < due:
            event = next(source, None)
            if event is None:
                sender.finish()
                return sent + 1
            sender.send(topic, event)
            sent += 1
        sender.producer.poll(0)
        time.sleep(0.001)
