"""What makes an event one: source, topic, tenant, id with its JSON type. And what a receiver gets of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.core.dedupe import claims_of
from bridge.formats import digest_of_bytes, digest_of_document
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.fineract import FineractDecoder
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.model import Event, ExactNumber, Partition, Record
from tests.support.fineract_records import DEMO, encode_envelope, envelope

JSON = PlainJsonDecoder("s", id="id", type="type", data="data", tenant="tenant", max_value_bytes=9999)
UUID = "abda146d-68b5-48ca-b527-16d2b7c5daef"


def decode(value: bytes | dict[str, Any], topic: str = "a", **settings: Any) -> Event:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    (event,) = JSON.decode(Record(Partition(topic, 0), 7, 1_700_000_000_123, None, raw))
    return event


def key(event: Event) -> tuple[int, int]:
    ((high, low, _, _),) = claims_of([(event.record, [event])])
    return high, low


@pytest.mark.parametrize("id_", ["1", UUID])
def test_one_id_in_three_topics_of_a_source_gives_three_webhook_ids(id_: str) -> None:
    value = {"id": id_, "type": "t", "data": 1}
    assert len({decode(value, topic).webhook_id for topic in ("loans", "clients", "savings")}) == 3
    assert decode(value).webhook_id == decode(value).webhook_id


@pytest.mark.parametrize("id_", [UUID, UUID.upper(), "00000000-0000-0000-0000-000000000000"])
def test_a_uuid_can_be_read_in_the_webhook_id(id_: str) -> None:
    assert decode({"id": id_, "type": "t", "data": 1}).webhook_id.startswith(f"{id_.lower()}_")


@pytest.mark.parametrize(
    "id_",
    [
        UUID[:-1], f"{UUID}0", UUID.replace("-", ""), f"{UUID[:-1]}g", f"{UUID[:-1]}.", f"{UUID[:-1]}\n",
        f"{UUID[:-1]}\u0661", f"{UUID[:-1]}x", f"-{UUID[1:]}", UUID.replace("-", "0"), "x" * 36,
        UUID[::-1],
    ],
)  # fmt: skip
def test_no_other_text_is_in_the_webhook_id(id_: str) -> None:
    assert decode({"id": id_, "type": "t", "data": 1}).webhook_id.startswith("evt_")


def test_ids_of_different_json_types_are_different_events() -> None:
    ids = [
        b"1", b'"1"', b"1.0", b'"1.0"', b"true", b'"true"', b"false", b"-1", b"10", b"1.5", b'"number,1"',
        b"18446744073709551616", b"18446744073709551617", b'"18446744073709551616"', b"0.1",
        b"0.1000000000000000055511151231257827", b"1e400", b"1e401",
    ]  # fmt: skip
    events = [decode(b'{"id": %s, "type": "t", "data": 1}' % each) for each in ids]
    assert len({key(event) for event in events}) == len(ids)
    assert len({event.webhook_id for event in events}) == len(ids)
    assert [event.id for event in events[:6]] == ["1", "1", "1.0", "1.0", "true", "true"], "shown as text"


def test_two_tenants_and_no_tenant_are_three_events() -> None:
    parts = ({"tenant": "a"}, {"tenant": "b"}, {"tenant": ""}, {}, {"tenant": None})
    events = [decode({"id": "1", "type": "t", "data": 1, **part}) for part in parts]
    assert len({key(event) for event in events}) == 4
    assert len({event.webhook_id for event in events}) == 4


def test_a_fineract_event_that_is_published_again_is_the_same_for_a_receiver() -> None:
    """Its envelope has another time and number, and its record another offset."""
    decoder = FineractDecoder("s", DEMO, max_value_bytes=9999)
    changed = (
        {"created_at": "2026-06-30T00:00:00"}, {"id": 9}, {"business_date": "2026-06-30"},
        {"source": "other"},
    )  # fmt: skip
    (first,) = decoder.decode(Record(Partition("t", 0), 1, 1, None, encode_envelope(envelope())))
    for change in changed:
        raw = encode_envelope(envelope(**change))
        (again,) = decoder.decode(Record(Partition("t", 0), 2, 2, None, raw))
        assert (key(again), again.digest) == (key(first), first.digest)
    for change in ({"type": "Other"}, {"data": b"other"}):  # type: ignore[assignment]
        (other,) = decoder.decode(Record(Partition("t", 0), 2, 2, None, encode_envelope(envelope(**change))))
        assert key(other) == key(first)
        assert other.digest != first.digest


def test_json_data_is_compared_without_its_envelope_the_order_of_its_keys_and_white_space() -> None:
    first = decode(b'{"id": "1", "type": "t", "at": 1, "data": {"a": 1, "b": [1.5]}}')
    again = decode(b'{"at":2,"data":{"b":[1.50],"a":1},"id":"1","type":"t"}')
    assert again.digest == first.digest != 0
    for other in (
        b'{"id": "1", "type": "u", "data": {"a": 1, "b": [1.5]}}',
        b'{"id": "1", "type": "t", "data": 1}',
    ):
        assert decode(other).digest != first.digest


def test_data_of_a_cloudevent_is_compared_without_its_attributes() -> None:
    decoder = CloudEventsDecoder("s", max_value_bytes=9999)

    def of(**change: Any) -> int:
        document = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"a": 1}, **change}
        headers = (("content-type", b"application/cloudevents+json"),)
        (event,) = decoder.decode(Record(Partition("t", 0), 1, 1, None, orjson.dumps(document), headers))
        return event.digest

    assert of() == of(time="2026-06-29T08:15:30Z", traceparent="00-1") != 0
    assert len({of(), of(type="u"), of(data={"a": 2}), of(data=None)}) == 4


def test_a_digest_fits_sqlite_and_tells_type_from_data() -> None:
    digests = [digest_of_bytes(type, data) for type in ("t", "u", "\ud800") for data in (b"", b"x" * 100)]
    assert len(set(digests)) == 6
    assert all(0 <= digest < 2**63 for digest in digests)
    assert (
        digest_of_bytes("t", b"a") >> 32
        == digest_of_bytes("t", b"b") >> 32
        != digest_of_bytes("u", b"") >> 32
    )


def test_data_that_has_no_json_form_has_a_digest_or_none_and_raises_nothing() -> None:
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    assert digest_of_document("t", deep) == 0
    numbers = [ExactNumber("12345678901234567.89"), ExactNumber("12345678901234567.88")]
    assert len({digest_of_document("t", number) for number in numbers}) == 2
    assert digest_of_document("t", {"a": b"\xff", "b": float("nan")}) != 0
