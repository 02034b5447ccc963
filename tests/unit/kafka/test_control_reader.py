"""The control topic is read in order from a position, and a deleted position is reported, not skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from bridge.errors import RecordsDeleted
from bridge.kafka.control_reader import ControlReader
from bridge.model import Batch, Damage, Partition, Record
from bridge.telemetry import events

CONTROL = Partition("g.control", 0)


class FakeSideReader:
    """The records of a control topic from ``first`` to ``end``, two at a time."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end
        self.damaged: dict[int, Damage] = {}

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.first)

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.end)

    async def written(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.end)

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        position = positions[CONTROL]
        if position < self.first:
            raise RecordsDeleted(dict(positions))
        reached = min(position + 2, self.end)
        records = [
            Record(CONTROL, offset, 0, None, None, (), self.damaged.get(offset))
            for offset in range(position, reached)
        ]
        return [(CONTROL, records)], {CONTROL: reached}


def reading(side: FakeSideReader, start: int | None = None) -> tuple[ControlReader, list[int]]:
    """Return a reader and the offsets of the records that it applied."""
    applied: list[int] = []
    reader = ControlReader(side, "g.control", lambda record: applied.append(record.offset), start)  # type: ignore[arg-type] # only what it calls
    return reader, applied


async def test_without_a_start_every_record_up_to_the_end_is_applied_in_order() -> None:
    reader, applied = reading(FakeSideReader(5, 10))
    await reader.read_to_end()
    assert (applied, reader.position) == ([5, 6, 7, 8, 9], 10)


async def test_a_record_that_cannot_be_read_is_reported_and_the_next_ones_are_applied() -> None:
    side = FakeSideReader(0, 4)
    side.damaged = {1: Damage("no record", "none", 2, "record"), 2: Damage("header name", "none", 3)}
    reader, applied = reading(side)
    with capture_logs() as logs:
        await reader.read_to_end()
    assert applied == [0, 2, 3], "a record with readable fields is applied"
    assert [(line["event"], line["place"]) for line in logs] == [(events.CONTROL_UNREADABLE, "g.control-0@1")]


async def test_reading_continues_from_the_start_that_is_given() -> None:
    reader, applied = reading(FakeSideReader(5, 10), 8)
    await reader.read_on(0.1)
    assert (applied, reader.position) == ([8, 9], 10)


async def test_a_position_that_was_deleted_is_reported_and_kept_until_a_rewind() -> None:
    reader, applied = reading(FakeSideReader(5, 10), 3)
    with pytest.raises(RecordsDeleted):
        await reader.read_on(0.1)
    assert (applied, reader.position) == ([], 3)
    await reader.rewind()
    await reader.read_to_end()
    assert applied == [5, 6, 7, 8, 9]


async def test_reading_to_the_end_waits_for_what_an_open_transaction_hides() -> None:
    """A hold after the first record of a bulk re-send's transaction must not be missed at an assignment."""

    class WithTransaction(FakeSideReader):
        reads = 0

        async def read_from(
            self, positions: Mapping[Partition, int], timeout_s: float
        ) -> tuple[list[Batch], dict[Partition, int]]:
            self.reads += 1
            if positions[CONTROL] >= 7 and self.reads < 8:
                return [], dict(positions)
            return await super().read_from(positions, timeout_s)

        async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
            return dict.fromkeys(partitions, 7)

    reader, applied = reading(WithTransaction(5, 10))
    await reader.read_to_end()
    assert applied == [5, 6, 7, 8, 9]
