import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import DecodeError
from bridge.formats import derive_lane, require_value, webhook_id
from bridge.formats.timestamp import from_millis, from_text
from tests.support.records import record

UUID = "abda146d-68b5-48ca-b527-16d2b7c5daef"


def test_a_value_over_the_limit_is_refused_with_size_limit_and_setting():
    with pytest.raises(DecodeError) as caught:
        require_value(record(b"x" * 11), "orders", 10)
    text = str(caught.value)
    assert "11" in text
    assert "10" in text
    assert "sources.orders.max_value_bytes" in text
    assert "topic-3@17" in text


def test_a_value_of_exactly_the_limit_passes():
    assert require_value(record(b"x" * 10), "orders", 10) == b"x" * 10


def test_a_tombstone_is_refused():
    with pytest.raises(DecodeError, match="tombstone"):
        require_value(record(None), "orders", 10)


def test_a_uuid_is_kept_as_the_webhook_id():
    assert webhook_id("s", "t", UUID, 0) == UUID
    assert webhook_id("s", "t", UUID.upper(), 0) == UUID


def test_the_second_event_of_a_record_never_shares_the_first_ones_webhook_id():
    assert webhook_id("s", "t", UUID, 1) != webhook_id("s", "t", UUID, 0)
    assert webhook_id("s", "t", "x", 1) != webhook_id("s", "t", "x", 0)


def test_a_webhook_id_is_the_same_on_every_run():
    """The expected id is a literal: with another algorithm receivers would accept old events as new ones."""
    assert webhook_id("orders", None, "42", 0) == "evt_521215d1c8c0bb5d1a1b781cdcee0592"


@given(st.text(), st.none() | st.text(), st.text(), st.integers(0, 9))
def test_a_webhook_id_has_36_characters_and_no_dot(source, tenant, id_, index):
    assert re.fullmatch(r"evt_[0-9a-f]{32}|[0-9a-f-]{36}", webhook_id(source, tenant, id_, index))


def test_different_parts_with_the_same_joined_text_have_different_webhook_ids():
    triples = [("a", "b", "cd"), ("a", "bc", "d"), ("ab", "c", "d"), ("a", "", "bcd"), ("a", None, "bcd")]
    assert len({webhook_id(*triple, 0) for triple in triples}) == len(triples)


def test_the_lane_is_the_key_else_the_entity_else_none():
    assert derive_lane(record(b"", key=b"1"), "e", "t") == ("topic", 3, b"1", "t")
    assert derive_lane(record(b"", key=b"1"), "e", None) == ("topic", 3, b"1", "")
    assert derive_lane(record(b"", key=None), "e", "t") == ("topic", 3, "e", "t")
    assert derive_lane(record(b"", key=None), None, "t") is None
    assert derive_lane(record(b"", key=b""), None, None) is not None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-06-29T08:15:30.123456", "2026-06-29T08:15:30.123456Z"),
        ("2026-06-29T08:15:30.123456789", "2026-06-29T08:15:30.123456789Z"),
        ("2026-06-29T08:15:30.1234567891", "2026-06-29T08:15:30.123456789Z"),
        ("2026-06-29T08:15:30", "2026-06-29T08:15:30Z"),
        ("2026-06-29T08:15", "2026-06-29T08:15:00Z"),
        ("2026-06-29t08:15:30z", "2026-06-29T08:15:30Z"),
        ("2026-06-29 08:15:30.5Z", "2026-06-29T08:15:30.5Z"),
        ("2026-06-29T01:15:30.123456789+02:00", "2026-06-28T23:15:30.123456789Z"),
        ("2026-12-31T23:30:00-05:30", "2027-01-01T05:00:00Z"),
        ("0999-12-31T23:30:00-01:00", "1000-01-01T00:30:00Z"),
        ("0099-01-01T00:00:00+00:00", "0099-01-01T00:00:00Z"),
    ],
)
def test_an_instant_keeps_its_digits_and_is_converted_to_utc(text, instant):
    assert from_text(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01T00:00:00",
        "2026-02-30T00:00:00Z",
        "2026-06-29",
        "2026-06-29T08:15:30123",
        "2026-06-29T08:15.5",
        "0001-01-01T00:00:00+01:00",
        "2026-06-29T08:15:30+99:00",
        "\u0662026-06-29T08:15:30",
        "2026-06-29T08:15:30Z\n",
    ],
)
def test_text_that_is_not_an_instant_is_none(text):
    assert from_text(text) is None


def test_milliseconds_out_of_range_are_clamped():
    assert from_millis(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert from_millis(-1) == "1970-01-01T00:00:00.000Z"
    assert from_millis(10**30) == "9999-12-31T23:59:59.999Z"
