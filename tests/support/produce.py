"""Generate outbox events as plain JSON from a seed, and publish them to Kafka quickly.

Uses confluent-kafka, so that the records are not written by the library that the product reads with.
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
DUPLICATE_DISTANCE = 20  # maximum distance of a duplicate, in events
FLUSH_TIMEOUT_S = 60
_UNPACKED = 8 * 1024 * 1024
_FIELDS = b'{"sku":"s123456","quantity":%d,"price":12.25,"text":"abcdefghij"}'
_MANY_FIELDS = (
    b'{"id":"%032x","type":"OrderPaid","entity":"e%d","createdAt":"2026-01-01T00:00:00Z",'
    b'"payload":{"entity":"e%d","seq":%d,"produced_ns":%d,"lines":[%b]}}'
)


class ProduceFailed(Exception):
    """The broker did not acknowledge every record."""


class OutboxEvent(NamedTuple):
    """One record to publish, and the fields that a receiver should get."""

    key: bytes
    value: bytes
    id: str
    entity: str
    seq: int


def events_of_many_fields(count: int, value_bytes: int, entities: int = 200) -> Iterator[OutboxEvent]:
    """Yield events that take five times their bytes when they are decoded, without an encoder."""
    fields = b",".join(_FIELDS % number for number in range(value_bytes // len(_FIELDS)))
    for number in range(count):
        entity, seq = number % entities, number // entities
        value = _MANY_FIELDS % (number, entity, entity, seq, time.time_ns(), fields)
        yield OutboxEvent(b"e%d" % entity, value, f"{number:032x}", f"e{entity}", seq)


def outbox_events(
    count: int,
    *,
    entities: int = 1_000,
    seed: int = 1,
    duplicates: float = 0.0,
    value_bytes: int = VALUE_BYTES,
    first_seq: int = 0,
) -> Iterator[OutboxEvent]:
    """Yield ``count`` distinct events about ``entities`` entities, in publishing order.

    ``payload.seq`` counts per entity from ``first_seq``. The ids and the order depend only on ``seed``;
    ``createdAt`` and ``payload.produced_ns`` are the time when the event is generated. A fraction
    ``duplicates`` of the events is repeated a little later, byte for byte.
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
        if not pad:  # measure the missing bytes on the first event
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
    """A producer that keeps the first error of a record."""

    def __init__(self, bootstrap: str, codec: str = "none") -> None:
        self.failed: KafkaError | None = None
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,  # otherwise a resend could change the order
                "partitioner": "murmur2_random",  # the partition that Java's producer selects
                "linger.ms": 5,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 200_000,
                "topic.metadata.propagation.max.ms": 2_000,  # how long to wait for a missing topic
                "log_level": 0,
                "compression.codec": codec,
                # compressed batches that are large when they are unpacked
                **({} if codec == "none" else {"message.max.bytes": _UNPACKED, "batch.size": _UNPACKED}),
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


def produce(bootstrap: str, topic: str, events: Iterable[OutboxEvent], codec: str = "none") -> int:
    """Publish all events; return their number once all are acknowledged. Raises ``ProduceFailed``."""
    sender = _Sender(bootstrap, codec)
    sent = 0
    for event in events:
        sender.send(topic, event)
        sent += 1
        if not sent % 500:
            sender.producer.poll(0)
    sender.finish()
    return sent


def produce_paced(bootstrap: str, topic: str, events: Iterable[OutboxEvent], rate_per_s: float) -> int:
    """Publish events at a steady rate: each one is generated, with its timestamp, when it is due.

    A late producer sends all due events immediately, so that the average rate stays the same.
    """
    sender = _Sender(bootstrap)
    source = iter(events)
    for first in islice(source, 1):  # the first record waits for the connections, which is not latency
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
