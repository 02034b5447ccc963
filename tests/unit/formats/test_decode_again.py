"""A resent event has the lane and the webhook-id of the original, and goes to the endpoint that parked it."""

from __future__ import annotations

import pytest

from bridge.core.dedupe import Claim, claims_of
from bridge.errors import DecodeError
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.formats.resent import AgainDecoder, ResentDecodeError, packed, unpacked
from bridge.model import Event, Partition, Record, Resend
from bridge.rendering import standard_body

ORDERS = PlainJsonDecoder("orders", id="id", type="type", entity="entity", max_value_bytes=1000, tenant="t")
DECODER = AgainDecoder({"orders": ORDERS}.get, ["crm", "shop"])
ORIGIN = Record(
    Partition("orders", 3),
    17,
    1_700_000_000_123,
    b"key",
    b'{"id": "a", "type": "Paid", "entity": "e", "t": "acme"}',
    (("trace", b"\x00\xff"), ("trace", b"")),
)


def carried(origin: Record = ORIGIN, endpoint: str | None = "crm", again_id: str = "x1") -> Record:
    headers = packed(Resend(origin, endpoint, again_id))
    return Record(Partition("g.again", 3), 5, 1_800_000_000_000, origin.key, origin.value, headers)


def claim(event: Event) -> Claim:
    """Return the claim of one event."""
    (claim,) = claims_of([(event.record, [event])])
    return claim


@pytest.mark.parametrize("endpoint", ["crm", None])
@pytest.mark.parametrize(
    "origin", [ORIGIN, ORIGIN._replace(key=None), ORIGIN._replace(headers=(), value=b"")]
)
def test_what_is_packed_is_unpacked(origin: Record, endpoint: str | None) -> None:
    assert unpacked(carried(origin, endpoint)) == Resend(origin, endpoint, "x1")


def test_an_event_sent_again_has_the_lane_and_the_webhook_id_of_the_first_time() -> None:
    (first,), (again,) = ORDERS.decode(ORIGIN), DECODER.decode(carried())
    assert again.lane == first.lane
    assert again.lane[:2] == ("orders", 3)  # type: ignore[index]
    assert (again.webhook_id, again.id, again.time) == (first.webhook_id, first.id, first.time)
    assert standard_body(again) == standard_body(first)


def resent(webhook_id: str, *, number: int = 0) -> Event:
    headers = packed(Resend(ORIGIN, "crm", "x1", number, "", webhook_id))
    (event,) = DECODER.decode(Record(Partition("g.again", 3), 5, 1, ORIGIN.key, ORIGIN.value, headers))
    return event


def test_an_event_sent_again_keeps_the_webhook_id_that_an_earlier_version_gave_it() -> None:
    """A letter that was parked before an upgrade contains another id than the decoder would give."""
    uuid = "abda146d-68b5-48ca-b527-16d2b7c5daef"
    assert resent(uuid).webhook_id == uuid
    assert resent("evt_521215d1c8c0bb5d1a1b781cdcee0592").webhook_id == "evt_521215d1c8c0bb5d1a1b781cdcee0592"


@pytest.mark.parametrize("odd", ["", "a.b", "a b", "\u017c", "x" * 300, "a\r\nb"])
def test_a_webhook_id_that_cannot_be_signed_is_not_taken_over(odd: str) -> None:
    (first,) = ORDERS.decode(ORIGIN)
    assert resent(odd).webhook_id == first.webhook_id


def test_its_record_is_the_one_whose_offset_settles_and_its_origin_the_one_that_is_parked() -> None:
    record = carried()
    (again,) = DECODER.decode(record)
    assert again.record is record
    assert again.origin == ORIGIN


@pytest.mark.parametrize("endpoint", ["crm", None])
def test_it_is_for_whom_it_was_parked(endpoint: str | None) -> None:
    assert DECODER.decode(carried(endpoint=endpoint))[0].resend.endpoint == endpoint


def test_two_redrives_of_an_event_are_no_duplicates_and_one_that_was_produced_twice_is() -> None:
    once, twice, other = (
        claim(DECODER.decode(carried(again_id=again_id))[0])[:2] for again_id in ("x1", "x1", "x2")
    )
    assert once == twice
    assert once != other
    assert once != claim(ORDERS.decode(ORIGIN)[0])[:2]


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        (carried(ORIGIN._replace(value=b"{")), "not JSON"),
        (carried(ORIGIN._replace(partition=Partition("gone", 0))), "no source reads topic 'gone'"),
        (carried(endpoint="old"), "no endpoint 'old'"),
        (carried(ORIGIN._replace(partition=Partition("g.again", 0))), "no source reads topic 'g.again'"),
    ],
)
def test_what_cannot_be_decoded_names_the_original_and_its_endpoint(record: Record, cause: str) -> None:
    """So that it is parked as it first was, and not as a record of this topic."""
    with pytest.raises(ResentDecodeError, match=cause) as raised:
        DECODER.decode(record)
    assert raised.value.resend == unpacked(record)
    assert raised.value.remedy


@pytest.mark.parametrize("name", ["topic", "partition", "offset", "timestamp-ms", "again-id"])
def test_a_record_that_somebody_else_wrote_is_rejected_as_it_is(name: str) -> None:
    record = carried()
    lacking = tuple(pair for pair in record.headers if pair[0] != f"hookferry-{name}")
    with pytest.raises(DecodeError, match=f"hookferry-{name} is missing") as raised:
        DECODER.decode(record._replace(headers=lacking))
    assert not isinstance(raised.value, ResentDecodeError)


@pytest.mark.parametrize("value", [b"\xff", b"x", b""])
def test_a_damaged_header_is_an_error_with_its_cause(value: bytes) -> None:
    record = carried()
    damaged = tuple((name, value if name == "hookferry-offset" else was) for name, was in record.headers)
    with pytest.raises(DecodeError, match="damaged"):
        DECODER.decode(record._replace(headers=damaged))
