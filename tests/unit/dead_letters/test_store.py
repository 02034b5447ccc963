"""A redrive marks only what the broker has acknowledged, whatever fails in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

import pytest

from bridge.dead_letters import stub
from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Address, Fate, Letter, to_settlement
from bridge.dead_letters.letter_reader import LetterReader
from bridge.dead_letters.resend_request import resend_requests
from bridge.dead_letters.store import DeadLetterStore, RedriveError
from bridge.errors import BrokerError
from bridge.formats.resent import MARK_VALUE, unpacked, unpacked_mark
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import NewRecord
from bridge.model import LaneKey, Partition, Record, RedriveMark
from tests.support.fake_producer import FakeProducer, broker_error


def as_record(written: NewRecord) -> Record:
    """Return a written record as a reader of its topic would get it."""
    place = Partition(written.topic, written.partition or 0)
    return Record(place, 0, 0, written.key, written.value, tuple(written.headers))


class RecordingProducer(FakeProducer):
    """Refuses the originals with these offsets, or all marks."""

    def __init__(self, *refused: int, refuse_marks: bool = False) -> None:
        super().__init__(self._refusal)
        self._refused = refused
        self._refuse_marks = refuse_marks

    def _refusal(self, record: NewRecord) -> BrokerError | None:
        if record.topic != "g.again":
            return None
        is_mark = record.value == MARK_VALUE
        refused = (
            self._refuse_marks if is_mark else unpacked(as_record(record)).origin.offset in self._refused
        )
        return broker_error() if refused else None

    @property
    def resent(self) -> list[int]:
        return [
            unpacked(as_record(record)).origin.offset for record in self.written if record.topic == "g.again"
        ]

    @property
    def settled(self) -> dict[str, Fate]:
        markers = [to_settlement(as_record(record)) for record in self.written if record.topic == "g.parked"]
        return {str(marker.address): marker.fate for marker in markers if marker is not None}


class SourceTopic:
    """A reader of orders-3, which has this record at its place, or nothing any more."""

    def __init__(self, record: Record | None) -> None:
        self._record = record

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0 if self._record else 100)

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 100)

    async def written(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 100)

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        if self._record is not None and start == self._record.offset:
            yield [self._record]


class StoreOverFakes(DeadLetterStore):
    """A store whose letters exist, except those that are gone."""

    def __init__(self, producer: FakeProducer, *gone: Address, source: Record | None = None) -> None:
        super().__init__(KafkaOptions(("nowhere:1",)), "g.parked", "g.again", "g.control", producer)
        self._gone = gone
        self._letters = LetterReader(SourceTopic(source), "g.parked", 2)  # type: ignore[arg-type] # what it calls
        self.stubs: dict[Address, Letter] = {}

    async def fetch(self, addresses: Collection[Address]) -> dict[Address, Letter]:
        return {
            address: self.stubs.get(address) or letter(address.offset)
            for address in addresses
            if address not in self._gone
        }


def letter(offset: int) -> Letter:
    """Return the letter at 1:(offset), of the record at orders-3@(offset)."""
    origin = Record(Partition("orders", 3), offset, 5, b"key", b"value")
    facts = {"cause": "no", "endpoint": "crm", "parked-at-ms": "7"}
    return Letter(Address(1, offset), origin, 5, facts)


async def test_a_record_goes_to_the_partition_of_its_original_and_its_marker_to_the_one_of_its_letter() -> (
    None
):
    producer = RecordingProducer()
    assert await StoreOverFakes(producer).redrive(resend_requests(map(letter, (4, 2))), "ann") == 2
    assert [(record.topic, record.partition) for record in producer.written] == [
        ("g.again", 3), ("g.again", 3), ("g.parked", 1), ("g.parked", 1)
    ]  # fmt: skip
    assert producer.resent == [2, 4]
    assert producer.settled == {"1:2": Fate.REDRIVEN, "1:4": Fate.REDRIVEN}
    assert producer.written[0].value == b"value"
    assert {record.key for record in producer.written} == {b"key"}


async def test_a_record_that_the_broker_did_not_acknowledge_is_not_marked() -> None:
    producer = RecordingProducer(2)
    with pytest.raises(RedriveError, match=r"1 settled, then: cannot write"):
        await StoreOverFakes(producer).redrive(resend_requests(map(letter, (1, 2))), "ann")
    assert producer.settled == {"1:1": Fate.REDRIVEN}


async def test_no_record_overtakes_one_of_its_lane_that_was_not_acknowledged() -> None:
    producer = RecordingProducer(2)
    with pytest.raises(RedriveError, match="the others still wait"):
        await StoreOverFakes(producer).redrive(resend_requests(map(letter, (1, 2, 3))), "ann")
    assert producer.resent == [1]
    assert producer.settled == {"1:1": Fate.REDRIVEN}


async def test_if_the_first_record_is_refused_nothing_of_its_lane_is_sent() -> None:
    producer = RecordingProducer(1)
    with pytest.raises(RedriveError, match="0 settled"):
        await StoreOverFakes(producer).redrive(resend_requests(map(letter, (1, 2, 3))), "ann")
    assert producer.resent == []
    assert producer.settled == {}


WHOLE = Record(Partition("orders", 3), 2, 5, b"key", b"value" * 100)


def stub_of(record: Record) -> Letter:
    """Return the letter that is a stub of a record."""
    kept = stub.cut(record, stub.Budget(5, 100))
    facts = {"cause": "no", "endpoint": "crm", "parked-at-ms": "7", "topic": "orders", "partition": "3",
             "offset": str(record.offset), **stub.stub_facts(record, kept)}  # fmt: skip
    return Letter(Address(1, record.offset), kept, len(record.value or b""), facts)


async def test_a_stub_is_sent_as_the_whole_record_from_its_source_topic() -> None:
    producer = RecordingProducer()
    store, letter = StoreOverFakes(producer, source=WHOLE), stub_of(WHOLE)
    store.stubs[letter.address] = letter
    assert await store.lost_stubs([letter]) == {}
    assert await store.redrive(resend_requests([letter]), "ann") == 1
    assert producer.written[0].value == WHOLE.value
    assert unpacked(as_record(producer.written[0])).origin == WHOLE


@pytest.mark.parametrize("source", [None, WHOLE._replace(value=b"other"), WHOLE._replace(timestamp_ms=6)])
async def test_a_stub_whose_record_is_gone_or_replaced_is_refused_with_the_reason(
    source: Record | None,
) -> None:
    producer = RecordingProducer()
    store, stubbed = StoreOverFakes(producer, source=source), stub_of(WHOLE)
    store.stubs[stubbed.address] = stubbed
    ((address, (cause, remedy)),) = (await store.lost_stubs([letter(1), stubbed])).items()
    assert address == stubbed.address
    assert "orders-3@2" in cause
    assert "discard this one" in remedy
    with pytest.raises(RedriveError, match="1 settled, then: it is a stub"):
        await store.redrive(resend_requests([letter(1), stubbed]), "ann")
    assert producer.settled == {"1:1": Fate.REDRIVEN}


async def test_the_round_of_a_request_and_its_mark_are_sent_unchanged() -> None:
    producer, lane = RecordingProducer(), LaneKey("orders", 3, b"\x00k", "acme")
    (request,) = resend_requests([letter(1)])
    await StoreOverFakes(producer).redrive([request._replace(round="r1")], "ann")
    assert unpacked(as_record(producer.written[0])).round == "r1"
    mark = RedriveMark("crm", lane, "m1", "r1", 7)
    await StoreOverFakes(producer).send_marks([mark])
    written = producer.written[-1]
    assert (written.topic, written.partition, written.key) == ("g.again", 3, b"\x00k")
    assert written.value, "a tombstone would be skipped"
    assert unpacked_mark(as_record(written)) == mark


async def test_the_webhook_id_that_a_letter_records_is_sent_with_it() -> None:
    producer = RecordingProducer()
    with_id, without = letter(1), letter(2)
    with_id.facts = {**with_id.facts, "webhook-id": "of-an-earlier-version"}
    await StoreOverFakes(producer).redrive(resend_requests([with_id, without]), "ann")
    sent = [unpacked(as_record(record)).webhook_id for record in producer.written[:2]]
    assert sent == ["of-an-earlier-version", ""]


async def test_a_refused_mark_is_reported_with_what_to_do() -> None:
    producer = RecordingProducer(refuse_marks=True)
    with pytest.raises(RedriveError, match="stay held; run the command again"):
        await StoreOverFakes(producer).send_marks(
            [RedriveMark("crm", LaneKey("orders", 3, b"k", ""), "m1", "r1", 7)]
        )


async def test_a_letter_that_retention_deleted_stops_the_batch_before_anything_is_sent() -> None:
    producer = RecordingProducer()
    with pytest.raises(RedriveError, match="1:2"):
        await StoreOverFakes(producer, Address(1, 2)).redrive(resend_requests(map(letter, (1, 2))), "ann")
    assert producer.written == []


async def test_a_discard_sends_only_a_marker_with_its_author_and_reason() -> None:
    producer = RecordingProducer()
    assert await StoreOverFakes(producer).discard([letter(1)], "ann", "a test") == 1
    (written,) = producer.written
    marker = to_settlement(as_record(written))
    assert marker is not None
    assert (written.topic, marker.fate, marker.by, marker.reason) == (
        "g.parked", Fate.DISCARDED, "ann", "a test"
    )  # fmt: skip
    assert written.value is None


async def test_forgotten_holds_are_tombstones_in_the_partition_that_all_pods_read() -> None:
    producer, key = RecordingProducer(), HoldKey("crm", "lane")
    await StoreOverFakes(producer).forget_holds([key])
    assert producer.written == [NewRecord("g.control", None, key.to_bytes(), 0)]
