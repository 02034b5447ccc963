"""Beginnings in the control topic: written once, written again when another pod's record lacks something."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.beginning import Beginning, Beginnings, TopicPlaces, key_of
from bridge.core.switches import EventTypes, Switches
from bridge.errors import BrokerError, KafkaUnavailable
from bridge.kafka import control_topic
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from bridge.telemetry import events
from tests.support.fake_producer import FakeProducer, broker_error

CRM = Beginning("2026-06-29T08:15:30Z", {"orders": TopicPlaces("id1", frozenset({0}))})
OTHER_POD = Beginning("", {"orders": TopicPlaces("id1", frozenset({1}))})


class OpenedProducer(FakeProducer):
    """A producer for one write."""

    async def __aenter__(self) -> OpenedProducer:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return


class Stage:
    """A control topic whose records are kept in ``written``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = False
        self.written: list[NewRecord] = []
        self.beginnings = Beginnings()
        self.switches = Switches[str]()
        monkeypatch.setattr(control_topic, "DurableProducer", lambda *args: self._producer())
        self.topic = ControlTopic(
            KafkaOptions(("kafka.test:9092",)), "g.control", self.switches, Switches[EventTypes](), "test",
            self.beginnings,
        )  # fmt: skip

    def _producer(self) -> OpenedProducer:
        producer = OpenedProducer(self._refuse)
        producer.written = self.written
        return producer

    def _refuse(self, record: NewRecord) -> BrokerError | None:
        return broker_error() if self.broken else None

    def read(self, key: bytes, value: bytes | None) -> None:
        """Read a record of the topic, as the follower does."""
        self.topic._records.apply(Record(Partition("g.control", 0), 7, 0, key, value), self._put)

    def _put(self, subject: Any, switch: Any) -> None:
        self.switches.put(subject, switch)

    def keys(self) -> Sequence[bytes | None]:
        return [record.key for record in self.written]


async def test_a_beginning_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    for _ in range(2):
        await stage.topic.remember({"crm": CRM})
    assert [(record.key, record.value, record.partition) for record in stage.written] == [
        (key_of("crm"), CRM.to_bytes(), 0)
    ]


async def test_what_could_not_be_written_is_written_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    stage.broken = True
    with pytest.raises(KafkaUnavailable, match="cannot write begun/crm"):
        await stage.topic.remember({"crm": CRM})
    stage.broken = False
    await stage.topic.remember({"crm": CRM})
    assert stage.keys() == [key_of("crm")]


async def test_a_record_of_another_pod_that_lacks_ours_is_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    await stage.topic.remember({"crm": CRM})
    writing = asyncio.create_task(stage.topic.write_pending())
    stage.read(key_of("crm"), OTHER_POD.to_bytes())
    stage.read(key_of("not ours"), OTHER_POD.to_bytes())
    while len(stage.written) < 2:
        await asyncio.sleep(0)
    assert stage.keys() == [key_of("crm")] * 2
    assert stage.written[1].value == CRM.merged(OTHER_POD).to_bytes()
    stage.read(key_of("crm"), stage.written[1].value)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(stage.written) == 2, "both pods have the same by now"
    writing.cancel()


async def test_a_deleted_record_makes_the_endpoint_new_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    stage.read(key_of("crm"), CRM.to_bytes())
    assert stage.beginnings["crm"] == CRM
    await stage.topic.forget_beginnings(["crm"])
    assert [record.value for record in stage.written] == [None]
    stage.read(key_of("crm"), None)
    assert stage.beginnings["crm"] is None


async def test_a_record_that_another_program_wrote_is_ignored_and_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    stage.read(key_of("crm"), CRM.to_bytes())
    with capture_logs() as logs:
        stage.read(key_of("crm"), b"[]")
    assert [(line["event"], line["endpoint"]) for line in logs] == [(events.CONTROL_IGNORED, "crm")]
    assert stage.beginnings["crm"] == CRM


async def test_an_endpoint_is_off_only_after_the_topic_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    stage.broken = True
    with pytest.raises(KafkaUnavailable):
        await stage.topic.stop("crm", "its cursor is lost")
    assert stage.switches["crm"].on, "the assignment does not begin, so nothing is sent"
    stage.broken = False
    await stage.topic.stop("crm", "its cursor is lost")
    assert (stage.switches["crm"].on, stage.switches["crm"].reason) == (False, "its cursor is lost")
    await stage.topic.stop("crm", "again")
    assert len(stage.written) == 1
