"""Topics before work begins: missing sources are waited for, internal topics are created or explained."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bridge.errors import BrokerError, KafkaUnavailable
from bridge.kafka import topic_setup
from bridge.kafka.topic_setup import (
    ensure_partitions,
    ensure_topic,
    wait_for_topics,
    warn_if_retention_deletes,
    warn_unless_compacted,
)
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle
from tests.support.fake_admin import FakeAdmin
from tests.support.fake_producer import broker_error


async def ensure(admin: FakeAdmin, *, create: bool = True) -> None:
    await ensure_topic(
        admin, "parked", ["small", "large"], create=create, replication_factor=-1, configs={"a": "1"}
    )


async def test_an_internal_topic_has_as_many_partitions_as_the_largest_source() -> None:
    admin = FakeAdmin(small=1, large=7)
    await ensure(admin)
    assert admin.topics["parked"] == 7
    admin.topics["large"] = 9
    await ensure(admin)
    assert admin.topics["parked"] == 7, "ensure_topic changed a topic that exists"
    await ensure_partitions(admin, "parked", ["small", "large"])
    assert admin.topics["parked"] == 9


async def test_a_topic_that_may_not_be_created_is_reported_with_the_command_that_creates_it() -> None:
    with pytest.raises(KafkaUnavailable, match=r"create it: kafka-topics.sh .* --topic parked --config a=1"):
        await ensure(FakeAdmin(small=1, large=7), create=False)


async def test_a_topic_that_cannot_be_created_or_grown_is_not_retried() -> None:
    """``BrokerError`` alone is retried at the start."""
    admin = FakeAdmin(small=1, large=7)
    admin.error = broker_error("TopicAuthorizationFailedError")
    with pytest.raises(KafkaUnavailable, match=r"TopicAuthorizationFailedError; create it: ") as caught:
        await ensure(admin)
    assert not isinstance(caught.value, BrokerError)
    admin.topics["parked"] = 1
    with pytest.raises(KafkaUnavailable, match=r"has 1 partitions and needs 7.*--partitions 7") as caught:
        await ensure_partitions(admin, "parked", ["large"])
    assert not isinstance(caught.value, BrokerError)


async def test_missing_source_topics_are_logged_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    admin, pauses = FakeAdmin(orders=1), 0

    async def create_after_three_seconds(_: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            admin.topics["loans"] = 1

    monkeypatch.setattr(asyncio, "sleep", create_after_three_seconds)
    with capture_logs() as logs:
        await wait_for_topics(admin, ["orders", "loans"])
    assert pauses == 3
    assert [(line["event"], line["topics"]) for line in logs] == [(events.TOPICS_MISSING, ["loans"])]


def test_a_topic_is_an_error_only_after_it_was_missing_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its producer may create it in the first minute of a first start."""
    now = 0.0
    monkeypatch.setattr(topic_setup, "Throttle", lambda: Throttle(now=lambda: now))
    report = topic_setup.missing_topics_reporter()
    with capture_logs() as logs:
        for now in range(0, 150, 5):  # noqa: B007 - the throttle reads it
            report(["orders"])
    assert [line["log_level"] for line in logs] == ["info", "error", "error"]
    with capture_logs() as logs:
        now = 300
        report([])
        report(["orders"])
    assert [line["log_level"] for line in logs] == ["info"], "it was deleted and may come back"


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"cleanup.policy": "compact"}, False),
        ({"cleanup.policy": "delete"}, True),
        ({"cleanup.policy": "compact,delete"}, True),
        ({}, False),
        (None, False),
    ],
)
async def test_a_control_topic_that_deletes_records_is_reported(
    settings: dict[str, str] | None, warned: bool
) -> None:
    admin = FakeAdmin()
    admin.settings = settings
    with capture_logs() as logs:
        await warn_unless_compacted(admin, "g.control")
    assert [line["event"] for line in logs] == [events.TOPIC_NOT_COMPACTED] * warned


@pytest.mark.parametrize(
    ("settings", "warned"), [({"retention.ms": "-1"}, False), ({"retention.ms": "1000"}, True), (None, False)]
)
async def test_a_dead_letter_topic_that_deletes_letters_is_reported(
    settings: dict[str, str] | None, warned: bool
) -> None:
    admin = FakeAdmin()
    admin.settings = settings
    with capture_logs() as logs:
        await warn_if_retention_deletes(admin, "g.parked")
    assert [line["event"] for line in logs] == [events.TOPIC_FORGETS] * warned
