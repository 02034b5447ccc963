"""The demo's Kafka: librdkafka's mock cluster, which listens on a real port of this process.

It keeps everything in memory and supports no admin requests; it creates a topic, with four partitions, on
first use. It is for demonstration only, not for tests of guarantees. Every call blocks, usually for a few
milliseconds, so callers run it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition

from bridge.demo.samples import Sample
from bridge.errors import HookferryError

_WAIT_S = 5.0
_SILENT: dict[str, Any] = {"log_level": 2}  # else the mock cluster prints a warning about itself


class Parked(NamedTuple):
    """One record of the dead-letter topic, in words for an operator."""

    place: str
    endpoint: str | None
    cause: str
    remedy: str


class Broker:
    """A broker that runs as long as this object exists; clients connect to ``address``."""

    def __init__(self, topics: Iterable[str]) -> None:
        """Start the broker and create the topics. Raises ``HookferryError`` if it does not start."""
        self._producer = Producer({"test.mock.num.brokers": 1, "linger.ms": 0, **_SILENT})
        self.partitions: list[TopicPartition] = []
        for topic in topics:
            metadata = self._producer.list_topics(topic, timeout=_WAIT_S)
            if not metadata.topics[topic].partitions:
                raise HookferryError(f"the embedded broker has no topic {topic!r}; run the demo again")
            self.partitions += [TopicPartition(topic, number) for number in metadata.topics[topic].partitions]
            (self.address,) = (f"{broker.host}:{broker.port}" for broker in metadata.brokers.values())

    def publish(self, sample: Sample) -> None:
        """Publish, and return after the acknowledgement. Raises ``HookferryError``."""
        publish(self._producer, sample.topic, sample.key, sample.value, sample.headers)

    def ends(self) -> dict[tuple[str, int], int]:
        """Return the next offset of each partition that is not empty."""
        with self._consumer("demo-look") as consumer:
            ends = {
                (partition.topic, partition.partition): consumer.get_watermark_offsets(
                    partition, timeout=_WAIT_S
                )[1]
                for partition in self.partitions
            }
        return {place: end for place, end in ends.items() if end}

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Return the committed offsets of a group."""
        with self._consumer(group) as consumer:
            rows = consumer.committed(list(self.partitions), timeout=_WAIT_S)
        return {(row.topic, row.partition): row.offset for row in rows if row.offset >= 0}

    def parked(self, topic: str) -> list[Parked]:
        """Read all records of a dead-letter topic."""
        places = [partition for partition in self.partitions if partition.topic == topic]
        with self._consumer("demo-look") as consumer:
            left = sum(consumer.get_watermark_offsets(partition, timeout=_WAIT_S)[1] for partition in places)
            consumer.assign(
                [
                    TopicPartition(partition.topic, partition.partition, OFFSET_BEGINNING)
                    for partition in places
                ]
            )
            letters = []
            while left and (message := consumer.poll(_WAIT_S)) is not None:
                if message.error() is None:
                    letters.append(_parked(message))
                    left -= 1
        return sorted(letters)

    @contextmanager
    def _consumer(self, group: str) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": group,
                "enable.auto.commit": False,
                **_SILENT,
            }
        )
        try:
            yield consumer
        except KafkaException as exc:
            raise HookferryError(f"the embedded broker did not answer: {exc}; run the demo again") from exc
        finally:
            consumer.close()


def publish(
    producer: Producer, topic: str, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]] = ()
) -> None:
    """Publish one record and wait until it is acknowledged; raises ``HookferryError``."""
    failures: list[str] = []

    def reported(error: object, _: Message) -> None:
        if error is not None:
            failures.append(str(error))

    producer.produce(topic, value=value, key=key, headers=list(headers), on_delivery=reported)
    if producer.flush(_WAIT_S):
        failures.append(f"no acknowledgement within {_WAIT_S:g} s")
    if failures:
        raise HookferryError(f"publishing to topic {topic!r} failed: {failures[0]}; does the demo still run?")


def _parked(message: Message) -> Parked:
    headers = dict(message.headers() or ())
    facts = {name: raw.decode() for name, raw in headers.items() if isinstance(raw, bytes)}
    place = f"{facts['hookferry-topic']}-{facts['hookferry-partition']}@{facts['hookferry-offset']}"
    return Parked(place, facts.get("hookferry-endpoint"), facts["hookferry-cause"], facts["hookferry-remedy"])
