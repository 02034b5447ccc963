"""The product's filters: exact amounts, dates without a locale, masked account numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bridge.rendering.escape import Kind
from bridge.rendering.filters import date, filters_for, mask, money, pointer
from bridge.rendering.sandbox import Missing, NotPossible


@pytest.mark.parametrize(
    ("value", "options", "shown"),
    [
        (Decimal("150000.00000000"), {}, "150,000.00"),
        (Decimal("150000.00000000"), {"currency": "KES"}, "KES 150,000.00"),
        ("1250.5", {"currency": "KES"}, "KES 1,250.50"),
        (1250, {"digits": 0}, "1,250"),
        (Decimal("-0.01"), {}, "-0.01"),
        (Decimal("-0.001"), {}, "0.00"),
        (Decimal("0E-8"), {}, "0.00"),
        (Decimal("2.345"), {}, "2.34"),
        (Decimal("2.355"), {}, "2.36"),
        (0.1, {"digits": 3}, "0.100"),
        ("12345678901234567890.12345678", {"digits": 8}, "12,345,678,901,234,567,890.12345678"),
        ("1234567.891", {"group": ".", "point": ","}, "1.234.567,89"),
        ("1234567", {"group": ""}, "1234567.00"),
        (Decimal("1E+30"), {"digits": 0}, "1,000,000,000,000,000,000,000,000,000,000"),
    ],
)
def test_money_is_exact(value: Any, options: dict[str, Any], shown: str) -> None:
    assert money(value, **options) == shown


@pytest.mark.parametrize(
    "value", [None, "", "abc", True, [], "1e999999", "NaN", "Infinity", float("inf"), {}]
)
def test_a_value_that_is_not_an_amount_is_an_error(value: Any) -> None:
    with pytest.raises(NotPossible):
        money(value)


@pytest.mark.parametrize("digits", [-1, 13, 10**9, "2", None])
def test_the_digits_of_money_are_limited(digits: Any) -> None:
    with pytest.raises(NotPossible):
        money("1", digits=digits)


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        ("2026-06-29", "iso", "2026-06-29"),
        ("2026-06-29", "%d.%m.%Y", "29.06.2026"),
        ("2026-06-09", "long", "9 June 2026"),
        ("2026-06-09", "short", "9 Jun 2026"),
        ([2026, 6, 29], "%A, %-d %b %y", "Monday, 29 Jun 26"),
        ([2026, 6, 29, 8, 15], "datetime", "2026-06-29 08:15:00"),
        (1_782_720_930, "rfc3339", "2026-06-29T08:15:30Z"),
        (1_782_720_930_123, "rfc3339", "2026-06-29T08:15:30Z"),
        ("2026-06-29T08:15:30.123456Z", "time", "08:15"),
        ("2026-06-29T23:15:30+03:00", "datetime", "2026-06-29 20:15:30"),
        ("2026-06-29T08:15:30.123456789Z", "%I:%M %p", "08:15 AM"),
        ("2026-06-29", "100%% on %j", "100% on 180"),
        (0, "iso", "1970-01-01"),
    ],
)
def test_dates_are_read_in_every_form_of_events(value: Any, form: str, shown: str) -> None:
    assert date(value, form) == shown


def test_a_date_is_converted_to_an_offset() -> None:
    assert date("2026-06-29T22:30:00Z", "datetime", "+03:00") == "2026-06-30 01:30:00"
    assert date("2026-06-29T01:30:00Z", "iso", "-05:00") == "2026-06-28"
    assert date("2026-06-29", "iso", "-05:00") == "2026-06-29", "a business date has no zone to change"


@pytest.mark.parametrize(
    ("value", "form", "offset"),
    [
        ("tomorrow", "iso", "+00:00"), (None, "iso", "+00:00"), ([2026, 13, 1], "iso", "+00:00"),
        ([], "iso", "+00:00"), (10**30, "iso", "+00:00"), (True, "iso", "+00:00"), ({}, "iso", "+00:00"),
        ("2026-06-29", "%Q", "+00:00"), ("2026-06-29", "%", "+00:00"),
        ("2026-06-29", "%999999999d", "+00:00"),
        ("2026-06-29T00:00:00Z", "iso", "Nairobi"), ("2026-06-29T00:00:00Z", "iso", "+99:00"),
        ("2026-06-29T00:00:00Z", "iso", "+1:00"), ("2026-06-29T00:00:00Z", "iso", ""),
        ("9999-12-31T23:59:59Z", "iso", "+23:00"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_a_date_is_an_error(value: Any, form: str, offset: str) -> None:
    with pytest.raises(NotPossible):
        date(value, form, offset)


@pytest.mark.parametrize(
    ("value", "keep", "shown"),
    [
        ("000000042", 4, "*****0042"), ("1234", 4, "****"), ("12345", 4, "*2345"), ("", 4, ""),
        (254700000000, 4, "********0000"), ("secret", 0, "******"), ("secret", -3, "******"), (None, 4, ""),
    ],
)  # fmt: skip
def test_a_masked_text_shows_at_most_its_end(value: Any, keep: int, shown: str) -> None:
    assert mask(value, keep) == shown


DOCUMENT: dict[str, Any] = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
    "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2),
        ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_pointers_follow_the_examples_of_rfc_6901(path: str, found: Any) -> None:
    assert pointer(DOCUMENT, path) == found


@pytest.mark.parametrize(
    "path", ["/none", "/foo/2", "/foo/-", "/foo/x", "/foo/0/1", "/foo/" + "9" * 5000, "/foo/²"]
)
def test_a_pointer_to_nothing_is_missing(path: str) -> None:
    assert isinstance(pointer(DOCUMENT, path), Missing)


def test_a_pointer_must_begin_with_a_slash() -> None:
    with pytest.raises(NotPossible, match='must begin with "/"'):
        pointer(DOCUMENT, "foo")


def test_json_includes_the_quotes_and_keeps_amounts_exact() -> None:
    json = filters_for(Kind.JSON, None)["json"]
    assert json({"a": [Decimal("1.50000000"), None, 'x"y']}) == '{"a":["1.50000000",null,"x\\"y"]}'
    assert json("half \ud800 a pair") == '"half \ufffd a pair"'
    with pytest.raises(NotPossible):
        json({1, 2})
