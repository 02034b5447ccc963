"""Instants are read in the forms that libraries write, and printed as RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.timestamp import from_http_date, from_millis, from_number, from_parts, from_text

SINCE_S, UNTIL_S = 946_684_800, 2_000_000_000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-06-29T08:15:30.123456", "2026-06-29T08:15:30.123456Z"),
        ("2026-06-29T08:15:30.123456789", "2026-06-29T08:15:30.123456789Z"),
        ("2026-06-29T08:15:30.1234567891", "2026-06-29T08:15:30.123456789Z"),
        ("2026-06-29T08:15:30." + "1" * 9000, "2026-06-29T08:15:30.111111111Z"),
        ("2026-06-29T08:15:30,5Z", "2026-06-29T08:15:30.5Z"),
        ("2026-06-29T08:15:30", "2026-06-29T08:15:30Z"),
        ("2026-06-29T08:15", "2026-06-29T08:15:00Z"),
        ("2026-06-29t08:15:30z", "2026-06-29T08:15:30Z"),
        ("2026-06-29 08:15:30.5Z", "2026-06-29T08:15:30.5Z"),
        ("2026-06-29 08:15:30 UTC", "2026-06-29T08:15:30Z"),
        ("2026-06-29 08:15:30 +0000", "2026-06-29T08:15:30Z"),
        ("2026-06-29T08:15:30+00", "2026-06-29T08:15:30Z"),
        ("2026-06-29T08:15:30-00:00", "2026-06-29T08:15:30Z"),
        ("2026-06-29T08:15:30+0530", "2026-06-29T02:45:30Z"),
        ("2026-06-29T08:15:30-05", "2026-06-29T13:15:30Z"),
        ("2026-06-29T01:15:30.123456789+02:00", "2026-06-28T23:15:30.123456789Z"),
        ("2026-06-29T10:15:30+02:00[Europe/Paris]", "2026-06-29T08:15:30Z"),
        ("2026-12-31T23:30:00-05:30", "2027-01-01T05:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.75Z", "2017-01-01T00:00:00.75Z"),
        ("2017-01-01T05:29:60+05:30", "2017-01-01T00:00:00Z"),
        ("2026-06-29T24:00:00Z", "2026-06-30T00:00:00Z"),
        ("0999-12-31T23:30:00-01:00", "1000-01-01T00:30:00Z"),
        ("0099-01-01T00:00:00+00:00", "0099-01-01T00:00:00Z"),
        ("2026-06-29T08:15:30.123456+00:00", "2026-06-29T08:15:30.123456Z"),
        ("2026-06-29T08:15:30.1234567891+00:00", "2026-06-29T08:15:30.123456789Z"),
        ("2026-06-29T24:00:00.5+00:00", "2026-06-30T00:00:00.5Z"),
        ("2016-12-31T23:59:60.75+00:00", "2017-01-01T00:00:00.75Z"),
    ],
)
def test_an_instant_keeps_its_digits_and_is_converted_to_utc(text: str, instant: str) -> None:
    assert from_text(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026-13-01T00:00:00", "2026-02-30T00:00:00Z", "2026-06-29", "2026-06-29T08:15:3012",
        "2026-06-29T08:15.5", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:60Z",
        "2026-06-29T08:15:30+99:00",
        "2026-06-29T08:15:30+05:60", "\u0662026-06-29T08:15:30", "2026-06-29T08:15:30Z\n",
        "2026-W26-1T08:15:30Z", "2026-180T08:15:30Z", "2026-06-29T12:00:60Z", "2026-06-29T08:15:61Z",
        "2026-06-29T24:00:01Z", "2026-06-29T25:00:00Z", "2026-06-29T08:15:30Z[a",
        "2026-06-29T08:15:30Z+00:00", "2026-06-29T08:15:30+00:00Z", "2026-06-29T08:15:30.Z",
        "2026-06-29T08:15:30.+00:00", "2026-06-29T08:15:30.\u0661Z", "2026-06-29T08:15:30.\u00b2Z",
        "2026-06-29T08:15:30x5Z", "2026-06-29T08:15:30.-5Z", "2026-02-30T08:15:30.5+00:00", "+00:00", "Z",
    ],
)  # fmt: skip
def test_text_that_is_not_an_instant_is_none(text: str) -> None:
    assert from_text(text) is None


def test_milliseconds_out_of_range_are_clamped() -> None:
    assert from_millis(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert from_millis(-1) == "1970-01-01T00:00:00.000Z"
    assert from_millis(10**30) == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("number", "instant"),
    [
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("1700000000.123", "2023-11-14T22:13:20.123Z"),
        ("1700000000.1234567891", "2023-11-14T22:13:20.123456789Z"),
        ("1700000000123", "2023-11-14T22:13:20.123Z"),
        ("1700000000123.5", "2023-11-14T22:13:20.1235Z"),
        ("1700000000123456", "2023-11-14T22:13:20.123456Z"),
        ("1700000000123456789", "2023-11-14T22:13:20.123456789Z"),
        ("1.7e9", "2023-11-14T22:13:20Z"),
        ("1.7e+18", "2023-11-14T22:13:20.000000000Z"),
        ("1,700000000E9", "2023-11-14T22:13:20Z"),
        ("0", None), ("-1", None), ("", None), ("nan", None), ("1e400", None), ("20240102030405", None),
        ("9" * 60, None), ("\u0661" * 10, None), ("0x10", None), ("1_700_000_000", None),
    ],
)  # fmt: skip
def test_the_unit_of_a_number_is_the_one_that_gives_a_plausible_instant(
    number: str, instant: str | None
) -> None:
    assert from_number(number, SINCE_S, UNTIL_S) == instant


def test_a_unit_that_is_given_is_the_only_one_that_is_tried() -> None:
    assert from_number("1700000000", SINCE_S, UNTIL_S, "s") == "2023-11-14T22:13:20Z"
    for unit in ("ms", "us", "ns"):
        assert from_number("1700000000", SINCE_S, UNTIL_S, unit) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "instant"),
    [
        ([2024, 1, 2, 3, 4], "2024-01-02T03:04:00Z"),
        ([2024, 1, 2, 3, 4, 5], "2024-01-02T03:04:05Z"),
        ([2024, 1, 2, 3, 4, 5, 6], "2024-01-02T03:04:05.000000006Z"),
        ([2024, 1, 2], None), ([2024, 1, 2, 3, 4, 5, 6, 7], None), ([2024, 13, 2, 3, 4], None),
        ([2024, 1, 2, 3, 4, 5, 10**9], None), ([2024, 1, 2, 3, "4"], None), ([True, 1, 2, 3, 4], None),
        ([10**30, 1, 2, 3, 4], None), ([], None),
    ],
)  # fmt: skip
def test_a_date_of_java_is_a_list(parts: list[Any], instant: str | None) -> None:
    assert from_parts(parts) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("Mon, 29 Jun 2026 08:15:30 GMT", "2026-06-29T08:15:30Z"),
        ("Mon, 29 Jun 2026 08:15:30 -0000", "2026-06-29T08:15:30Z"),
        ("Mon, 29 Jun 2026 10:15:30 +0200", "2026-06-29T08:15:30Z"),
        ("yesterday", None), ("", None), ("Mon, 29 Jun 2026 08:15:99 GMT", None),
    ],
)  # fmt: skip
def test_an_http_date_is_read_in_utc_whatever_the_zone_of_this_machine(
    text: str, instant: str | None
) -> None:
    assert from_http_date(text) == instant


INSTANTS = st.datetimes(datetime(2000, 1, 2), datetime(2033, 1, 1))


@given(INSTANTS, st.integers(-14 * 60, 14 * 60), st.sampled_from("Tt "), st.sampled_from(".,"), st.booleans())
def test_an_instant_reads_back_in_any_text_form(
    at: datetime, offset_min: int, separator: str, point: str, colon: bool
) -> None:
    local = at.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_min)))
    date, time = local.strftime("%Y-%m-%d"), local.strftime("%H:%M:%S")
    zone = local.strftime("%z")
    forms = [zone if not colon else f"{zone[:3]}:{zone[3:]}"]
    forms += [zone[:3]] if not offset_min % 60 else []
    forms += ["Z", "z", " UTC", "+00", ""] if not offset_min else []
    for form in forms:
        text = f"{date}{separator}{time}{point}{at.microsecond:06d}{form}"
        assert from_text(text) == at.isoformat(timespec="microseconds") + "Z"


@given(INSTANTS)
def test_an_instant_reads_back_from_a_number_of_any_unit(at: datetime) -> None:
    us = (at - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    exact = at.isoformat(timespec="microseconds") + "Z"
    second = at.isoformat(timespec="seconds")
    assert from_number(str(us), SINCE_S, UNTIL_S) == exact
    assert from_number(str(us * 1000), SINCE_S, UNTIL_S) == exact[:-1] + "000Z"
    assert from_number(str(us // 1000), SINCE_S, UNTIL_S) == exact[:-4] + "Z"
    assert from_number(str(us // 10**6), SINCE_S, UNTIL_S) == second + "Z"
    assert from_number(f"{us // 10**6}.{at.microsecond:06d}", SINCE_S, UNTIL_S) == exact
    parts = [at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond * 1000]
    assert from_parts(parts) == (exact[:-1] + "000Z" if at.microsecond else second + "Z")


@given(st.text() | st.from_regex(r"[\d.,:+\-TZ \[\]eE]{0,40}"))
def test_no_text_raises(text: str) -> None:
    for instant in (from_text(text), from_http_date(text), from_number(text, SINCE_S, UNTIL_S)):
        assert instant is None or instant.endswith("Z")
