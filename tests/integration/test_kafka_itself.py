"""Properties of Apache Kafka that the guarantees depend on, tested on Kafka itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.commit import OffsetCommitRequest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.kafka import SASL_PASSWORD, SASL_USER, GroupRow, RealKafka
from tests.support.produce import ProduceFailed, outbox_events, produce

OFFSET_METADATA_TOO_LARGE = 12
COORDINATOR_NOT_READY = (14, 15, 16)  # loading, not available, not (yet) this one


@pytest.fixture
def own_broker(kafka: RealKafka) -> Any:  # requests `kafka` for its skip and its marker
    with RealKafka() as broker:
        yield broker


def read_all(bootstrap: str, topic: str, count: int) -> list[Any]:
    """Return ``count`` messages from the beginning, in the order of their partitions."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reads-all", "enable.auto.commit": False, "log_level": 0}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        messages: list[Any] = []
        while len(messages) < count:
            batch = consumer.consume(count - len(messages), timeout=15)
            assert batch, f"only {len(messages)} of {count} messages arrived"
            messages += batch
        return messages
    finally:
        consumer.close()


async def commit(broker: RealKafka, group: str, topic: str, offset: int, metadata: str) -> int:
    """Commit for a group without members, as cursors are committed; return Kafka's error code.

    A new broker creates its offsets topic on the first request, and is not a coordinator before that.
    """
    client = AIOKafkaClient(bootstrap_servers=broker.bootstrap)
    await client.bootstrap()
    partitions = [(topic, [(0, offset, metadata)])]
    request = OffsetCommitRequest(group, -1, "", OffsetCommitRequest.DEFAULT_RETENTION_TIME, partitions)
    try:
        async with asyncio.timeout(15):
            while True:
                try:
                    coordinator = await client.coordinator_lookup(0, group)
                    response = await client.send(coordinator, request)
                    code = int(response.topics[0][1][0][1])
                except GroupCoordinatorNotAvailableError:
                    code = 15
                if code not in COORDINATOR_NOT_READY:
                    return code
                await asyncio.sleep(0.05)
    finally:
        await client.close()


def test_writing_to_a_missing_topic_does_not_create_it(kafka: RealKafka) -> None:
    """``auto.create.topics.enable`` is off, so tests of a missing topic are meaningful."""
    with pytest.raises((ProduceFailed, KafkaException)):
        produce(kafka.bootstrap, "never.made", outbox_events(1))
    assert "never.made" not in kafka.admin().list_topics(timeout=10).topics


def test_records_of_one_entity_keep_their_order_in_one_partition(kafka: RealKafka) -> None:
    """The producer of the tests writes all events, each entity in one partition, in order."""
    topic = kafka.fresh_topic(partitions=4)
    events = list(outbox_events(500, entities=20, seed=7, duplicates=0.1))
    assert produce(kafka.bootstrap, topic, events) == len(events) > 500
    messages = read_all(kafka.bootstrap, topic, len(events))
    assert len({message.partition() for message in messages}) == 4
    for entity in {event.key for event in events}:
        of_entity = [m for m in messages if m.key() == entity]
        assert len({m.partition() for m in of_entity}) == 1
        assert [m.value() for m in of_entity] == [e.value for e in events if e.key == entity]


async def test_a_group_without_members_keeps_offset_and_metadata(kafka: RealKafka) -> None:
    """A cursor is an ordinary offset: Kafka's own tool shows it, and the metadata is returned."""
    topic = kafka.fresh_topic(partitions=1)
    produce(kafka.bootstrap, topic, outbox_events(10))
    assert await commit(kafka, "bridge.crm", topic, 4, "completion map") == 0
    assert kafka.consumer_groups("bridge.crm") == {(topic, 0): (4, "completion map")}
    assert kafka.describe_group("bridge.crm") == {(topic, 0): GroupRow(committed=4, end=10, lag=6)}


async def test_metadata_of_4096_bytes_is_accepted_and_one_more_is_refused(kafka: RealKafka) -> None:
    """This is the limit of the completion map. The refused commit leaves the old one unchanged."""
    topic = kafka.fresh_topic(partitions=1)
    assert await commit(kafka, "bridge.bound", topic, 1, "m" * 4096) == 0
    assert await commit(kafka, "bridge.bound", topic, 2, "m" * 4097) == OFFSET_METADATA_TOO_LARGE
    assert kafka.consumer_groups("bridge.bound") == {(topic, 0): (1, "m" * 4096)}


async def test_a_killed_broker_still_has_its_records_and_cursors_after_a_restart(
    own_broker: RealKafka,
) -> None:
    """Acknowledged data survives SIGKILL of the broker, on the same address."""
    broker = own_broker
    topic = broker.create_topic("kept", 1)
    events = list(outbox_events(200))
    produce(broker.bootstrap, topic, events)
    assert await commit(broker, "bridge.kept", topic, 150, "map") == 0
    broker.kill()
    with pytest.raises(KafkaException):
        broker.admin().list_topics(timeout=1)
    broker.start()
    assert [m.value() for m in read_all(broker.bootstrap, topic, 200)] == [e.value for e in events]
    assert broker.consumer_groups("bridge.kept") == {(topic, 0): (150, "map")}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_sasl_listener_accepts_only_the_right_password(sasl_kafka: RealKafka, mechanism: str) -> None:
    """A listener that accepts every client would prove nothing about the product's login."""
    refusals: list[KafkaError] = []

    def login(password: str) -> AdminClient:
        return AdminClient(
            {
                "bootstrap.servers": sasl_kafka.sasl_bootstrap,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": mechanism,
                "sasl.username": SASL_USER,
                "sasl.password": password,
                "error_cb": refusals.append,
                "log_level": 0,
            }
        )

    assert len(login(SASL_PASSWORD).list_topics(timeout=10).brokers) == 1
    assert not refusals
    stranger = login("wrong")
    with pytest.raises(KafkaException):
        stranger.list_topics(timeout=2)
    stranger.poll(1)
    assert KafkaError._AUTHENTICATION in {error.code() for error in refusals}


def test_a_group_without_commits_is_empty(kafka: RealKafka) -> None:
    """A missing commit differs from offset 0."""
    assert kafka.consumer_groups("bridge.none") == {}
    assert kafka.describe_group("bridge.none") == {}
