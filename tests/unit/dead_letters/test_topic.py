"""The dead-letter record: the original bytes, the reason beside them, errors that hold the offset."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from bridge.dead_letters.topic import Parking, Reason
from bridge.errors import ParkError
from bridge.kafka.client_health import Lasting
from bridge.model import Partition, Record

RECORD = Record(
    Partition("orders", 3), 17, 1_700_000_000_123, b"key", b"\x00\xffvalue", (("trace", b"\x01"),)
)
REASON = Reason("status 400: no", "mend it", endpoint="crm", details={"attempts": "2"})


class FakeProducer:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[tuple[str, dict[str, Any]]] = []

    async def send_and_wait(self, topic: str, **message: Any) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((topic, message))


def lasting(producer: FakeProducer) -> Lasting[Any]:
    return Lasting(producer, None, "dead letters")  # type: ignore[type-var]


async def park(record: Record = RECORD, reason: Reason = REASON) -> dict[str, Any]:
    producer = FakeProducer()
    await Parking(lasting(producer), "g.parked").park(record, reason)
    ((topic, message),) = producer.sent
    assert topic == "g.parked"
    return message


async def test_key_value_and_headers_stay_as_they_were() -> None:
    message = await park()
    assert (message["key"], message["value"]) == (b"key", b"\x00\xffvalue")
    assert message["headers"][0] == ("trace", b"\x01")


async def test_the_reason_and_the_place_stand_in_headers() -> None:
    headers = dict((await park())["headers"])
    assert int(headers.pop("hookferry-parked-at-ms")) > 1_700_000_000_000
    assert headers == {
        "trace": b"\x01",
        "hookferry-cause": b"status 400: no",
        "hookferry-remedy": b"mend it",
        "hookferry-topic": b"orders",
        "hookferry-partition": b"3",
        "hookferry-offset": b"17",
        "hookferry-timestamp-ms": b"1700000000123",
        "hookferry-endpoint": b"crm",
        "hookferry-attempts": b"2",
    }


async def test_a_record_rejected_for_all_names_no_endpoint() -> None:
    headers = dict((await park(reason=Reason("no JSON", "send JSON")))["headers"])
    assert "hookferry-endpoint" not in headers


async def test_the_reason_of_an_earlier_parking_is_replaced() -> None:
    earlier = RECORD._replace(headers=(("hookferry-cause", b"old"), ("hookferry-x", b"old"), ("a", b"")))
    headers = (await park(earlier))["headers"]
    assert [value for name, value in headers if name == "hookferry-cause"] == [b"status 400: no"]
    assert b"old" not in dict(headers).values()
    assert ("a", b"") in headers


async def test_a_cause_without_end_or_with_odd_characters_is_kept_in_bounds() -> None:
    headers = dict((await park(reason=REASON._replace(cause="\ud800" + "x" * 100_000)))["headers"])
    assert len(headers["hookferry-cause"]) == 2_000


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MessageSizeTooLargeError(), "max.message.bytes"),
        (KafkaTimeoutError(), "did not take orders-3@17"),
        (OSError("no route"), "did not take orders-3@17"),
    ],
)
async def test_what_the_topic_did_not_take_is_a_park_error(error: Exception, said: str) -> None:
    with pytest.raises(ParkError, match=said):
        await Parking(lasting(FakeProducer(error)), "g.parked").park(RECORD, REASON)


async def test_a_fault_of_our_own_is_not_taken_for_the_topics() -> None:
    with pytest.raises(TypeError):
        await Parking(lasting(FakeProducer(TypeError())), "g.parked").park(RECORD, REASON)
