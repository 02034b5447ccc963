"""Attempts are found from the end of the topic, each once, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.history.attempt import AttemptId, Kept
from bridge.history.pool import size_of
from bridge.history.reader import AttemptReader, Found
from bridge.history.selection import AttemptFilter
from bridge.model import Partition, Record
from tests.support.attempts import BEGAN_S, attempt_at, batch_record


class FakeSideReader:
    """Reads these records of g.attempts; ``reads`` are the ranges that were read."""

    def __init__(self, *records: Record) -> None:
        self.records = records
        self.reads: list[tuple[int, int]] = []
        self.deleted = False

    def _of(self, partition: Partition) -> list[Record]:
        return [record for record in self.records if record.partition == partition]

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {each: min((record.offset for record in self._of(each)), default=0) for each in partitions}

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {each: max((record.end for record in self._of(each)), default=0) for each in partitions}

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> int | None:
        later = (record.offset for record in self._of(partition) if record.timestamp_ms >= timestamp_ms)
        return min(later, default=None)

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        if self.deleted:
            raise RecordsDeleted({partition: start})
        self.reads.append((start, end))
        for record in self._of(partition):
            if start <= record.offset < end:
                yield [record]


def reader(side: FakeSideReader, **options: int) -> AttemptReader:
    return AttemptReader(side, "g.attempts", 2, **options)  # type: ignore[arg-type] # only what it calls


def ids(found: Found) -> list[str]:
    return [kept.attempt.event_id for kept in found.attempts]


def thousand() -> FakeSideReader:
    """A topic with a thousand records of two attempts each, of two partitions in turn."""
    return FakeSideReader(
        *(
            batch_record(
                number, attempt_at(2 * number), attempt_at(2 * number + 1, status=503, verdict="again"),
                partition=number % 2, endpoint=("crm", "shop")[number % 2],
            )
            for number in range(1000)
        )
    )  # fmt: skip


async def test_the_newest_are_found_without_reading_the_whole_topic_and_printed_oldest_first() -> None:
    side = thousand()
    found = await reader(side).newest(AttemptFilter(), 5, bodies=True)
    assert ids(found) == [f"id-{second}" for second in range(1995, 2000)]
    assert sum(end - start for start, end in side.reads) <= 200


async def test_a_rare_attempt_is_found_at_the_beginning() -> None:
    side = thousand()
    found = await reader(side).newest(AttemptFilter(event="id-3"), 5, bodies=True)
    assert ids(found) == ["id-3"]
    assert (found.cut, found.unreadable) == (False, {})


async def test_all_that_match_are_found_in_order_across_stretches_and_partitions() -> None:
    found = await reader(thousand()).newest(AttemptFilter(status="503"), 10_000, bodies=False)
    assert ids(found) == [f"id-{2 * number + 1}" for number in range(1000)]


async def test_the_limit_keeps_the_newest_also_inside_a_stretch() -> None:
    found = await reader(thousand()).newest(AttemptFilter(endpoint="shop"), 150, bodies=False)
    expected = [f"id-{2 * number + part}" for number in range(1, 1000, 2) for part in (0, 1)]
    assert ids(found) == expected[-150:]


async def test_a_range_of_time_is_exact_although_records_were_written_later_than_their_attempts() -> None:
    delayed = batch_record(3, attempt_at(100), attempt_at(101))._replace(
        timestamp_ms=int(BEGAN_S * 1000) + 9_000_000
    )
    side = FakeSideReader(
        batch_record(0, attempt_at(50)), batch_record(1, attempt_at(5000)), batch_record(2, attempt_at(6000)),
        delayed,
    )  # fmt: skip
    began_ms = int(BEGAN_S * 1000)
    wanted = AttemptFilter(since_ms=began_ms + 100_000, until_ms=began_ms + 101_000)
    assert ids(await reader(side).newest(wanted, 10, bodies=False)) == ["id-100"]


async def test_reading_starts_at_the_time_that_is_asked_for() -> None:
    side = thousand()
    wanted = AttemptFilter(since_ms=int(BEGAN_S * 1000) + 1_990_000)
    found = await reader(side).newest(wanted, 10_000, bodies=False)
    assert ids(found)[0] == "id-1990"
    assert min(start for start, _ in side.reads) > 600


async def test_a_record_that_was_written_twice_counts_once_in_one_stretch_and_across_stretches() -> None:
    for gap in (1, 500):
        copy = batch_record(0, attempt_at(1))._replace(offset=gap + 1)
        between = [batch_record(1 + number, attempt_at(2 + number)) for number in range(gap)]
        found = await reader(FakeSideReader(batch_record(0, attempt_at(1)), *between, copy)).newest(
            AttemptFilter(), 10_000, bodies=True
        )
        assert ids(found).count("id-1") == 1
        assert len(found.attempts) == gap + 1


async def test_equal_numbers_of_other_processes_and_endpoints_are_other_records() -> None:
    records = [
        batch_record(0, attempt_at(1)),
        batch_record(0, attempt_at(2), process="q")._replace(offset=1),
        batch_record(0, attempt_at(3), endpoint="shop")._replace(offset=2),
    ]
    found = await reader(FakeSideReader(*records)).newest(AttemptFilter(), 10, bodies=True)
    assert ids(found) == ["id-1", "id-2", "id-3"]


async def test_without_bodies_none_are_kept_but_a_text_in_them_is_found() -> None:
    side = FakeSideReader(batch_record(0, attempt_at(1, body=b'{"note": "Needle"}'), attempt_at(2)))
    found = await reader(side).newest(AttemptFilter(text="needle"), 10, bodies=False)
    (kept,) = found.attempts
    assert (kept.attempt.event_id, kept.attempt.body, kept.attempt.answer_body) == ("id-1", None, None)


async def test_what_is_found_is_bounded_in_bytes_and_this_is_said() -> None:
    big = [batch_record(number, attempt_at(number, body=b"x" * 50_000)) for number in range(100)]
    most = 20 * size_of(attempt_at(0, body=b"x" * 50_000))
    found = await reader(FakeSideReader(*big), most_bytes=most).newest(AttemptFilter(), 1000, bodies=True)
    assert found.cut
    assert ids(found) == [f"id-{number}" for number in range(90, 100)], "half of it for each partition"
    assert sum(size_of(kept.attempt) for kept in found.attempts) <= most


async def test_a_record_that_is_no_batch_is_named_and_hides_no_other() -> None:
    strange = Record(Partition("g.attempts", 0), 1, 0, b"crm", b"hello")
    side = FakeSideReader(batch_record(0, attempt_at(1)), strange, batch_record(2, attempt_at(2)))
    found = await reader(side).newest(AttemptFilter(), 10, bodies=True)
    assert ids(found) == ["id-1", "id-2"]
    assert found.unreadable == {"g.attempts-0@1": "it is no batch of attempts"}


async def test_one_attempt_is_found_by_its_id() -> None:
    side = FakeSideReader(batch_record(7, attempt_at(1), attempt_at(2), partition=1))
    kept = await reader(side).fetch(AttemptId(1, 7, 1))
    assert kept == Kept(AttemptId(1, 7, 1), "crm", attempt_at(2))


@pytest.mark.parametrize("text", ["1:7:2", "1:8:0", "1:6:0", "0:7:0", "5:7:0"])
async def test_an_id_that_no_attempt_has_finds_nothing(text: str) -> None:
    side = FakeSideReader(batch_record(7, attempt_at(1), attempt_at(2), partition=1))
    assert await reader(side).fetch(AttemptId.parse(text)) is None


async def test_an_id_that_is_printed_finds_the_same_attempt() -> None:
    side = thousand()
    found = await reader(side).newest(AttemptFilter(), 20, bodies=True)
    for kept in found.attempts:
        assert await reader(side).fetch(AttemptId.parse(str(kept.id))) == kept


async def test_an_empty_topic_has_nothing() -> None:
    assert (await reader(FakeSideReader()).newest(AttemptFilter(), 10, bodies=True)).attempts == []


async def test_records_that_are_deleted_meanwhile_are_an_error_with_a_remedy() -> None:
    side = thousand()
    side.deleted = True
    with pytest.raises(KafkaUnavailable, match="run the command again"):
        await reader(side).newest(AttemptFilter(), 10, bodies=True)
