"""A second topic that appears after the bridges have started, and is deleted and created again by faults.

Each time it exists is a *life* of the topic. Deleting a topic deletes its undelivered records, so only
the last life must have been delivered whole.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bridge.formats import webhook_id
from tests.faults.facts import Requests, entity_name, id_hash, key_of
from tests.faults.ledger import Ledger
from tests.faults.names import FIRST_OF_SIDE, SOURCE
from tests.faults.producer import event_value, id_of
from tests.support.kafka import KafkaFailed, RealKafka

NAME = "side"
PATH = "/side"
ENTITIES = 50
"""Entities of each life of the topic."""
PARTITIONS = 2
PER_SECOND = 40
GONE_TIMEOUT_S = 20.0


@dataclass(slots=True)
class Published:
    """What the broker has acknowledged in one life: the hash of each event's id, by event."""

    ids: dict[int, int] = field(default_factory=dict)


class SideTopic:
    """Publishes to the topic from its own thread while it exists."""

    def __init__(self, kafka: RealKafka, ledger: Ledger, seed: int) -> None:
        self.lives: list[Published] = []
        self._kafka = kafka
        self._ledger = ledger
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._exists = threading.Lock()
        """Held while the topic is deleted and created again."""
        self._thread = threading.Thread(target=self._run, name="side topic", daemon=True)

    def appear(self) -> None:
        """Create the topic and begin to publish."""
        self._create()
        self._thread.start()

    def stop(self) -> None:
        """Stop publishing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def recreate(self) -> None:
        """Delete the topic, and create it again as soon as the broker has forgotten the name."""
        with self._exists:
            admin = self._kafka.admin()
            admin.delete_topics([NAME])[NAME].result(15)
            self._ledger.note(f"topic {NAME} deleted")
            deadline = time.monotonic() + GONE_TIMEOUT_S
            while NAME in admin.list_topics(timeout=10).topics:
                if time.monotonic() > deadline:
                    raise KafkaFailed(f"topic {NAME} is still there after its deletion")
                time.sleep(0.05)
            self._create()

    def _create(self) -> None:
        self._kafka.create_topic(NAME, PARTITIONS)
        self.lives.append(Published())
        self._ledger.note(f"topic {NAME} created, life {len(self.lives)}")

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._exists:
                self._publish_for(1.0)
            time.sleep(0.01)

    def _publish_for(self, seconds: float) -> None:
        """Publish with a producer of its own: one from an earlier life might write to its id."""
        life, first = self.lives[-1], FIRST_OF_SIDE + ENTITIES * (len(self.lives) - 1)
        sent = Counter(key >> 32 for key in life.ids)
        producer = Producer(
            {"bootstrap.servers": self._kafka.bootstrap, "enable.idempotence": True, "linger.ms": 1,
             "message.timeout.ms": 0, "reconnect.backoff.max.ms": 500, "log_level": 0}
        )  # fmt: skip
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stop.is_set():
            entity = first + self._chance.randrange(ENTITIES)
            self._publish(producer, life, entity, sent[entity])
            sent[entity] += 1
            time.sleep(1 / PER_SECOND)
        while producer.flush(0.5):  # a killed broker comes back
            pass

    def _publish(self, producer: Producer, life: Published, entity: int, seq: int) -> None:
        name = f"e{entity}"
        value = event_value(self._chance, seq, name, seq)

        def acknowledged(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                raise KafkaException(error)
            life.ids[key_of(entity, seq)] = id_hash(webhook_id(SOURCE, NAME, None, id_of(value)).encode())

        producer.produce(NAME, value, name.encode(), entity % PARTITIONS, on_delivery=acknowledged)
        producer.poll(0)


@dataclass(frozen=True, slots=True)
class SideCount:
    """What was published and accepted in each life, and what must not be."""

    published: list[int]
    accepted: list[int]
    problems: list[str]


def count_side(lives: Collection[Published], requests: Requests, path: int) -> SideCount:
    """Compare the requests of the endpoint with what was published."""
    known: Mapping[int, int] = {key: id_ for life in lives for key, id_ in life.ids.items()}
    accepted: set[int] = set()
    highest: dict[int, int] = {}
    problems = []
    for row in sorted(range(len(requests)), key=lambda row: requests.ended_ns[row]):
        if requests.path[row] != path:
            continue
        entity, seq = requests.entity[row], requests.seq[row]
        key = key_of(entity, seq)
        named = f"{entity_name(entity)}/{seq}"
        if known.get(key) != requests.id_hash[row]:
            problems.append(f"side: a request about an unknown event, or with another id: {named}")
        elif 200 <= requests.status[row] < 300 and key not in accepted:
            accepted.add(key)
            if seq < highest.get(entity, -1):
                problems.append(f"side: {named} was accepted after a later one")
            highest[entity] = max(seq, highest.get(entity, -1))
    last = list(lives)[-1]
    lost = sorted(last.ids.keys() - accepted)
    if lost:
        problems.append(f"side: {len(lost)} of {len(last.ids)} events of the last life were not delivered")
    return SideCount(
        [len(life.ids) for life in lives], [len(life.ids.keys() & accepted) for life in lives], problems
    )
