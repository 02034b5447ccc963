import re
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import DecodeError
from bridge.formats import derive_lane, require_value, webhook_id
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


def test_a_webhook_id_begins_with_the_uuid_of_the_producer():
    assert webhook_id("s", "o", "t", UUID).startswith(f"{UUID}_")
    assert webhook_id("s", "o", "t", UUID.upper()).startswith(f"{UUID}_")


@pytest.mark.parametrize("id_", [UUID, "1"])
def test_each_part_of_an_events_identity_changes_the_webhook_id(id_):
    parts = [
        ("s", "topic", "t", id_, 0, "text"),
        ("s", "topic2", "t", id_, 0, "text"),
        ("s2", "topic", "t", id_, 0, "text"),
        ("s", "topic", "t2", id_, 0, "text"),
        ("s", "topic", None, id_, 0, "text"),
        ("s", "topic", "", id_, 0, "text"),
        ("s", "topic", "t", id_, 1, "text"),
        ("s", "topic", "t", id_, 0, "number"),
        ("s", "topic", "t", id_ + "0", 0, "text"),
        ("s", "topic", "t", id_.upper() + "x", 0, "text"),
    ]
    assert len({webhook_id(*each) for each in parts}) == len(parts)
    assert webhook_id("s", "o", "t", UUID.upper()) != webhook_id("s", "o", "t", UUID), "two texts are two ids"


@given(
    st.text(max_size=9),
    st.text(max_size=9),
    st.none() | st.text(max_size=9) | st.just("t" * 300),
    st.text(max_size=40) | st.just(UUID),
    st.sampled_from((0, 0, 1, 12)),
    st.sampled_from(("text", "number", "boolean")),
)
def test_a_webhook_id_is_the_hash_of_all_lengths_and_parts(source, topic, tenant, id_, index, kind):
    """Lengths precede the parts, and -1 is the length of no tenant; the text is the same in every release."""
    lengths = f"{len(source)},{len(topic)},{-1 if tenant is None else len(tenant)},{len(id_)},{index},{kind}"
    text = f"{lengths}:{source}{topic}{tenant or ''}{id_}"
    hashed = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    assert webhook_id(source, topic, tenant, id_, index, kind) == f"{UUID if id_ == UUID else 'evt'}_{hashed}"


def test_a_webhook_id_is_the_same_on_every_run():
    """The expected id is a literal: with another algorithm receivers would accept old events as new ones."""
    assert webhook_id("orders", "o", None, "42") == "evt_894a8b8df0b7b377c4c5851150b10b4f"


@given(st.text(), st.text(), st.none() | st.text(), st.text(), st.integers(0, 9))
def test_a_webhook_id_has_at_most_69_characters_and_no_dot(source, topic, tenant, id_, index):
    known = webhook_id(source, topic, tenant, id_, index)
    assert re.fullmatch(r"(?:evt|[0-9a-f-]{36})_[0-9a-f]{32}", known)


def test_different_parts_with_the_same_joined_text_have_different_webhook_ids():
    parts = [
        ("a", "t", "b", "cd"), ("a", "t", "bc", "d"), ("ab", "t", "c", "d"), ("a", "t", "", "bcd"),
        ("a", "t", None, "bcd"), ("at", "", None, "bcd"), ("", "at", None, "bcd"),
    ]  # fmt: skip
    assert len({webhook_id(*each) for each in parts}) == len(parts)


def test_the_lane_is_the_key_else_the_entity_else_none():
    assert derive_lane(record(b"", key=b"1"), "e", "t") == ("topic", 3, b"1", "t")
    assert derive_lane(record(b"", key=b"1"), "e", None) == ("topic", 3, b"1", "")
    assert derive_lane(record(b"", key=None), "e", "t") == ("topic", 3, "e", "t")
    assert derive_lane(record(b"", key=None), None, "t") is None
    assert derive_lane(record(b"", key=b""), None, None) is not None
