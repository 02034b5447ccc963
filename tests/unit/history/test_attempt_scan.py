"""The history is read forwards up to given offsets; attempts and source records are fetched many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from bridge.history.attempt import AttemptId, Source
from bridge.history.scan import AttemptScan, runs
from bridge.history.selection import AttemptFilter
from bridge.model import Damage, Partition, Record
from bridge.resend.source_records import fetch_records
from tests.support.attempts import attempt_at, batch_record


class FakeReader:
    """The records of some partitions; ``first`` is where each log begins."""

    def __init__(self, *records: Record, first: int = 0) -> None:
        self.records = records
        self.first = first
        self.stretches: list[tuple[int, int]] = []

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.first)

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {
            place: max([0, *(one.offset + 1 for one in self.records if one.partition == place)])
            for place in partitions
        }

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> int | None:
        later = [one.offset for one in self.records if one.timestamp_ms >= timestamp_ms]
        return min(later, default=None)

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        self.stretches.append((start, end))
        for record in self.records:
            if record.partition == partition and start <= record.offset < end:
                yield [record]


def scan_of(reader: FakeReader) -> AttemptScan:
    return AttemptScan(reader, "g.attempts", 2)  # type: ignore[arg-type]  # only what it calls


RECORDS = (
    batch_record(0, attempt_at(1), attempt_at(2, type="Paid")),
    batch_record(1, attempt_at(3), endpoint="bank"),
    batch_record(2, attempt_at(4)),
    batch_record(40, attempt_at(5)),
    batch_record(0, attempt_at(6), partition=1),
)


async def events_of(reader: FakeReader, wanted: AttemptFilter, ends: dict[int, int]) -> list[str]:
    found = scan_of(reader).matching(wanted, ends)
    return [kept.attempt.event_id async for attempts in found for kept in attempts]


async def test_what_matches_is_read_in_the_order_of_the_topic_up_to_the_offsets_that_are_given() -> None:
    reader = FakeReader(*RECORDS)
    assert await scan_of(reader).ends() == {0: 41, 1: 1}
    crm = AttemptFilter(endpoint="crm")
    assert await events_of(reader, crm, {0: 41, 1: 1}) == ["id-1", "id-2", "id-4", "id-5", "id-6"]
    assert await events_of(reader, crm, {0: 3, 1: 0}) == ["id-1", "id-2", "id-4"]
    assert await events_of(reader, AttemptFilter(type="Paid"), {0: 41, 1: 1}) == ["id-2"]


async def test_records_that_are_no_attempts_are_left_out() -> None:
    damaged = RECORDS[0]._replace(damage=Damage("no record", "none", 1))
    foreign = RECORDS[0]._replace(offset=1, value=b"?")
    assert await events_of(FakeReader(damaged, foreign, RECORDS[2]), AttemptFilter(), {0: 3}) == ["id-4"]


async def test_attempts_are_fetched_by_their_ids_without_those_that_are_gone() -> None:
    reader = FakeReader(*RECORDS, first=1)
    places = [(0, 0, 0), (0, 2, 0), (0, 40, 0), (0, 40, 7), (0, 99, 0), (7, 1, 0)]
    ids = [AttemptId(*place) for place in places]
    found = await scan_of(reader).fetch(ids)
    assert {id: kept.attempt.event_id for id, kept in found.items()} == {ids[1]: "id-4", ids[2]: "id-5"}
    assert reader.stretches == [(2, 3), (40, 41)]


def test_near_offsets_are_read_at_once() -> None:
    assert runs([9, 1, 3, 100, 101]) == [(1, 10), (100, 102)]
    assert runs([]) == []


async def test_source_records_are_recognized_by_place_and_timestamp() -> None:
    place = Partition("orders", 3)
    records = [Record(place, offset, 1000 + offset, None, b"{}") for offset in (4, 5, 30)]
    reader = FakeReader(*records, first=4)
    wanted = [Source(place, 4, 1004), Source(place, 5, 999), Source(place, 30, 1030), Source(place, 2, 1002),
              Source(Partition("gone", 0), 1, 1)]  # fmt: skip
    found = await fetch_records(reader, wanted)  # type: ignore[arg-type]  # only what it calls
    assert found == {wanted[0]: records[0], wanted[2]: records[2]}
