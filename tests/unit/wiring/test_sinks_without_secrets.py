"""Each store and each page removes secrets itself, whoever wrote the text: one test per sink."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from bridge.app.status import Status
from bridge.core.jobs import Job, JobState
from bridge.core.switches import EventTypes, Switches, read_switch
from bridge.dead_letters.letter import Address, Letter
from bridge.dead_letters.store import DeadLetterStore
from bridge.dead_letters.topic import DeadLetterTopic, Reason
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from bridge.settings import Settings
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret
from bridge.wiring import replay_control
from bridge.wiring.cursor_moves import MovePlan, MoveRequest, request_move
from bridge.wiring.replay import build_replaying
from tests.support.canaries import find_canaries
from tests.support.fake_producer import FakeProducer
from tests.support.path import Plan, settings_of
from tests.support.replays import replay

CANARY = "canary-7f3a9/5c1e2+8d4b6"
RECORD = Record(Partition("orders", 3), 17, 1_700_000_000_123, b"key", b"value")


@pytest.fixture(autouse=True)
def _canary_is_in_force() -> None:
    in_force.learn([Secret(CANARY)])


async def test_the_headers_of_a_dead_letter() -> None:
    producer = FakeProducer()
    reason = Reason(f"status 400: {CANARY}" + "x" * 3000, f"use another key than {CANARY}", "crm")
    await DeadLetterTopic(producer, "g.parked").park(RECORD, reason)
    (written,) = producer.written
    assert not find_canaries(repr(written.headers).encode(), [CANARY])
    assert dict(written.headers)["hookferry-cause"].startswith(b"status 400: ***x")
    assert written.value == b"value"


@pytest.mark.parametrize("before", range(1975, 2000))
async def test_a_cause_that_is_cut_for_its_header(before: int) -> None:
    producer = FakeProducer()
    await DeadLetterTopic(producer, "g.parked").park(RECORD, Reason("-" * before + CANARY, "", "crm"))
    assert CANARY[:6] not in repr(producer.written[0].headers)


def test_a_switch_in_the_control_topic() -> None:
    options = KafkaOptions(("kafka.test:9092",))
    topic = ControlTopic(options, "g.control", Switches[str](), Switches[EventTypes](), "test")
    value = topic.switch(False, f"status 410: {CANARY}").to_bytes()
    assert read_switch(value).reason == "status 410: ***"


async def test_the_reason_of_an_operator_in_the_dead_letter_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[NewRecord] = []

    async def write_all(_: DeadLetterStore, records: list[NewRecord]) -> list[None]:
        written.extend(records)
        return [None] * len(records)

    monkeypatch.setattr(DeadLetterStore, "_write_all", write_all)
    store = DeadLetterStore(KafkaOptions(("kafka.test:9092",)), "g.parked", "g.again", "g.control")
    letter = Letter(Address(0, 5), RECORD, 5, {})
    await store.discard([letter], "ann", f"wrong key {CANARY}")
    assert not find_canaries(repr(written).encode(), [CANARY])
    assert "wrong key ***" in repr(written)


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, bytes | None]:
    """Return what is written to the control topic."""
    written: dict[bytes, bytes | None] = {}

    async def write_all(_: ControlTopic, values: dict[bytes, bytes | None]) -> None:
        written.update(values)

    monkeypatch.setattr(ControlTopic, "write_all", write_all)
    return written


async def test_the_reason_for_a_move_of_a_cursor(control: dict[bytes, bytes | None]) -> None:
    plan = MovePlan(MoveRequest("crm", True, "beginning"), {RECORD.partition: (9, 0)}, None, ())
    await request_move(settings_of({"crm": Plan()}), plan, by="ann", reason=f"wrong key {CANARY}")
    assert not find_canaries(repr(control).encode(), [CANARY])
    assert "wrong key ***" in repr(control)


async def test_the_reason_for_a_replay(
    control: dict[bytes, bytes | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(settings: Settings, job_id: str) -> Job:
        return replay({RECORD.partition: (0, 9)})

    monkeypatch.setattr(replay_control, "load_replay", load)
    settings, reason = settings_of({"crm": Plan()}), f"wrong key {CANARY}"
    await replay_control.change_replay(settings, "r1", JobState.PAUSED, by="ann", reason=reason)
    assert len(control) == 2
    assert not find_canaries(repr(control).encode(), [CANARY])
    assert repr(control).count("wrong key ***") == 2


async def test_the_cause_for_which_a_bridge_pauses_a_replay() -> None:
    written: dict[bytes, bytes | None] = {}

    async def write_all(values: Mapping[bytes, bytes | None]) -> None:
        written.update(values)

    unused: Any = SimpleNamespace(dispatchers={}, open_run=None, forget_files=None, look_at_topics=None)
    settings = settings_of({"crm": Plan()})
    bridge = build_replaying(settings, unused, unused, unused, unused, write_all, "bridge-0")
    await bridge.write(replay({RECORD.partition: (0, 9)})._replace(reason=f"status 400: {CANARY}"))
    assert not find_canaries(repr(written).encode(), [CANARY])
    assert "status 400: ***" in repr(written)


def test_the_pages_of_the_admin_port() -> None:
    off = SimpleNamespace(off_endpoints=lambda: [f"crm ({CANARY})"], off_event_types=lambda: [])
    status = Status(
        cast("Any", SimpleNamespace(group="g", sources={})),
        cast("Any", off),
        cast("Any", SimpleNamespace(counts=lambda _: {})),
    )
    status.enter(f"waiting for {CANARY}")
    status._dispatchers = {"crm": gate_with_reason(f"3 of 3 answers: {CANARY}")}
    assert "***" in status.readiness()[1]
    pages = orjson.dumps([status.readiness(), status.limits()])
    assert not find_canaries(pages, [CANARY])
    assert pages.count(b"***") == 4


def gate_with_reason(reason: str) -> Any:
    return SimpleNamespace(gate=SimpleNamespace(slowed=True, rate_per_s=1.0, reason=reason))
