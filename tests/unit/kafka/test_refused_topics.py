"""A topic that the login may not read refuses commits, and must not refuse those of other topics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from bridge.errors import CommitError
from bridge.kafka.aiokafka_patches.failing_fetches import FailingPartitions
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.kafka.offsets import OffsetStore
from bridge.model import Committed, Partition
from bridge.telemetry import events

OPEN, DENIED = Partition("open", 0), Partition("denied", 0)


class GuardedConsumer:
    """A member whose login may commit for one topic only. aiokafka raises after the other was accepted."""

    def __init__(self) -> None:
        self._coordinator = SimpleNamespace(generation=1)
        self._fetcher = SimpleNamespace(failing=FailingPartitions())
        self.requested: list[set[str]] = []

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.requested.append({partition.topic for partition in offsets})
        if "denied" in self.requested[-1]:
            raise TopicAuthorizationFailedError({"denied"})


async def never() -> None:
    raise AssertionError("nothing is revoked")


async def reader_over(consumer: Any) -> Reader:
    reader = Reader(KafkaOptions(("nowhere:9092",)), Membership("g", ("open", "denied")), never)
    await reader.member.consumer.stop()
    reader.member.consumer = consumer
    return reader


async def test_a_member_passes_the_fence_although_one_of_its_topics_is_refused() -> None:
    reader = await reader_over(GuardedConsumer())
    assert not reader.member.holds_lease()
    await reader.member.fence({OPEN: 3, DENIED: 0})
    assert reader.member.holds_lease(), "the coordinator has accepted the other topic"


async def test_a_member_does_not_pass_the_fence_if_each_topic_is_refused() -> None:
    """Then the broker has not asked the coordinator, and this process may have lost its place."""
    reader = await reader_over(GuardedConsumer())
    with pytest.raises(CommitError, match="TopicAuthorizationFailed"):
        await reader.member.fence({DENIED: 0})
    assert not reader.member.holds_lease()


async def test_a_topic_that_a_fetch_was_refused_for_is_left_out_of_the_fence() -> None:
    consumer = GuardedConsumer()
    reader = await reader_over(consumer)
    consumer._fetcher.failing.refused(TopicPartition(*DENIED), 0)
    await reader.member.fence({OPEN: 3, DENIED: 0})
    consumer._fetcher.failing.answered(TopicPartition(*DENIED), 0, 0, 0)
    await reader.member.fence({OPEN: 4, DENIED: 0})
    assert consumer.requested == [{"open"}, {"open", "denied"}]


async def test_the_store_returns_and_logs_what_the_broker_refuses_for_a_missing_right() -> None:
    class Client:
        async def working(self) -> Any:
            return self

        async def coordinator_lookup(self, kind: object, group: str) -> int:
            return 1

        async def ready(self, node: int, *, group: object) -> bool:
            return True

        async def send(self, node: int, request: Any, *, group: object) -> Any:
            code = TopicAuthorizationFailedError.errno
            return SimpleNamespace(topics=[("open", [(0, 0)]), ("denied", [(0, code)])])

    store = OffsetStore(KafkaOptions(("nowhere:9092",)), may_commit=lambda: True)
    store._client = Client()  # type: ignore[assignment] # only what a store calls
    places = {OPEN: Committed(3, ""), DENIED: Committed(0, "")}
    with capture_logs() as logs:
        for _ in range(3):
            assert list(await store.commit("g.crm", places)) == [DENIED]
    (line,) = [line for line in logs if line["event"] == events.COMMIT_FAILED]
    assert "may not read topic 'denied'" in line["cause"]
    assert "grant this login the right" in line["remedy"]
