"""Holds and lanes as text: what is written is what is read, and anything else is an error."""

from __future__ import annotations

import pytest

from bridge.core import ordering_key
from bridge.dead_letters.hold import DamagedHoldError, Hold, HoldKey, Holds, read_hold, read_key
from bridge.formats import derive_lane
from bridge.kafka.topic_setup import CONTROL_CONFIGS
from bridge.model import LaneKey, Partition, Record

LANE = LaneKey("orders", 3, b"\x00\xffe1", "acme")
HOLD = Hold(LANE, 1_700_000_000_123, "orders-3@17", 1_700_000_000_000, "orders-3@19", 3, "r1", "e1", "m1")


@pytest.mark.parametrize(
    "lane",
    [LANE, LANE._replace(key="e1"), LANE._replace(key=17, tenant="bulk"),
     LANE._replace(key="\ud800ß"), LANE._replace(key=b"", tenant=""),
     LANE._replace(key="x" * ordering_key.MAX_PART, topic="a-b.c_d")],
)  # fmt: skip
def test_a_lane_is_read_as_it_was_written(lane: LaneKey) -> None:
    assert ordering_key.decode_lane(ordering_key.encode_lane(lane)) == lane
    assert len(ordering_key.lane_id(lane)) == 32


def test_lanes_that_differ_in_any_part_have_different_ids() -> None:
    lanes = [
        LANE, LANE._replace(topic="order"), LANE._replace(number=4), LANE._replace(tenant=""),
        LANE._replace(key=b"e1"), LANE._replace(key="e1"), LANE._replace(key="e", tenant="1acme"),
    ]  # fmt: skip
    assert len({ordering_key.lane_id(lane) for lane in lanes}) == len(lanes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '["t",1,"x"]',
        '["t",1,{"b64":"?"},"a"]',
        '["t",1,{},"a"]',
        '["t","1","k","b"]',
        '["t",1,null,"b"]',
        '["t",1,true,"b"]',
        '["t",true,"k","b"]',
        "[[]]",
    ],
)
def test_a_text_that_is_no_lane_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a lane"):
        ordering_key.decode_lane(text)


def test_a_lane_is_bounded_however_long_a_key_is() -> None:
    """Two long keys stay two lanes; a short key is kept unchanged."""
    record = Record(Partition("orders", 3), 17, 0, b"k" * 100_000, b"{}")
    long, other = (
        derive_lane(record._replace(key=key), None, "t" * 100_000) for key in (b"k" * 100_000, b"k" * 99_999)
    )
    assert long != other
    assert len(ordering_key.encode_lane(long)) < 500
    assert derive_lane(record._replace(key=b"k"), "e", "t") == ("orders", 3, b"k", "t")
    assert derive_lane(record._replace(key=None), "e", None) == ("orders", 3, "e", "")
    assert derive_lane(record._replace(key=None), None, None) is None


def test_a_hold_is_read_as_it_was_written() -> None:
    assert read_hold(HOLD.to_bytes()) == HOLD
    assert read_hold(None) is None
    key = HoldKey("crm", ordering_key.lane_id(LANE))
    assert read_key(key.to_bytes()) == key


@pytest.mark.parametrize("key", [None, b"", b"endpoint/crm", b"hold", b"hold/crm", b"\xff"])
def test_other_keys_of_the_control_topic_are_no_holds(key: bytes | None) -> None:
    assert read_key(key) is None


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{}", b"\xff", HOLD.to_bytes().replace(b'"parked": 3', b'"parked": "x"'),
              HOLD.to_bytes().replace(b'"first": "orders-3@17"', b'"first": 1')],
)  # fmt: skip
def test_a_damaged_hold_is_an_error(value: bytes) -> None:
    with pytest.raises(DamagedHoldError, match="no hold"):
        read_hold(value)


def test_control_characters_in_a_hold_never_reach_a_terminal() -> None:
    odd = read_hold(HOLD.to_bytes().replace(b'"entity": "e1"', b'"entity": "\\u001b[2J' + b"x" * 1000 + b'"'))
    assert odd is not None
    assert odd.entity.isprintable()
    assert len(odd.entity) == 500


def test_a_mark_lifts_only_a_hold_of_its_round_and_only_if_it_covers_all_parked_events() -> None:
    assert HOLD.released_by("r1", 3)
    assert not HOLD.released_by("r1", 2)
    assert not HOLD.released_by("r0", 3)
    assert not HOLD.with_live("orders-3@20").released_by("r1", 3)
    assert not HOLD.with_resent("orders-3@17", 0, "r2", refused=True).released_by("r1", 9)


def test_the_lane_waits_for_the_event_that_was_refused_again() -> None:
    refused = HOLD.with_resent("orders-3@18", 5, "r2", refused=True)
    assert (refused.first, refused.first_at_ms, refused.round) == ("orders-3@18", 5, "r2")
    blocked = refused.with_resent("orders-3@19", 6, "r3", refused=False)
    assert (blocked.first, blocked.round, blocked.parked) == ("orders-3@18", "r3", 5)


def test_an_assignment_keeps_only_holds_of_its_partitions() -> None:
    holds, key = Holds(), HoldKey("crm", "x")
    holds.put("crm", LANE, HOLD)
    holds.begin([Partition("orders", 4)], {key: HOLD})
    assert holds.of("crm", LANE) is None
    holds.begin([Partition("orders", 3)], {key: HOLD})
    assert holds.of("crm", LANE) == HOLD
    assert holds.of("crm", tuple(LANE)) == HOLD, "the lane of an event is a plain tuple"
    assert holds.counts([Partition("orders", 3)]) == {"crm": 1}
    assert holds.counts([Partition("orders", 4)]) == {}
    holds.put("crm", LANE, None)
    assert holds.counts([Partition("orders", 3)]) == {}


@pytest.mark.parametrize("part", ["\U0001f600", "\\", "\x00", "a"])
def test_the_largest_hold_fits_the_control_topic_that_the_bridge_creates(part: str) -> None:
    """Keys, entities and tenants may be as large as a record; what a hold keeps of them is bounded."""
    longest = part * ordering_key.MAX_PART
    lane = LaneKey("t" * 249, 2**31 - 1, longest, longest)
    place = f"{'t' * 249}-{2**31 - 1}@{2**63 - 1}#65536"
    hold = Hold(lane, 2**63 - 1, place, 2**63 - 1, place, 2**63 - 1, "r" * 16, part * 1_000_000, "m" * 32)
    assert len(hold.to_bytes()) < int(CONTROL_CONFIGS["max.message.bytes"]) * 0.9
