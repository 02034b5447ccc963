"""The dead-letter record: the original bytes, the reason in headers, and errors that keep the offset."""

from __future__ import annotations

import pytest

from bridge.dead_letters.topic import DeadLetterTopic, Reason
from bridge.errors import BrokerError, ParkError, RecordTooLarge
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from tests.support.fake_producer import FakeProducer, broker_error

RECORD = Record(
    Partition("orders", 3), 17, 1_700_000_000_123, b"key", b"\x00\xffvalue", (("trace", b"\x01"),)
)
REASON = Reason("status 400: no", "fix it", endpoint="crm", details={"attempts": "2"})


async def park(record: Record = RECORD, reason: Reason = REASON) -> NewRecord:
    producer = FakeProducer()
    await DeadLetterTopic(producer, "g.parked").park(record, reason)
    (written,) = producer.written
    assert written.topic == "g.parked"
    return written


async def test_key_value_and_headers_are_kept_unchanged() -> None:
    written = await park()
    assert (written.key, written.value) == (b"key", b"\x00\xffvalue")
    assert written.headers[0] == ("trace", b"\x01")
    assert written.partition is None, "the key must choose the partition"


async def test_the_reason_and_the_place_are_in_headers() -> None:
    headers = dict((await park()).headers)
    assert int(headers.pop("hookferry-parked-at-ms")) > 1_700_000_000_000
    assert headers == {
        "trace": b"\x01",
        "hookferry-cause": b"status 400: no",
        "hookferry-remedy": b"fix it",
        "hookferry-topic": b"orders",
        "hookferry-partition": b"3",
        "hookferry-offset": b"17",
        "hookferry-timestamp-ms": b"1700000000123",
        "hookferry-endpoint": b"crm",
        "hookferry-attempts": b"2",
    }


async def test_a_record_rejected_for_all_endpoints_names_none() -> None:
    headers = dict((await park(reason=Reason("no JSON", "send JSON"))).headers)
    assert "hookferry-endpoint" not in headers


async def test_the_reason_of_an_earlier_parking_is_replaced() -> None:
    earlier = RECORD._replace(headers=(("hookferry-cause", b"old"), ("hookferry-x", b"old"), ("a", b"")))
    headers = (await park(earlier)).headers
    assert [value for name, value in headers if name == "hookferry-cause"] == [b"status 400: no"]
    assert b"old" not in dict(headers).values()
    assert ("a", b"") in headers


async def test_a_long_or_unencodable_cause_is_shortened_and_replaced() -> None:
    headers = dict((await park(reason=REASON._replace(cause="\ud800" + "x" * 100_000))).headers)
    assert len(headers["hookferry-cause"]) == 2_000


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            RecordTooLarge("write", "too large", "…"),
            "cannot park orders-3@17 in topic 'g.parked': too large",
        ),
        (broker_error("KafkaTimeoutError"), "cannot park orders-3@17: .*KafkaTimeoutError"),
    ],
)
async def test_a_record_that_the_topic_did_not_take_is_a_park_error(error: BrokerError, text: str) -> None:
    with pytest.raises(ParkError, match=text):
        await DeadLetterTopic(FakeProducer(lambda _: error), "g.parked").park(RECORD, REASON)
