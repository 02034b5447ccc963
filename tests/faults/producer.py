"""The producing system: publishes in the background, in order per entity, with imperfect data.

It adds duplicates at short and long distances, undecodable records, and records without a key. It uses
librdkafka with idempotence, and retries without limit. Each entity keeps its partition when partitions are
added: otherwise its order would end there.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

TYPES = ("OrderPlaced", "OrderPaid", "OrderShipped", "OrderClosed")
PER_PARTITION = 40
"""Entities of a partition that was added."""
FAR = 5_000
"""Maximum distance, in events, of the far half of the duplicates; the near half is within 20."""


def event_value(chance: random.Random, number: int, entity: str, seq: int) -> bytes:
    """Return the value of an event: ``number`` chooses its type, and ``seq`` is its place in the entity."""
    return orjson.dumps(
        {
            "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "type": TYPES[number % len(TYPES)],
            "createdAt": datetime.now(UTC).isoformat(),
            "entity": entity,
            "payload": {"entity": entity, "seq": seq, "pad": "x" * 200},
        }
    )


def id_of(value: bytes) -> str:
    """Return the id of an event."""
    id_: str = orjson.loads(value)["id"]
    return id_


class Publisher:
    """Publishes ``count`` events evenly over ``seconds``, from its own thread."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        count: int,
        seconds: float,
        seed: int,
        entities: int,
        duplicates: float,
        partitions: int,
    ) -> None:
        self._topic = topic
        self._count = count
        self._rate_per_s = count / seconds
        self._chance = random.Random(seed)
        self._home = [entity % partitions for entity in range(entities)]
        """The partition of each entity."""
        self._added: list[int] = []
        self._duplicates = duplicates
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": 1_000_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.sent = 0
        self.published = 0
        self.acknowledged = 0
        self.refused: list[KafkaError] = []

    def start(self) -> None:
        """Start publishing."""
        self._thread.start()

    def stop(self) -> None:
        """Stop publishing early."""
        self._stop.set()
        self._thread.join(30)

    def use_partition(self, number: int) -> None:
        """Write to a partition that was added, with entities of its own, from the next event on."""
        self._added.append(number)

    def wait(self, timeout_s: float) -> bool:
        """Return True if everything was published and acknowledged in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self.acknowledged == self.published

    @property
    def running(self) -> bool:
        """Return True while there are events to publish."""
        return self._thread.is_alive()

    def _settled(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.refused.append(error)

    def _publish(self, key: bytes | None, value: bytes, partition: int) -> None:
        while not self._stop.is_set():
            try:
                self._producer.produce(self._topic, value, key, partition, on_delivery=self._settled)
            except BufferError:
                self._producer.poll(0.1)
                continue
            self.published += 1
            return

    def _run(self) -> None:
        chance, home = self._chance, self._home
        last_seq = [-1] * len(home)
        again: dict[int, list[tuple[bytes, bytes, int]]] = {}
        recent: deque[int] = deque(maxlen=10)
        began = time.monotonic()
        while self.sent < self._count and not self._stop.is_set():
            if self._added:
                home += [self._known_partition(self._added.pop(0))] * PER_PARTITION
                last_seq += [-1] * PER_PARTITION
                recent.extend(range(len(home) - 10, len(home)))  # so that its first events come at once
            due = min(self._count, int((time.monotonic() - began) * self._rate_per_s) + 1)
            while self.sent < due:
                number = self.sent
                self.sent += 1
                dice = chance.random()
                if dice < 0.002:
                    entity, key, seq, partition = f"n{number}", None, 0, chance.choice(home)
                else:
                    # a third of the events closely follow another of their entity: lanes have queues
                    which = chance.choice(recent) if recent and chance.random() < 0.33 else None
                    which = chance.randrange(len(home)) if which is None else which
                    recent.append(which)
                    last_seq[which] += 1
                    entity, seq, partition = f"e{which}", last_seq[which], home[which]
                    key = entity.encode()
                value = event_value(chance, number, entity, seq)
                self._publish(key, value, partition)
                if key is not None and chance.random() < self._duplicates:
                    distance = chance.randint(1, 20 if chance.random() < 0.5 else FAR)
                    again.setdefault(number + distance, []).append((key, value, partition))
                for old in again.pop(number, ()):
                    self._publish(*old)
                if dice > 0.9995:
                    self._publish(key, b"\xff\xfe no JSON at all", partition)
            self._producer.poll(0)
            time.sleep(0.002)
        for late in again.values():
            for old in late:
                self._publish(*old)
        while self._producer.flush(0.5) and not self._stop.is_set():
            pass

    def _known_partition(self, number: int) -> int:
        """Return the partition as soon as the producer has its metadata: it refuses unknown numbers."""
        while not self._stop.is_set():
            with suppress(KafkaException):
                if (
                    number
                    in self._producer.list_topics(self._topic, timeout=5).topics[self._topic].partitions
                ):
                    break
            time.sleep(0.02)
        return number
