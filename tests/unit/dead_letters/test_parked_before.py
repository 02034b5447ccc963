"""The dead-letter topic as the memory of what was parked: read late, once, from the time of the record on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from bridge.dead_letters.letter import EVERYONE, Address, Fate, Letter, LetterFilter, Settlement
from bridge.dead_letters.parked_before import ParkedBefore
from bridge.errors import KafkaUnavailable
from bridge.model import Partition, Record
from tests.support.simulated import simulated

DAY_MS = 86_400_000
AT_MS = 1_700_000_000_000
RECORD = Record(Partition("orders", 3), 17, AT_MS, b"k", b"{")


def letter(record: Record = RECORD, *fates: Fate, **facts: str) -> Letter:
    settlements = [Settlement(Address(0, 1), fate, AT_MS, "ann") for fate in fates]
    return Letter(Address(0, 1), record, 1, {"cause": "no", "parked-at-ms": str(AT_MS), **facts}, settlements)


class Topic:
    """The dead-letter topic, which does not answer the first ``outages`` times."""

    def __init__(self, *letters: Letter, outages: int = 0) -> None:
        self.letters: Sequence[Letter] = letters
        self.outages = outages
        self.reads: list[LetterFilter] = []

    def open(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        if self.outages:
            self.outages -= 1
            raise KafkaUnavailable("away")
        return self

    async def __aexit__(self, *exc: object) -> None:
        return

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        self.reads.append(wanted)
        return [one for one in self.letters if wanted.matches(one)]


@simulated
async def test_what_waits_or_was_discarded_is_recognized_and_what_was_redriven_is_not() -> None:
    for fates, known in (((), True), ((Fate.DISCARDED,), True), ((Fate.REDRIVEN,), False),
                         ((Fate.REDRIVEN, Fate.DISCARDED), True)):  # fmt: skip
        assert await ParkedBefore(Topic(letter(RECORD, *fates)).open).contains(RECORD) is known, fates


@simulated
async def test_a_record_that_was_redriven_and_parked_again_is_recognized_by_its_second_letter() -> None:
    topic = Topic(letter(RECORD, Fate.REDRIVEN), letter())
    assert await ParkedBefore(topic.open).contains(RECORD)


@simulated
async def test_a_letter_of_one_endpoint_or_of_another_record_is_not_the_record() -> None:
    recreated = RECORD._replace(timestamp_ms=AT_MS + 1)
    other_place = RECORD._replace(offset=18)
    one_of_several = letter(**{"event-index": "2"})
    topic = Topic(letter(endpoint="crm"), letter(recreated), letter(other_place), one_of_several)
    assert not await ParkedBefore(topic.open).contains(RECORD)


@simulated
async def test_the_topic_is_read_once_from_a_day_before_the_record_on_and_again_for_an_older_one() -> None:
    topic = Topic(letter())
    before = ParkedBefore(topic.open)
    for record in (RECORD, RECORD._replace(offset=18), RECORD._replace(timestamp_ms=AT_MS + 5)):
        await before.contains(record)
    assert topic.reads == [LetterFilter(endpoint=EVERYONE, since_ms=AT_MS - DAY_MS)]
    await before.contains(RECORD._replace(timestamp_ms=AT_MS - 5))
    assert len(topic.reads) == 2
    before.forget()
    assert await before.contains(RECORD)
    assert len(topic.reads) == 3, "another process may have parked meanwhile"


@simulated
async def test_a_record_that_was_just_parked_is_recognized_without_a_read() -> None:
    topic = Topic()
    before = ParkedBefore(topic.open)
    assert not await before.contains(RECORD)
    before.add(RECORD)
    assert await before.contains(RECORD)
    assert len(topic.reads) == 1


@simulated
async def test_dead_letters_that_cannot_be_read_delay_a_record_and_do_not_stop_it() -> None:
    assert await ParkedBefore(Topic(letter(), outages=2).open).contains(RECORD)
    assert not await ParkedBefore(Topic(letter(), outages=3).open).contains(RECORD), "it is parked again"
