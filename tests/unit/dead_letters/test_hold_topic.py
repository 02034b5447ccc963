"""The holds at the broker: what an assignment loads, lifts and ignores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import pytest
from structlog.testing import capture_logs

from bridge.dead_letters.hold import Hold, HoldKey, Holds, read_hold, read_key
from bridge.dead_letters.hold_topic import HoldReader, HoldRegister
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.kafka.producer import NewRecord
from bridge.model import Batch, LaneKey, Partition, Record
from bridge.telemetry import events
from tests.support.fake_producer import FakeProducer, broker_error

CONTROL = Partition("g.control", 0)


def hold(number: int, parked: int = 1) -> Hold:
    return Hold(LaneKey("orders", number, b"e1", ""), 1, "orders-0@1", 2, "orders-0@1", parked, "r", "e1")


class FakeSideReader:
    """A reader of a control topic that returns two records at a time."""

    def __init__(self, *written: tuple[bytes, bytes | None]) -> None:
        self.records = [
            Record(CONTROL, offset, 0, key, value) for offset, (key, value) in enumerate(written, start=5)
        ]
        self.deleted = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {CONTROL: 5}

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {CONTROL: 5 + len(self.records)}

    async def written(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {CONTROL: 5 + len(self.records)}

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        if self.deleted:
            raise RecordsDeleted(dict(positions))
        records = [record for record in self.records if record.offset >= positions[CONTROL]][:2]
        return [(CONTROL, records)], {CONTROL: positions[CONTROL] + len(records)}


def hold_reader(side: FakeSideReader) -> HoldReader:
    return HoldReader(side, "g.control")  # type: ignore[arg-type] # only what a hold reader calls


def stage(side: FakeSideReader, *holding: str) -> tuple[HoldRegister, Holds, FakeProducer]:
    holds, producer = Holds(), FakeProducer()
    register = HoldRegister(
        "g.control",
        holds,
        producer,
        lambda: hold_reader(side),
        holding=holding,
        endpoints=("crm", "shop"),
    )
    return register, holds, producer


async def test_the_last_record_of_a_lane_is_valid_and_only_holds_of_own_partitions_are_loaded() -> None:
    ours, freed, others = (HoldKey("crm", name).to_bytes() for name in "abc")
    side = FakeSideReader(
        (ours, hold(0).to_bytes()), (freed, hold(0).to_bytes()), (b"endpoint/crm", b"{}"),
        (others, hold(1).to_bytes()), (ours, hold(0, 7).to_bytes()), (freed, None),
    )  # fmt: skip
    register, holds, producer = stage(side, "crm")
    await register.load([Partition("orders", 0)])
    assert holds.of("crm", hold(0).lane) == hold(0, 7)
    assert holds.of("crm", hold(1).lane) is None
    assert producer.written == []


async def test_every_assignment_reads_the_topic_again_from_its_first_record() -> None:
    """A hold that another owner wrote in between is found, and one that was deleted is gone."""
    first, second = HoldKey("crm", "a").to_bytes(), HoldKey("crm", "b").to_bytes()
    side = FakeSideReader((first, hold(0).to_bytes()))
    register, holds, _ = stage(side, "crm")
    await register.load([Partition("orders", 0), Partition("orders", 1)])
    side.records = [Record(CONTROL, 5, 0, second, hold(1).to_bytes())]  # the topic was recreated
    await register.load([Partition("orders", 0), Partition("orders", 1)])
    assert holds.of("crm", hold(0).lane) is None
    assert holds.of("crm", hold(1).lane) == hold(1)


async def test_holds_of_an_endpoint_that_no_longer_holds_lanes_are_lifted_and_logged_once() -> None:
    """Holds of a removed endpoint, and of partitions that another pod owns, are left alone."""
    names = ("shop", "shop", "gone", "shop")
    keys = [HoldKey(name, str(number)).to_bytes() for number, name in enumerate(names)]
    numbers = (0, 0, 0, 1)
    side = FakeSideReader(
        *((key, hold(number).to_bytes()) for key, number in zip(keys, numbers, strict=True))
    )
    register, holds, producer = stage(side, "crm")
    with capture_logs() as logs:
        await register.load([Partition("orders", 0)])
    assert producer.written == [NewRecord("g.control", None, key, 0) for key in keys[:2]]
    assert holds.counts([Partition("orders", 0), Partition("orders", 1)]) == {}
    lifted = [(line["endpoint"], line["lanes"]) for line in logs if line["event"] == events.HOLDS_LIFTED]
    assert lifted == [("shop", 2)]


async def test_a_damaged_hold_is_ignored_and_logged() -> None:
    side = FakeSideReader((HoldKey("crm", "a").to_bytes(), b"{"))
    register, holds, _ = stage(side, "crm")
    with capture_logs() as logs:
        await register.load([Partition("orders", 0)])
    assert holds.counts([Partition("orders", 0), Partition("orders", 1)]) == {}
    (line,) = [line for line in logs if line["event"] == events.HOLD_IGNORED]
    assert (line["place"], line["endpoint"]) == ("g.control-0@5", "crm")


async def test_reading_on_applies_only_the_records_after_the_position() -> None:
    side = FakeSideReader((HoldKey("crm", "a").to_bytes(), hold(0).to_bytes()))
    async with hold_reader(side) as reader:
        await reader.read_to_end()
        assert len(reader.holds) == 1
        side.records.append(Record(CONTROL, 6, 0, HoldKey("crm", "a").to_bytes(), None))
        await reader.read_on(0.1)
        assert reader.holds == {}


async def test_an_assignment_does_not_begin_while_the_topic_cannot_be_read_or_written() -> None:
    side = FakeSideReader((HoldKey("shop", "a").to_bytes(), hold(0).to_bytes()))
    register, _, producer = stage(side, "crm")
    producer.refuse = lambda record: broker_error()
    with pytest.raises(KafkaUnavailable, match="cannot write a held lane of 'shop'"):
        await register.load([Partition("orders", 0)])
    side.deleted = True
    with pytest.raises(KafkaUnavailable, match=r"g\.control.* were deleted"):
        await register.load([Partition("orders", 0)])


async def test_a_hold_is_written_under_the_key_of_its_lane() -> None:
    register, _, producer = stage(FakeSideReader(), "crm")
    await register.write(HoldKey("crm", "a"), hold(0))
    (record,) = producer.written
    assert (read_key(record.key), read_hold(record.value), record.partition) == (
        HoldKey("crm", "a"), hold(0), 0
    )  # fmt: skip
