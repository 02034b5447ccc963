"""The producing system: publishes in the background, in order per entity, with imperfect data.

It adds duplicates at short and long distances, undecodable records, and records without a key. It uses
librdkafka with idempotence, and retries without limit. An entity keeps its partition when partitions are
added, because its order would end otherwise; each added partition gets entities of its own.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from zlib import crc32

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

TYPES = ("OrderPlaced", "OrderPaid", "OrderShipped", "OrderClosed")
FAR = 5_000
"""Maximum distance, in events, of the far half of the duplicates; the near half is within 20."""
ENTITIES_ADDED = 30
"""Entities of each added partition."""
ANY_PARTITION = -1


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
        added: Callable[[], int],
    ) -> None:
        """``partitions``: of the topic at the start; ``added`` returns how many were added since."""
        self._partitions = partitions
        self._added = added
        self._topic = topic
        self._count = count
        self._rate_per_s = count / seconds
        self._chance = random.Random(seed)
        self._entities = entities
        self._duplicates = duplicates
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "message.timeout.ms": 0,
                "topic.metadata.refresh.interval.ms": 500,
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

    def _publish(self, key: bytes | None, value: bytes) -> None:
        partition = ANY_PARTITION if key is None else self._partition_of(key)
        while not self._stop.is_set():
            try:
                self._producer.produce(self._topic, value, key, partition, on_delivery=self._settled)
            except BufferError:
                self._producer.poll(0.1)
                continue
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                    raise
                self._producer.poll(0.1)  # the producer does not have the metadata of a new partition yet
                continue
            self.published += 1
            return

    def _partition_of(self, key: bytes) -> int:
        later = int(key[1:]) - self._entities
        return self._partitions + later // ENTITIES_ADDED if later >= 0 else crc32(key) % self._partitions

    def _run(self) -> None:
        chance = self._chance
        last_seq: defaultdict[int, int] = defaultdict(lambda: -1)
        again: dict[int, list[tuple[bytes, bytes]]] = {}
        recent: deque[int] = deque(maxlen=10)
        began = time.monotonic()
        while self.sent < self._count and not self._stop.is_set():
            due = min(self._count, int((time.monotonic() - began) * self._rate_per_s) + 1)
            while self.sent < due:
                number = self.sent
                self.sent += 1
                dice = chance.random()
                if dice < 0.002:
                    entity, key, seq = f"n{number}", None, 0
                else:
                    # a third of the events closely follow another of their entity: lanes have queues
                    which = chance.choice(recent) if recent and chance.random() < 0.33 else None
                    entities = self._entities + ENTITIES_ADDED * self._added()
                    which = chance.randrange(entities) if which is None else which
                    recent.append(which)
                    last_seq[which] += 1
                    entity, seq = f"e{which}", last_seq[which]
                    key = entity.encode()
                value = self._value(number, entity, seq)
                self._publish(key, value)
                if key is not None and chance.random() < self._duplicates:
                    distance = chance.randint(1, 20 if chance.random() < 0.5 else FAR)
                    again.setdefault(number + distance, []).append((key, value))
                for old_key, old_value in again.pop(number, ()):
                    self._publish(old_key, old_value)
                if dice > 0.9995:
                    self._publish(key, b"\xff\xfe no JSON at all")
            self._producer.poll(0)
            time.sleep(0.002)
        for late in again.values():
            for key, value in late:
                self._publish(key, value)
        while self._producer.flush(0.5) and not self._stop.is_set():
            pass

    def _value(self, number: int, entity: str, seq: int) -> bytes:
        return orjson.dumps(
            {
                "id": str(uuid.UUID(int=self._chance.getrandbits(128), version=4)),
                "type": TYPES[number % len(TYPES)],
                "createdAt": datetime.now(UTC).isoformat(),
                "entity": entity,
                "payload": {"entity": entity, "seq": seq, "pad": "x" * 200},
            }
        )
