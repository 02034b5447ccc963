"""A redrive marks what the broker has acknowledged, and nothing else, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from bridge.dead_letters.letter import Address, Fate, Letter, errands, in_turns, to_settlement
from bridge.dead_letters.store import DeadLetters, RedriveError
from bridge.formats.resent import MARK_VALUE, unpacked, unpacked_mark
from bridge.kafka.client import KafkaOptions
from bridge.model import LaneKey, Partition, Record, RedriveMark


class FakeProducer:
    """Keeps what was sent; ``fails`` says what happens to which offset of the original."""

    def __init__(self, **fails: Exception) -> None:
        self.fails = fails
        self.sent: list[tuple[str, Record]] = []

    async def send(
        self, topic: str, value: bytes, key: bytes, *, partition: int, headers: Any
    ) -> asyncio.Future[None]:
        record = Record(Partition(topic, partition), 0, 0, key, value, tuple(headers))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        offset: object = None
        if topic == "g.again":
            offset = "mark" if value == MARK_VALUE else unpacked(record).origin.offset
        if f"at_once_{offset}" in self.fails:
            raise self.fails[f"at_once_{offset}"]
        if f"later_{offset}" in self.fails:
            done.set_exception(self.fails[f"later_{offset}"])
        else:
            done.set_result(None)
        self.sent.append((topic, record))
        return done

    @property
    def again(self) -> list[int]:
        return [unpacked(record).origin.offset for topic, record in self.sent if topic == "g.again"]

    @property
    def settled(self) -> dict[str, Fate]:
        marks = [to_settlement(record) for topic, record in self.sent if topic == "g.parked"]
        return {str(mark.address): mark.fate for mark in marks if mark is not None}


class Desk(DeadLetters):
    """Dead letters without a broker: what was found is there."""

    def __init__(self, producer: FakeProducer, *gone: Address) -> None:
        super().__init__(KafkaOptions(("nowhere:1",)), "g.parked", "g.again", "g.control")
        self._producer = producer  # type: ignore[assignment]
        self._gone = gone

    async def fetch(self, addresses: Collection[Address]) -> dict[Address, Letter]:
        return {one: letter(one.offset) for one in addresses if one not in self._gone}


def letter(offset: int) -> Letter:
    """The letter at 1:(offset), of the record at orders-3@(offset)."""
    origin = Record(Partition("orders", 3), offset, 5, b"key", b"value")
    facts = {"cause": "no", "endpoint": "crm", "parked-at-ms": "7"}
    return Letter(Address(1, offset), origin, 5, facts)


async def test_each_is_sent_to_the_partition_of_its_original_and_marked_beside_its_letter() -> None:
    producer = FakeProducer()
    assert await Desk(producer).redrive(errands(map(letter, (4, 2))), "ann") == 2
    assert [(topic, record.partition.number) for topic, record in producer.sent] == [
        ("g.again", 3), ("g.again", 3), ("g.parked", 1), ("g.parked", 1)
    ]  # fmt: skip
    assert producer.again == [2, 4]
    assert producer.settled == {"1:2": Fate.REDRIVEN, "1:4": Fate.REDRIVEN}
    assert producer.sent[0][1].value == b"value"


async def test_what_the_broker_did_not_acknowledge_is_not_marked() -> None:
    producer = FakeProducer(later_2=KafkaTimeoutError())
    with pytest.raises(RedriveError, match=r"1 settled, then topic 'g.again' refused"):
        await Desk(producer).redrive(errands(map(letter, (1, 2))), "ann")
    assert producer.settled == {"1:1": Fate.REDRIVEN}


async def test_nothing_overtakes_a_record_that_does_not_fit() -> None:
    producer = FakeProducer(at_once_2=MessageSizeTooLargeError())
    with pytest.raises(RedriveError, match="orders-3@2"):
        await Desk(producer).redrive(errands(map(letter, (1, 2, 3))), "ann")
    assert producer.again == [1]
    assert producer.settled == {"1:1": Fate.REDRIVEN}


async def test_nothing_overtakes_a_record_that_was_not_acknowledged() -> None:
    """Not even one that the broker would have taken; other keys are not held up by it."""
    producer = FakeProducer(later_1=KafkaTimeoutError())
    with pytest.raises(RedriveError, match="refused"):
        await Desk(producer).redrive(errands(map(letter, (1, 2, 3))), "ann")
    assert producer.again == [1]
    assert producer.settled == {}


async def test_lines_go_side_by_side_and_each_in_its_order() -> None:
    found = errands(map(letter, (1, 2, 3)))
    other = errands([letter(4)])
    other[0].letter.facts = {**other[0].letter.facts, "lane": "x"}
    turns = in_turns([*found, *other])
    assert [[errand.letter.origin.offset for errand in turn] for turn in turns] == [[1, 4], [2], [3]]


async def test_a_round_travels_with_what_is_sent_and_its_mark_comes_as_it_was() -> None:
    producer, lane = FakeProducer(), LaneKey("orders", 3, b"\x00k", "acme")
    (errand,) = errands([letter(1)])
    await Desk(producer).redrive([errand._replace(round="r1")], "ann")
    assert unpacked(producer.sent[0][1]).round == "r1"
    mark = RedriveMark("crm", lane, "m1", "r1", 7)
    await Desk(producer).end_round([mark])
    topic, record = producer.sent[-1]
    assert (topic, record.partition.number, record.key) == ("g.again", 3, b"\x00k")
    assert record.value, "a tombstone would be passed by"
    assert unpacked_mark(record) == mark


async def test_a_mark_that_the_broker_refused_says_what_to_do() -> None:
    producer = FakeProducer(later_mark=KafkaTimeoutError())
    with pytest.raises(RedriveError, match="run it again"):
        await Desk(producer).end_round([RedriveMark("crm", LaneKey("orders", 3, b"k", ""), "m1", "r1", 7)])


async def test_a_letter_that_retention_took_stops_the_batch_before_anything_is_sent() -> None:
    producer = FakeProducer()
    with pytest.raises(RedriveError, match="1:2"):
        await Desk(producer, Address(1, 2)).redrive(errands(map(letter, (1, 2))), "ann")
    assert producer.sent == []


async def test_a_discard_sends_nothing_and_keeps_who_and_why() -> None:
    producer = FakeProducer()
    assert await Desk(producer).discard([letter(1)], "ann", "a test") == 1
    ((topic, record),) = producer.sent
    mark = to_settlement(record)
    assert mark is not None
    assert (topic, mark.fate, mark.by, mark.reason) == ("g.parked", Fate.DISCARDED, "ann", "a test")
    assert record.value is None
