"""Topics that were created a moment ago: the member joins its group when its client knows them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer

from bridge.kafka import group_member, topic_setup
from bridge.kafka.aiokafka_patches.new_topics import NewTopics
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.kafka.topic_setup import ensure_partitions, ensure_topic
from tests.support.fake_admin import FakeAdmin
from tests.support.simulated import simulated


class LaggingClient:
    """A client of a broker that learns of more partitions with each request for metadata."""

    def __init__(self, topic: str, *partitions: int) -> None:
        self.topic = topic
        self.answers = list(partitions)
        self.asked_for: list[set[str]] = []
        self.cluster = self

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.answers[0])) or None if topic == self.topic else None

    def set_topics(self, topics: Collection[str]) -> None:
        self.asked_for.append(set(topics))

    async def force_metadata_update(self) -> bool:
        if len(self.answers) > 1:
            del self.answers[0]
        return True


class Consumer(AIOKafkaConsumer):  # type: ignore[misc] # aiokafka has no type information
    """A consumer that can be started and subscribed without a broker."""

    def __init__(self, client: LaggingClient) -> None:
        self._client = client
        self._coordinator = SimpleNamespace(_send_req=None)
        self.known_when_it_joined: list[int] = []

    def __del__(self) -> None: ...

    async def start(self) -> None: ...

    def subscribe(self, topics: object = (), pattern: object = None, listener: object = None) -> None:  # type: ignore[override, unused-ignore] # pyright: ignore[reportIncompatibleMethodOverride]
        self.known_when_it_joined.append(self._client.answers[0])


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch) -> NewTopics:
    """Replace the new topics of the process by none."""
    topics = NewTopics()
    monkeypatch.setattr(topic_setup, "new_topics", topics)
    monkeypatch.setattr(group_member, "new_topics", topics)
    return topics


async def join(client: LaggingClient, monkeypatch: pytest.MonkeyPatch, **membership: re.Pattern[str]) -> int:
    """Let a member join, and return how many partitions its client knew then."""
    for name in ("wait_at_broker", "report_heartbeats"):
        monkeypatch.setattr(group_member, name, lambda *_: None)

    async def nothing() -> None: ...

    member = Reader(
        KafkaOptions(("nowhere:9092",)), Membership("g", ("orders", "g.again"), **membership), nothing
    ).member
    await member.consumer.stop()
    member.consumer = consumer = Consumer(client)
    await member.start()
    (known,) = consumer.known_when_it_joined
    return known


async def test_a_member_joins_when_its_client_knows_every_partition_of_a_new_topic(
    new: NewTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it assigns the group without them, and the group rebalances ten seconds later."""
    admin = FakeAdmin(orders=4)
    await ensure_topic(admin, "g.again", ["orders"], create=True, replication_factor=1, configs={})
    admin.topics["orders"] = 9
    await ensure_partitions(admin, "g.again", ["orders"])
    client = LaggingClient("g.again", 0, 4, 9)
    assert await join(client, monkeypatch) == 9
    assert client.asked_for == [{"orders", "g.again"}] * 2


async def test_a_member_with_a_pattern_waits_for_a_new_topic_too(
    new: NewTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    new.expect("g.again", 2)
    client = LaggingClient("g.again", 0, 2)
    assert await join(client, monkeypatch, pattern=re.compile("orders.*|g[.]again")) == 2
    assert client.asked_for == [set()], "an empty set asks for all topics"


async def test_a_member_joins_at_once_when_none_of_its_topics_is_new(
    new: NewTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    new.expect("g.parked", 9)
    client = LaggingClient("g.again", 0, 9)
    assert await join(client, monkeypatch) == 0
    assert client.asked_for == []


@simulated
async def test_a_topic_that_does_not_appear_delays_the_join_by_ten_seconds_at_most() -> None:
    loop = asyncio.get_running_loop()
    new = NewTopics(clock=loop.time)
    new.expect("g.again", 9)
    began = loop.time()
    await new.seen_by(Consumer(LaggingClient("g.again", 0)), ["g.again"], all_topics=False)
    assert 9 < loop.time() - began < 11


def test_a_topic_that_was_just_created_may_be_unknown_to_a_broker_for_a_moment() -> None:
    now = 0.0
    new = NewTopics(clock=lambda: now)

    def passes(topic: str) -> bool:
        text = "Topic %s not found in cluster metadata"
        return new.filter(logging.LogRecord("aiokafka.cluster", logging.ERROR, "", 1, text, (topic,), None))

    assert passes("g.again")
    new.expect("g.again")
    logger = logging.getLogger("aiokafka.cluster")
    assert new in logger.filters
    logger.removeFilter(new)
    assert not passes("g.again")
    assert passes("orders"), "another topic is missing"
    now = 11.0
    assert passes("g.again"), "it is missing for longer than brokers need"
