"""Letters are found with their markers and fetched with their values, in few reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from bridge.dead_letters.letter import Address, Fate, LetterFilter, Settlement
from bridge.dead_letters.letter_reader import LetterReader, runs
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.model import Damage, Partition, Record
from tests.support.letters import letter_record

PARTITION = Partition("g.parked", 1)


class FakeSideReader:
    """Reads these records of g.parked-1; partition 0 is empty. ``reads`` are the ranges that were read."""

    def __init__(self, *records: Record) -> None:
        self.records = records
        self.reads: list[tuple[int, int]] = []
        self.deleted = False

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        end = self.records[-1].offset + 1
        return {partition: end if partition == PARTITION else 0 for partition in partitions}

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        if self.deleted:
            raise RecordsDeleted({partition: start})
        self.reads.append((start, end))
        if partition == PARTITION:
            for record in self.records:
                if start <= record.offset < end:
                    yield [record]


def reader(side: FakeSideReader) -> LetterReader:
    return LetterReader(side, "g.parked", 2)  # type: ignore[arg-type] # only what a letter reader calls


async def test_letters_are_listed_oldest_first_without_values_and_with_their_markers() -> None:
    marker = Settlement(Address(1, 5), Fate.DISCARDED, 12, "ann").headers()
    side = FakeSideReader(
        letter_record(5),
        letter_record(6, parked_at_ms="1"),
        letter_record(7, endpoint="shop"),
        Record(PARTITION, 8, 12, b"e1", None, marker),
    )
    letters = await reader(side).find(LetterFilter(endpoint="crm"))
    assert [(letter.address.offset, letter.fate) for letter in letters] == [
        (6, Fate.WAITING), (5, Fate.DISCARDED)
    ]  # fmt: skip
    assert {letter.origin.value for letter in letters} == {None}


async def test_a_record_that_cannot_be_read_is_reported_beside_the_letters() -> None:
    damage = Damage("a wrong length", "none", 7, "record")
    unreadable = Record(PARTITION, 6, 0, None, b"raw", (), damage)
    renamed = letter_record(7)._replace(damage=Damage("a header name", "none", 8))
    letters = reader(FakeSideReader(letter_record(5), unreadable, renamed))
    found = await letters.find(LetterFilter())
    assert [letter.address.offset for letter in found] == [5, 7]
    assert {letter.origin.damage for letter in found} == {None}
    assert letters.unreadable == {Address(1, 6): damage}


async def test_fetched_letters_have_values_and_missing_ones_are_left_out() -> None:
    side = FakeSideReader(letter_record(5), letter_record(2000))
    letters = await reader(side).fetch([Address(1, 5), Address(1, 2000), Address(1, 9999), Address(7, 1)])
    assert {address: letter.origin.value for address, letter in letters.items()} == {
        (1, 5): b"{}", (1, 2000): b"{}"
    }  # fmt: skip
    assert side.reads == [(5, 6), (2000, 2001)], "read everything between two letters"


async def test_records_that_retention_deletes_meanwhile_are_reported() -> None:
    side = FakeSideReader(letter_record(5))
    side.deleted = True
    with pytest.raises(KafkaUnavailable, match="retention deleted records meanwhile; run the command again"):
        await reader(side).find(LetterFilter())


def test_runs_contain_every_offset_and_no_long_gap() -> None:
    assert runs([1, 2, 5, 100, 101], 10) == [(1, 6), (100, 102)]
    assert runs([], 10) == []
