"""The contents of the log and of the dead-letter topic, read with a library the product does not use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, TopicPartition

from bridge.formats import webhook_id
from tests.faults.facts import UNKEYED, entity_number, id_hash, key_of
from tests.faults.names import FIRST_POISONED, SOURCE
from tests.faults.producer import TYPES
from tests.support.kafka import RealKafka


def place_of(partition: int, offset: int) -> int:
    """Return one number for a place in the log."""
    return partition << 40 | offset


@dataclass(slots=True)
class Truth:
    """The log: first place, type and id of each event, and the undecodable records."""

    places: dict[int, int] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)
    poison: set[int] = field(default_factory=set)
    records: int = 0
    duplicates: int = 0
    disordered: int = 0
    """Events that the producer published out of order: any is a defect of the harness."""


@dataclass(slots=True)
class Parked:
    """The dead-letter topic: places by endpoint (None: undecodable), and how many are there twice."""

    places: dict[str | None, set[int]] = field(default_factory=dict)
    twice: int = 0
    """Includes events that were redriven and parked again."""
    redriven: int = 0
    causes: dict[tuple[str | None, int], str] = field(default_factory=dict)


def read_truth(kafka: RealKafka, topic: str) -> Truth:
    """Read the whole topic."""
    truth = Truth()
    last_seq: dict[int, int] = {}
    for message in read_all(kafka, topic):
        truth.records += 1
        place = place_of(message.partition(), message.offset())
        try:
            document = orjson.loads(message.value())
        except orjson.JSONDecodeError:
            truth.poison.add(place)
            continue
        entity, seq = entity_number(document["entity"]), document["payload"]["seq"]
        if FIRST_POISONED <= entity < UNKEYED:
            truth.poison.add(place)
            continue
        key = key_of(entity, seq)
        if key in truth.places:
            truth.duplicates += 1
            continue
        truth.disordered += seq != last_seq.get(entity, -1) + 1
        last_seq[entity] = seq
        truth.places[key] = place
        truth.types[key] = TYPES[TYPES.index(document["type"])]
        truth.ids[key] = id_hash(webhook_id(SOURCE, topic, None, document["id"]).encode())
    return truth


def read_parked(kafka: RealKafka, topic: str) -> Parked:
    """Read the dead-letter topic; keep the causes of the first thousand."""
    parked = Parked()
    for message in read_all(kafka, topic):
        facts = {name: value.decode("utf-8", "replace") for name, value in message.headers() or []}
        if "hookferry-settles" in facts:  # not a letter, but the marker of a redrive
            parked.redriven += facts.get("hookferry-settled-as") == "redriven"
            continue
        place = place_of(int(facts["hookferry-partition"]), int(facts["hookferry-offset"]))
        endpoint = facts.get("hookferry-endpoint")
        known = parked.places.setdefault(endpoint, set())
        parked.twice += place in known
        known.add(place)
        if len(parked.causes) < 1000:
            parked.causes[endpoint, place] = facts.get("hookferry-cause", "")
    return parked


def read_all(kafka: RealKafka, topic: str) -> Iterator[Any]:
    """Return all messages of a topic that are not aborted, partition by partition in order."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "truth", "enable.auto.commit": False,
         "enable.partition.eof": True, "log_level": 0}
    )  # fmt: skip
    try:
        numbers = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        unread = set(numbers)
        consumer.assign([TopicPartition(topic, number, 0) for number in unread])
        heard = time.monotonic()
        while unread:
            batch = consumer.consume(5000, timeout=0.2)  # returns after 5,000 messages or after the timeout
            if batch:
                heard = time.monotonic()
            elif time.monotonic() - heard > 30:
                raise TimeoutError(
                    f"{topic}: no more messages, but partitions {unread} are not read to their end"
                )
            for message in batch:
                if (error := message.error()) is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # the last records may be markers or aborted
                    unread.discard(message.partition())
                else:
                    raise RuntimeError(f"{topic}: {error}")
    finally:
        consumer.close()
