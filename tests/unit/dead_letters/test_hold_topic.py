"""The holds at the broker: what is loaded at an assignment, what is lifted, and what is ignored."""

from __future__ import annotations

from typing import Any, Self

import pytest
from aiokafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs

from bridge.dead_letters.hold import Hold, HoldKey, Holds, read_hold, read_key
from bridge.dead_letters.hold_topic import HoldReader, HoldRegister
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.kafka.client_health import Lasting
from bridge.model import LaneKey, Partition, Record
from bridge.telemetry import events

CONTROL = Partition("g.control", 0)


def hold(number: int, parked: int = 1) -> Hold:
    return Hold(LaneKey("orders", number, b"e1", ""), 1, "orders-0@1", 2, "orders-0@1", parked, "r", "e1")


class FakeSide:
    """A reader of a control topic, two records at a time."""

    def __init__(self, *written: tuple[bytes, bytes | None]) -> None:
        self.records = [
            Record(CONTROL, offset, 0, key, value) for offset, (key, value) in enumerate(written, start=5)
        ]
        self.deleted = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def begins(self, partitions: Any) -> dict[Partition, int]:
        return {CONTROL: 5}

    async def ends(self, partitions: Any) -> dict[Partition, int]:
        return {CONTROL: 5 + len(self.records)}

    async def read_from(self, positions: dict[Partition, int], timeout_s: float) -> Any:
        if self.deleted:
            raise RecordsDeleted(positions)
        found = [one for one in self.records if one.offset >= positions[CONTROL]][:2]
        return [(CONTROL, found)], {CONTROL: positions[CONTROL] + len(found)}


class FakeProducer:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.sent: list[tuple[bytes, bytes | None, int]] = []

    async def send_and_wait(self, topic: str, value: bytes | None, *, key: bytes, partition: int) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((key, value, partition))


def reader(side: FakeSide) -> HoldReader:
    return HoldReader(side, "g.control")  # type: ignore[arg-type]


def stage(side: FakeSide, *holding: str) -> tuple[HoldRegister, Holds, FakeProducer]:
    holds, producer = Holds(), FakeProducer()
    register = HoldRegister(
        "g.control",
        holds,
        Lasting(producer, None, "holds"),  # type: ignore[type-var]
        lambda: reader(side),
        holding=holding,
        endpoints=("crm", "shop"),
    )
    return register, holds, producer


async def test_the_last_record_of_a_lane_counts_and_only_our_partitions_are_kept() -> None:
    ours, freed, others = (HoldKey("crm", name).to_bytes() for name in "abc")
    side = FakeSide(
        (ours, hold(0).to_bytes()), (freed, hold(0).to_bytes()), (b"endpoint/crm", b"{}"),
        (others, hold(1).to_bytes()), (ours, hold(0, 7).to_bytes()), (freed, None),
    )  # fmt: skip
    register, holds, producer = stage(side, "crm")
    await register.load([Partition("orders", 0)])
    assert holds.of("crm", hold(0).lane) == hold(0, 7)
    assert holds.of("crm", hold(1).lane) is None
    assert producer.sent == []


async def test_what_an_endpoint_held_that_goes_on_now_is_lifted_and_said_once() -> None:
    """What a removed endpoint held, and what another pod has, is left alone."""
    keys = [HoldKey(name, str(at)).to_bytes() for at, name in enumerate(("shop", "shop", "gone", "shop"))]
    numbers = (0, 0, 0, 1)
    side = FakeSide(*((key, hold(number).to_bytes()) for key, number in zip(keys, numbers, strict=True)))
    register, holds, producer = stage(side, "crm")
    with capture_logs() as logs:
        await register.load([Partition("orders", 0)])
    assert producer.sent == [(keys[0], None, 0), (keys[1], None, 0)]
    assert holds.counts([Partition("orders", 0), Partition("orders", 1)]) == {}
    ((said, lanes),) = [
        (one["endpoint"], one["lanes"]) for one in logs if one["event"] == events.HOLDS_LIFTED
    ]
    assert (said, lanes) == ("shop", 2)


async def test_a_damaged_hold_is_ignored_and_said() -> None:
    side = FakeSide((HoldKey("crm", "a").to_bytes(), b"{"))
    register, holds, _ = stage(side, "crm")
    with capture_logs() as logs:
        await register.load([Partition("orders", 0)])
    assert holds.counts([Partition("orders", 0), Partition("orders", 1)]) == {}
    (said,) = [one for one in logs if one["event"] == events.HOLD_IGNORED]
    assert (said["place"], said["endpoint"]) == ("g.control-0@5", "crm")


async def test_what_follows_is_read_on_from_there() -> None:
    side = FakeSide((HoldKey("crm", "a").to_bytes(), hold(0).to_bytes()))
    async with reader(side) as found:
        await found.read_to_end()
        assert len(found.holds) == 1
        side.records.append(Record(CONTROL, 6, 0, HoldKey("crm", "a").to_bytes(), None))
        await found.read_on(0.1)
        assert found.holds == {}


async def test_an_assignment_does_not_begin_while_the_topic_is_in_trouble() -> None:
    side = FakeSide((HoldKey("shop", "a").to_bytes(), hold(0).to_bytes()))
    register, _, producer = stage(side, "crm")
    producer.error = KafkaTimeoutError()
    with pytest.raises(KafkaUnavailable, match=r"g\.control"):
        await register.load([Partition("orders", 0)])
    side.deleted = True
    with pytest.raises(KafkaUnavailable, match="deleted"):
        await register.load([Partition("orders", 0)])


async def test_a_hold_is_written_under_its_lane() -> None:
    register, _, producer = stage(FakeSide(), "crm")
    await register.write(HoldKey("crm", "a"), hold(0))
    ((key, value, partition),) = producer.sent
    assert (read_key(key), read_hold(value), partition) == (HoldKey("crm", "a"), hold(0), 0)
