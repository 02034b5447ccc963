"""Stubs: what is kept of a record that no topic accepts, and which record a redrive accepts in its place."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dead_letters import stub
from bridge.dead_letters.letter import Letter, to_letter
from bridge.dead_letters.topic import DeadLetterTopic, Reason
from bridge.errors import BrokerError, ParkError, RecordTooLarge
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from tests.support.fake_producer import FakeProducer, broker_error

PLACE = Partition("orders", 3)
HEADERS = (("trace", b"1"), ("long", b"h" * 100_000), ("null", None), ("", b""))
BIG = Record(PLACE, 17, 1_700_000_000_123, b"key", b"v" * 200_000, HEADERS)
REASON = Reason("status 413", "fix it", "crm", {"event-id": "i" * 100_000, "lane": "ab"})

RECORDS = st.builds(
    Record,
    st.just(PLACE),
    st.just(17),
    st.integers(0, 3),
    st.none() | st.binary(max_size=3),
    st.none() | st.binary(max_size=3),
    st.lists(st.tuples(st.text(max_size=2), st.none() | st.binary(max_size=2)), max_size=3).map(tuple),
    damage=st.none(),
)


def too_large() -> RecordTooLarge:
    return RecordTooLarge("write to topic 'g.parked'", "it has 9 bytes", "run: kafka-configs.sh …")


class SmallTopic(FakeProducer):
    """A dead-letter topic that accepts this many bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(lambda record: too_large() if record.plain_bytes > limit else None)


def as_letter(written: NewRecord) -> Letter:
    place = Partition(written.topic, 0)
    value = b"" if written.key is None and written.value is None else written.value  # as the producer does
    letter = to_letter(Record(place, 5, 0, written.key, value, tuple(written.headers)))
    assert letter is not None
    return letter


async def parked(record: Record, limit: int) -> Letter:
    producer = SmallTopic(limit)
    await DeadLetterTopic(producer, "g.parked", stubs=True).park(record, REASON)
    (written,) = producer.written
    return as_letter(written)


async def test_a_record_that_fits_is_no_stub() -> None:
    letter = await parked(BIG, 10_000_000)
    assert (letter.is_stub, letter.origin) == (False, BIG)


async def test_a_stub_has_the_place_the_size_the_hash_and_what_fits_of_the_rest() -> None:
    letter = await parked(BIG, 120_000)
    assert letter.is_stub
    assert letter.size_bytes == 200_000
    assert letter.facts[stub.VALUE_SHA256] == sha256(BIG.value or b"").hexdigest()
    assert letter.facts[stub.HEADERS_LEFT_OUT] == "1"
    assert letter.origin == BIG._replace(value=b"v" * 65_536, headers=(HEADERS[0], *HEADERS[2:]))
    assert (letter.facts["cause"], letter.endpoint, letter.facts["lane"]) == ("status 413", "crm", "ab")
    assert len(letter.facts["event-id"]) == 500, "an id comes from the record and may be as large"


@pytest.mark.parametrize(("limit", "kept"), [(10_000, 1_024), (2_000, 0)])
async def test_a_topic_with_a_small_limit_gets_a_smaller_stub(limit: int, kept: int) -> None:
    letter = await parked(BIG, limit)
    assert letter.origin.value == b"v" * kept
    assert letter.size_bytes == 200_000


async def test_a_key_that_does_not_fit_is_left_out_with_its_size() -> None:
    letter = await parked(BIG._replace(key=b"k" * 50_000), 120_000)
    assert letter.origin.key is None
    assert letter.facts[stub.KEY_BYTES] == "50000"


@pytest.mark.parametrize("key", [None, b"k"])
async def test_a_null_value_stays_null_in_a_stub(key: bytes | None) -> None:
    letter = await parked(BIG._replace(key=key, value=None), 60_000)
    assert letter.is_stub
    assert (letter.origin.value, letter.size_bytes) == (None, 0)


async def test_without_stubs_the_error_has_the_remedy_of_the_topic_and_the_setting() -> None:
    with pytest.raises(ParkError, match=r"orders-3@17 in topic 'g\.parked': it has 9 bytes") as caught:
        await DeadLetterTopic(SmallTopic(1000), "g.parked").park(BIG, REASON)
    assert caught.value.remedy.startswith("run: kafka-configs.sh …; ")
    assert "park_oversize: stub" in caught.value.remedy


@pytest.mark.parametrize("error", [too_large(), broker_error()])
async def test_a_stub_that_cannot_be_written_is_a_park_error(error: BrokerError) -> None:
    def refuse(record: NewRecord) -> BrokerError:
        is_stub = any(name.startswith("hookferry-stub") for name, _ in record.headers)
        return error if is_stub else too_large()

    with pytest.raises(ParkError, match="stub of orders-3@17"):
        await DeadLetterTopic(FakeProducer(refuse), "g.parked", stubs=True).park(BIG, REASON)


@pytest.mark.parametrize(
    "other",
    [
        BIG._replace(value=b"w" * 200_000),
        BIG._replace(key=b"other"),
        BIG._replace(timestamp_ms=1),
        BIG._replace(headers=HEADERS[:3]),
        None,
    ],
)
async def test_only_the_whole_record_itself_replaces_its_stub(other: Record | None) -> None:
    facts = (await parked(BIG, 120_000)).facts
    assert stub.mismatch(facts, BIG) is None
    problem = stub.mismatch(facts, other)
    assert problem is not None
    assert "orders-3@17" in problem[0]


@given(RECORDS, RECORDS)
def test_two_records_have_the_same_digest_only_if_they_are_equal(one: Record, other: Record) -> None:
    assert (stub.digest(one) == stub.digest(other)) == (one == other)


@pytest.mark.parametrize("value", [None, b""])
async def test_a_letter_without_key_and_value_keeps_null_apart_from_empty(value: bytes | None) -> None:
    record = BIG._replace(key=None, value=value)
    letter = await parked(record, 10_000_000)
    assert letter.origin == record
