"""How parked events are selected and shown: instants, columns, limits, and no secrets."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click
import pytest

from bridge.cli.parked_output import MASK, page, table, whole
from bridge.cli.parked_selection import AddressType, InstantType
from bridge.dead_letters.letter import Address, Fate, Letter, Settlement
from bridge.model import Partition, Record
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret

SECRET = "s3cret-7f3a9-5c1e2-8d4b6"


def letter(
    cause: str = "status 400", value: bytes | None = b"{}", key: bytes | None = b"e1", **headers: bytes
) -> Letter:
    facts = {"cause": cause, "remedy": "mend it", "parked-at-ms": "1700000500000", "endpoint": "crm"}
    pairs = tuple((name.replace("_", "-"), raw) for name, raw in headers.items())
    origin = Record(Partition("orders", 3), 17, 1_700_000_000_123, key, value, pairs)
    return Letter(Address(0, 5), origin, len(value or b""), facts)


@pytest.mark.parametrize("cause", [f"status 400: got {SECRET}", f"status 400: got {SECRET[:9]}…"])
def test_secrets_are_masked_everywhere(cause: str) -> None:
    """Also in letters that an earlier release parked with the secret in their cause."""
    in_force.learn([Secret(SECRET)])
    shown = whole(letter(cause, SECRET.encode(), trace=SECRET.encode()), [SECRET.encode()], 100)
    lines = [*page(shown), *table([letter(cause)], 200)]
    assert "status 400: got ***" in "\n".join(lines)
    assert SECRET[:9] not in repr((shown, lines))


@pytest.mark.parametrize("most", range(1, 40))
def test_a_value_is_cut_after_its_secrets_were_masked(most: int) -> None:
    in_force.learn([Secret(SECRET)])
    shown = whole(letter(value=f"before {SECRET} after".encode()), [], most)["value"]
    assert SECRET[:6] not in shown


def test_a_null_value_is_shown_differently_from_an_empty_one() -> None:
    null, empty = (whole(letter(value=value), [], 100) for value in (None, b""))
    assert (null["value"], empty["value"]) == (None, "")
    assert "value       null" in list(page(null))
    assert "value       0 bytes" in list(page(empty))


@pytest.mark.parametrize("name", ["authorization", "X_Api_Key", "auth_token", "Set_Cookie", "db_password"])
def test_a_record_header_with_the_name_of_a_secret_is_masked(name: str) -> None:
    told = whole(letter(**{name: b"hush", "trace": b"seen"}), [], 100)
    assert [value for _, value in told["headers"]] == [MASK, "seen"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'{"a": 1}', '{"a": 1}'),
        (b"\xc3\x01\x00", "hex:c30100"),
        (b"a\x1b[2J", "hex:611b5b324a"),
        (b"x" * 30, "x" * 20 + " … and 10 bytes more (--max-bytes)"),
        ("ß".encode() * 15 + b"x", "ß" * 10 + " … and 11 bytes more (--max-bytes)"),
        (b"x" + "ß".encode() * 15, "x" + "ß" * 9 + " … and 11 bytes more (--max-bytes)"),
        (b"", ""),
    ],
)
def test_a_value_is_shown_as_text_or_hex_up_to_the_limit(raw: bytes, shown: str) -> None:
    assert whole(letter(value=raw), [], 20)["value"] == shown


def test_text_from_outside_contains_no_terminal_control_characters() -> None:
    odd = letter(cause="status 400: \x1b]0;owned\x07\nnext", key=b"\x1b[31m")
    lines = [*table([odd], 120), *page(whole(odd, [b"\x1b[2J"], 100))]
    assert all(line.isprintable() for line in lines)


def test_columns_are_aligned_and_the_state_column_appears_only_if_a_letter_is_settled() -> None:
    waiting, settled = letter(), letter("timed out")
    head, row = table([waiting], 200)
    assert "STATE" not in head
    assert row.index("status 400") == head.index("WHY")
    settled.settlements.append(Settlement(settled.address, Fate.REDRIVEN, 1_700_000_600_000, "ann@desk"))
    head, *rows = table([waiting, settled], 200)
    assert [line[head.index("STATE") :].split()[0] for line in rows] == ["waiting", "redriven"]
    told = "\n".join(page(whole(settled, [], 100)))
    assert "redriven    2023-11-14T22:23:20Z by ann@desk" in told


def test_a_long_cause_is_cut_to_the_width_of_the_terminal() -> None:
    assert {len(line) <= 120 for line in table([letter("x" * 500)], 120)} == {True}


def test_an_instant_is_a_time_ago_or_a_date_and_time() -> None:
    two_hours_ago = InstantType().convert("2h", None, None)
    assert abs(two_hours_ago - (time.time() - 7200) * 1000) < 5000
    at = int(datetime(2026, 6, 29, 8, 15, tzinfo=UTC).timestamp() * 1000)
    for text in ("2026-06-29T08:15:00Z", "2026-06-29T08:15", "2026-06-29T10:15:00+02:00"):
        assert InstantType().convert(text, None, None) == at


@pytest.mark.parametrize("text", ["", "2w", "yesterday", "-2h", "2026-13-01"])
def test_any_other_instant_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2h or 7d"):
        InstantType().convert(text, None, None)


def test_a_mistyped_address_is_refused_with_the_command_that_lists_them() -> None:
    assert AddressType().convert("3:14", None, None) == Address(3, 14)
    with pytest.raises(click.BadParameter, match="parked list"):
        AddressType().convert("3-14", None, None)


def test_the_bytes_of_a_batch_are_shown_with_all_their_offsets_and_not_as_an_event() -> None:
    one = letter("the batch cannot be read", b"\x00\xff")
    one.facts = {**one.facts, "raw-of": "batch", "last-offset": "21"}
    shown = "\n".join(page(whole(one, [], 100)))
    assert "came from   orders-3@17 to 21, written" in shown
    assert "value       2 bytes of a batch\n  hex:00ff" in shown
