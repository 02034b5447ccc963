"""Dead letters: what is read from the topic, which letters a filter selects, and what settled them."""

from __future__ import annotations

import pytest

from bridge.dead_letters.letter import (
    Address,
    Fate,
    Letter,
    LetterFilter,
    Settlement,
    to_letter,
    to_settlement,
)
from bridge.model import Partition, Record
from tests.support.letters import letter_at, letter_record


def test_a_letter_contains_the_original_as_it_was_in_its_topic() -> None:
    letter = letter_at()
    assert letter.address == (1, 5)
    assert letter.origin == Record(
        Partition("orders", 3), 17, 1_700_000_000_123, b"e1", b"{}", (("trace", b"\xff"),)
    )
    assert (letter.endpoint, letter.size_bytes, letter.fate) == ("crm", 2, Fate.WAITING)


@pytest.mark.parametrize(
    "facts", [{"cause": None}, {"topic": None}, {"offset": "x"}, {"parked_at_ms": "x"}, {"partition": ""}]
)
def test_a_record_that_the_bridge_did_not_park_is_no_letter(facts: dict[str, str | None]) -> None:
    assert to_letter(letter_record(**facts)) is None


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (LetterFilter(), True),
        (LetterFilter(endpoint="crm"), True),
        (LetterFilter(endpoint="cr"), False),
        (LetterFilter(endpoint="*"), False),
        (LetterFilter(entity="e1"), True),
        (LetterFilter(entity="e2"), False),
        (LetterFilter(type="LoanApproved"), True),
        (LetterFilter(type="Loan*"), True),
        (LetterFilter(type="loan*"), False),
        (LetterFilter(since_ms=1_700_000_500_000), True),
        (LetterFilter(since_ms=1_700_000_500_001), False),
        (LetterFilter(until_ms=1_700_000_500_000), False),
        (LetterFilter(until_ms=1_700_000_500_001), True),
        (LetterFilter(reason="no SUCH"), True),
        (LetterFilter(reason="fix it"), False),
        (LetterFilter(endpoint="crm", type="Order*"), False),
    ],
)
def test_a_filter_selects_letters_that_match_all_its_fields(wanted: LetterFilter, matches: bool) -> None:
    assert wanted.matches(letter_at()) is matches


def test_a_star_selects_letters_that_were_rejected_for_all_endpoints() -> None:
    rejected = letter_at(endpoint=None, event_type=None)
    assert LetterFilter(endpoint="*").matches(rejected)
    assert not LetterFilter(endpoint="crm").matches(rejected)
    assert not LetterFilter(type="Loan*").matches(rejected)


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
def test_the_entity_is_the_decoded_one_or_the_record_key(
    key: bytes | None, facts: dict[str, str], entity: str
) -> None:
    letter = to_letter(letter_record(key=key, **facts))
    assert letter is not None
    assert letter.entity == entity
    assert entity is None or LetterFilter(entity=entity).matches(letter)


def test_a_filter_for_an_entity_matches_the_record_key_too() -> None:
    assert LetterFilter(entity="e1").matches(letter_at(entity="o-7"))


def test_a_marker_sets_the_fate_of_a_letter() -> None:
    marker = Settlement(Address(1, 5), Fate.DISCARDED, 12, "ann@ops", "twice, ✓", "")
    written = Record(Partition("g.parked", 1), 9, 12, b"e1", None, marker.headers())
    assert to_settlement(written) == marker
    assert to_letter(written) is None
    assert to_settlement(letter_record()) is None
    letter = letter_at()
    letter.settlements.append(marker)
    assert letter.fate is Fate.DISCARDED


@pytest.mark.parametrize("name", ["hookferry-settles", "hookferry-settled-as", "hookferry-settled-at-ms"])
def test_a_damaged_marker_settles_nothing(name: str) -> None:
    headers = Settlement(Address(1, 5), Fate.REDRIVEN, 12, "ann").headers()
    damaged = tuple((header, b"\xff" if header == name else value) for header, value in headers)
    assert to_settlement(Record(Partition("g.parked", 1), 9, 12, b"e1", None, damaged)) is None


def test_the_id_of_a_redrive_changes_only_when_a_redrive_was_marked() -> None:
    """A redrive that ended before its marker is repeated under its old id."""

    def with_marker(fate: Fate) -> Letter:
        letter = letter_at()
        letter.settlements.append(Settlement(letter.address, fate, 1, "ann"))
        return letter

    again_id = letter_at().again_id
    assert letter_at().again_id == again_id
    assert letter_at(6).again_id != again_id
    assert with_marker(Fate.DISCARDED).again_id == again_id
    assert with_marker(Fate.REDRIVEN).again_id != again_id
    assert letter_at(parked_at_ms="1700000500001").again_id != again_id, "the topic was recreated"


@pytest.mark.parametrize(("text", "address"), [("0:17", (0, 17)), ("12:0", (12, 0))])
def test_an_address_is_written_as_partition_and_offset(text: str, address: tuple[int, int]) -> None:
    assert Address.parse(text) == address
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["", "17", "a:b", "-1:2", "1:2:3", "1: 2", "1:2\n", "٣:1"])
def test_any_other_text_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Address.parse(text)
