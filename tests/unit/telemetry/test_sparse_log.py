"""Lines that can come once per record: a few of a minute name their record, and the others are counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.beginning import Beginnings
from bridge.core.memory_budget import MemoryBudget
from bridge.core.switches import Switches, key_of
from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.hold_topic import HoldReader
from bridge.dead_letters.park import park_durably
from bridge.dead_letters.topic import Reason
from bridge.errors import DecodeError
from bridge.kafka.control_reader import ControlReader
from bridge.kafka.control_records import ControlRecords
from bridge.kafka.suspect_batches import SuspectBatches
from bridge.model import Damage, Partition, Record
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.telemetry import events
from bridge.telemetry.sparse_log import MOST, SparseLog
from tests.support.fakes import FakeParking
from tests.support.simulated import simulated

MANY = 70
CONTROL = Partition("g.control", 0)


def test_after_a_minute_the_next_line_has_how_many_were_left_out() -> None:
    now = 0.0
    log = SparseLog(lambda: now)
    with capture_logs() as lines:
        for place in range(MANY):
            log.info("record.parked_before", place=place)
            log.warning("lane.held", place=place)
        now = 61.0
        for _ in range(2):
            log.info("record.parked_before", place="next")
    told = [line for line in lines if line["event"] == "record.parked_before"]
    assert [line["place"] for line in told] == [*range(MOST), "next", "next"]
    assert [line.get("more") for line in told] == [None] * MOST + [MANY - MOST, None]
    assert len(lines) == 2 * MOST + 2, "each event has its own limit"


def record(offset: int, key: bytes = b"k", damage: Damage | None = None) -> Record:
    return Record(CONTROL, offset, 0, key, b"{", damage=damage)


class Topic:
    """A control topic with these records."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    async def begins(self, _: object) -> dict[Partition, int]:
        return {CONTROL: 0}

    async def written(self, _: object) -> dict[Partition, int]:
        return {CONTROL: len(self.records)}

    async def read_from(self, *_: object) -> tuple[list[Any], dict[Partition, int]]:
        return [(CONTROL, self.records)], {CONTROL: len(self.records)}


async def damaged_holds() -> None:
    key = HoldKey("crm", "a").to_bytes()
    await HoldReader(Topic([record(at, key) for at in range(MANY)]), "g.control").read_to_end()  # type: ignore[arg-type] # only what it calls


async def unreadable_control_records() -> None:
    damage = Damage("no record", "none", 2, "record")
    topic = Topic([record(at, damage=damage) for at in range(MANY)])
    await ControlReader(topic, "g.control", lambda _: None, None).read_to_end()  # type: ignore[arg-type] # only what it calls


async def foreign_control_records() -> None:
    records = ControlRecords(Switches(()), Switches(()), Beginnings(), {}, lambda _: None)
    for at in range(MANY):
        records.apply(record(at, key_of("crm")), records.put)


async def damaged_batches() -> None:
    suspects = SuspectBatches()
    for at in range(MANY):
        suspects.given_up(("orders", 0, at), "bad checksum")


async def refusals_of_the_topic() -> None:
    parking, lines = FakeParking(), SparseLog()
    for at in range(MANY):
        parking.refusals = 1
        await park_durably(parking, record(at), Reason("c", "r", logged=False), lambda: True, lines)


class Cursor:
    """A cursor that has passed nothing."""

    def needs(self, _: int) -> bool:
        return True

    def open(self, *_: int) -> None: ...


class AllParked:
    async def contains(self, _: Record) -> bool:
        return True


async def records_parked_before() -> None:
    records = UndecodableRecords(
        FakeParking(),
        AllParked(),  # type: ignore[arg-type] # only what it calls
        (),
        lambda *_: None,
        MemoryBudget(),
        {},  # type: ignore[arg-type] # nothing is parked
    )
    async with asyncio.TaskGroup() as tasks:
        for at in range(MANY):
            records.start_parking(tasks, record(at), DecodeError("$", "no JSON", "r"), [Cursor()])  # type: ignore[list-item] # only what it calls


@pytest.mark.parametrize(
    ("work", "names"),
    [
        (records_parked_before, [events.RECORD_PARKED_BEFORE]),
        (refusals_of_the_topic, [events.PARKING_FAILED, events.PARKING_RECOVERED]),
        (damaged_holds, [events.HOLD_IGNORED]),
        (unreadable_control_records, [events.CONTROL_UNREADABLE]),
        (foreign_control_records, [events.CONTROL_IGNORED]),
        (damaged_batches, [events.BATCH_SUSPECTED]),
    ],
)
def test_many_records_of_one_kind_write_a_few_lines_in_a_minute(
    work: Callable[[], Awaitable[None]], names: list[str]
) -> None:
    @simulated
    async def run() -> None:
        await work()

    with capture_logs() as lines:
        run()
    assert Counter(line["event"] for line in lines) == Counter(dict.fromkeys(names, MOST))
