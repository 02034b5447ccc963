"""Dead letters: what is asked for, what became of them, and what a redrive sends."""

from __future__ import annotations

import pytest

from bridge.dead_letters.letter import (
    Address,
    Errand,
    Fate,
    Letter,
    Settlement,
    Wanted,
    errands,
    obstacle,
    runs,
    to_letter,
    to_settlement,
)
from bridge.model import Partition, Record

FACTS = {
    "cause": "status 400: No such order", "remedy": "mend it", "topic": "orders", "partition": "3",
    "offset": "17", "timestamp-ms": "1700000000123", "parked-at-ms": "1700000500000", "endpoint": "crm",
    "event-id": "a", "event-type": "LoanApproved", "webhook-id": "w", "attempts": "2",
}  # fmt: skip


def record(
    at: int = 5, key: bytes | None = b"e1", value: bytes | None = b"{}", **facts: str | None
) -> Record:
    told = {**FACTS, **{name.replace("_", "-"): fact for name, fact in facts.items()}}
    headers = tuple((f"hookferry-{name}", fact.encode()) for name, fact in told.items() if fact is not None)
    return Record(Partition("g.parked", 1), at, 1_700_000_500_001, key, value, (("trace", b"\xff"), *headers))


def made(at: int = 5, **facts: str | None) -> Letter:
    found = to_letter(record(at, **facts))
    assert found is not None
    return found


def test_a_letter_tells_the_original_as_it_stood_in_its_topic() -> None:
    found = made()
    assert found.address == (1, 5)
    assert found.origin == Record(
        Partition("orders", 3), 17, 1_700_000_000_123, b"e1", b"{}", (("trace", b"\xff"),)
    )
    assert (found.endpoint, found.size_bytes, found.fate) == ("crm", 2, Fate.WAITING)


@pytest.mark.parametrize(
    "facts", [{"cause": None}, {"topic": None}, {"offset": "x"}, {"parked_at_ms": "x"}, {"partition": ""}]
)
def test_a_record_that_the_bridge_did_not_park_is_no_letter(facts: dict[str, str | None]) -> None:
    assert to_letter(record(**facts)) is None


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Wanted(), True),
        (Wanted(endpoint="crm"), True),
        (Wanted(endpoint="cr"), False),
        (Wanted(endpoint="*"), False),
        (Wanted(entity="e1"), True),
        (Wanted(entity="e2"), False),
        (Wanted(type="LoanApproved"), True),
        (Wanted(type="Loan*"), True),
        (Wanted(type="loan*"), False),
        (Wanted(since_ms=1_700_000_500_000), True),
        (Wanted(since_ms=1_700_000_500_001), False),
        (Wanted(until_ms=1_700_000_500_000), False),
        (Wanted(until_ms=1_700_000_500_001), True),
        (Wanted(reason="no SUCH"), True),
        (Wanted(reason="mend it"), False),
        (Wanted(endpoint="crm", type="Order*"), False),
    ],
)
def test_filters(wanted: Wanted, matches: bool) -> None:
    assert wanted.matches(made()) is matches


def test_a_star_asks_for_what_was_rejected_for_all() -> None:
    rejected = made(endpoint=None, event_type=None)
    assert Wanted(endpoint="*").matches(rejected)
    assert not Wanted(endpoint="crm").matches(rejected)
    assert not Wanted(type="Loan*").matches(rejected)


@pytest.mark.parametrize(
    ("key", "facts", "entity"),
    [
        (b"e1", {}, "e1"),
        (b"e1", {"entity": "o-7"}, "o-7"),
        ((42).to_bytes(8, "big"), {}, "42"),
        (b"\xff" * 8, {}, "-1"),
        (b"\xff\x00", {}, "ff00"),
        (None, {}, None),
    ],
)
def test_the_entity_is_the_decoded_one_or_the_key(
    key: bytes | None, facts: dict[str, str], entity: str
) -> None:
    found = to_letter(record(key=key, **facts))
    assert found is not None
    assert found.entity == entity
    assert entity is None or Wanted(entity=entity).matches(found)


def test_an_entity_is_found_by_its_record_key_too() -> None:
    assert Wanted(entity="e1").matches(made(entity="o-7"))


def test_a_marker_says_what_became_of_a_letter() -> None:
    mark = Settlement(Address(1, 5), Fate.DISCARDED, 12, "ann@desk", "twice, ✓", "")
    written = Record(Partition("g.parked", 1), 9, 12, b"e1", None, mark.headers())
    assert to_settlement(written) == mark
    assert to_letter(written) is None
    assert to_settlement(record()) is None
    found = made()
    found.settlements.append(mark)
    assert found.fate is Fate.DISCARDED


@pytest.mark.parametrize("name", ["hookferry-settles", "hookferry-settled-as", "hookferry-settled-at-ms"])
def test_a_damaged_marker_settles_nothing(name: str) -> None:
    headers = Settlement(Address(1, 5), Fate.REDRIVEN, 12, "ann").headers()
    damaged = tuple((one, b"\xff" if one == name else value) for one, value in headers)
    assert to_settlement(Record(Partition("g.parked", 1), 9, 12, b"e1", None, damaged)) is None


def test_the_id_of_a_redrive_is_the_same_until_it_is_marked_as_done() -> None:
    """A redrive that ended before its marker is repeated under its old id, one on purpose has a new one."""
    found, again, other = made(), made(), made(6)
    assert found.again_id == again.again_id != other.again_id
    again.settlements.append(Settlement(again.address, Fate.DISCARDED, 1, "ann"))
    assert found.again_id == again.again_id
    again.settlements.append(Settlement(again.address, Fate.REDRIVEN, 1, "ann"))
    assert found.again_id != again.again_id
    assert found.again_id != made(parked_at_ms="1700000500001").again_id, "the topic was made anew"


def test_errands_follow_the_order_of_the_source_topic() -> None:
    found = errands([made(1, offset="30"), made(2, offset="9"), made(3, offset="10", partition="1")])
    assert [errand.letter.address.offset for errand in found] == [3, 2, 1]


def test_an_event_that_was_parked_twice_is_sent_again_once() -> None:
    """A crash between parking and commit leaves two letters of one event. Another endpoint's is another.

    It goes under the id of the latest: the earlier one's may have been sent, and refused, already.
    """
    first, second, other = made(1), made(4), made(2, endpoint="shop")
    assert errands([second, first, other]) == [Errand(second, (second, first)), Errand(other, (other,))]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, None),
        ({"endpoint": None}, None),
        ({"topic": "gone"}, "no source reads topic 'gone'"),
        ({"endpoint": "old"}, "no endpoint 'old'"),
        ({"partition": "4"}, "partition 4 of 'orders'"),
    ],
)
def test_what_stands_in_the_way_of_a_redrive(facts: dict[str, str | None], said: str | None) -> None:
    found = obstacle(made(**facts), ["orders"], ["crm"], 4)
    assert found is None if said is None else found is not None and said in found[0]


@pytest.mark.parametrize(("text", "address"), [("0:17", (0, 17)), ("12:0", (12, 0))])
def test_an_address_is_what_people_type(text: str, address: tuple[int, int]) -> None:
    assert Address.parse(text) == address
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["", "17", "a:b", "-1:2", "1:2:3", "1: 2", "1:2\n", "٣:1"])
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Address.parse(text)


def test_runs_hold_every_offset_and_no_long_gap() -> None:
    assert runs([1, 2, 5, 100, 101], 10) == [(1, 6), (100, 102)]
    assert runs([], 10) == []
