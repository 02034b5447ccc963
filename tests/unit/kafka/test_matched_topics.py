"""What the bridge reports of the topics that patterns match, and what it prepares for them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.topic_selection import TopicSelection
from bridge.errors import BrokerError
from bridge.kafka.matched_topics import MatchedTopics
from bridge.kafka.topics import TopicAdmin
from tests.support.fake_producer import broker_error

Log = list[dict[str, Any]]


class Cluster:
    """Topics and their partition counts. The group reads what the selection takes of them."""

    def __init__(self, sources: dict[str, list[str]], **topics: int) -> None:
        self.counts = {"g.again": 1, "g.parked": 1, "__consumer_offsets": 50} | topics
        self.refuses: BrokerError | None = None
        self.down = False
        self.selection = TopicSelection(sources)
        self.matched = MatchedTopics(
            lambda: FakeAdmin(self), self.selection, "g.again", lambda: [*self.read(), "g.again"]
        )

    def read(self) -> frozenset[str]:
        return self.selection.select(self.counts)

    async def look(self) -> Log:
        with capture_logs() as lines:
            await self.matched.look()
        return [dict(line) for line in lines]


class FakeAdmin(TopicAdmin):
    """An admin client of a ``Cluster``."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def start(self) -> None:
        if self.cluster.down:
            raise broker_error()

    async def close(self, timeout_s: float = 1) -> None: ...

    async def names(self) -> frozenset[str]:
        return frozenset(self.cluster.counts)

    async def partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        return {topic: self.cluster.counts[topic] for topic in topics if topic in self.cluster.counts}

    async def grow(self, topic: str, partitions: int) -> bool:
        if self.cluster.refuses is not None:
            raise self.cluster.refuses
        self.cluster.counts[topic] = partitions
        return True


async def test_a_new_topic_is_reported_once_with_its_source_and_the_topic_of_redrives_grows() -> None:
    cluster = Cluster({"bank": ["bank.*"], "shop": ["shop"]}, **{"bank.a": 2, "shop": 1})
    (grew, matched) = await cluster.look()
    assert (grew["event"], cluster.counts["g.again"]) == ("topic.grew", 2)
    assert (matched["event"], matched["topics"]) == ("topics.matched", {"bank.a": "bank", "shop": "shop"})
    assert await cluster.look() == []
    cluster.counts["bank.b"] = 1
    (matched,) = await cluster.look()
    assert matched["topics"] == {"bank.b": "bank"}


async def test_a_topic_that_vanished_is_reported_once_and_again_when_it_is_back() -> None:
    cluster = Cluster({"bank": ["bank.*"]}, **{"bank.a": 1, "bank.b": 1})
    await cluster.look()
    del cluster.counts["bank.b"]
    (gone,) = await cluster.look()
    assert (gone["event"], gone["log_level"], gone["topics"]) == ("topics.vanished", "warning", ["bank.b"])
    assert await cluster.look() == []
    cluster.counts["bank.b"] = 1
    assert [line["event"] for line in await cluster.look()] == ["topics.matched"]


async def test_a_pattern_without_a_topic_is_information_and_reported_once() -> None:
    cluster = Cluster({"bank": ["bank.*"], "shop": ["shop"]}, shop=1)
    awaited, _ = await cluster.look()
    assert (awaited["event"], awaited["log_level"]) == ("topics.awaited", "info")
    assert awaited["patterns"] == ["bank.*"]
    assert await cluster.look() == []


async def test_a_topic_of_two_sources_is_read_by_the_first_and_reported() -> None:
    cluster = Cluster({"loans": ["*.loan"], "bank": ["bank.*"]}, **{"bank.loan": 1})
    lines = await cluster.look()
    (line,) = [line for line in lines if line["event"] == "topic.ambiguous"]
    assert (line["topic"], line["source"], line["also_matched_by"]) == ("bank.loan", "loans", ["bank"])
    assert await cluster.look() == []


async def test_a_topic_named_as_hookferrys_are_is_left_out_and_reported_unless_it_is_ours() -> None:
    cluster = Cluster({"all": ["*"]}, **{"shop": 1, "other.parked": 1})
    lines = await cluster.look()
    (line,) = [line for line in lines if line["event"] == "topics.left_out"]
    assert (line["log_level"], line["topics"]) == ("info", ["other.parked"])
    assert cluster.read() == {"shop"}
    assert TopicSelection({"all": ["*", "other.parked"]}).source_of("other.parked") == "all"


async def test_a_redrive_topic_that_cannot_grow_is_an_error_with_the_command_and_stops_nothing() -> None:
    cluster = Cluster({"bank": ["bank.*"]}, **{"bank.a": 4})
    cluster.refuses = broker_error()
    error, matched = await cluster.look()
    assert (error["event"], error["log_level"]) == ("topic.too_small", "error")
    assert "--partitions 4" in error["cause"]
    assert matched["event"] == "topics.matched"


async def test_a_broker_that_does_not_answer_is_asked_again() -> None:
    cluster = Cluster({"bank": ["bank.*"]}, **{"bank.a": 4})
    cluster.down = True
    (line,) = await cluster.look()
    assert (line["event"], line["log_level"]) == ("kafka.unreachable", "warning")
    assert await cluster.look() == []
    cluster.down = False
    assert [line["event"] for line in await cluster.look()] == ["topic.grew", "topics.matched"]


@pytest.mark.parametrize("topics", [["bank.a"], ["bank.*"]])
async def test_only_sources_with_patterns_are_followed(topics: list[str]) -> None:
    cluster = Cluster({"bank": topics})
    if cluster.selection.patterns:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cluster.matched.run(), 0.01)
    else:
        await cluster.matched.run()
