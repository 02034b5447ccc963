"""``Retry-After``: seconds, fractions and the three forms of a date; anything else gives no wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.core.retry_after import LONGEST_S, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0),
        (b"120", 120),
        ("120", 120),
        (b" 7\t", 7),
        (b"1.5", 1.5),
        (b"0.25", 0.25),
        (b"007", 7),
        (b"Sun, 01 Mar 2026 12:00:37 GMT", 37),
        (b"Sunday, 01-Mar-26 12:00:37 GMT", 37),
        (b"Sun Mar  1 12:00:37 2026", 37),
        (b"Sun, 01 Mar 2026 12:00:60 GMT", 60),
        (b"Mon, 02 Mar 2026 12:00:00 GMT", 86_400),
    ],
)
def test_seconds_fractions_and_dates_are_read(value: bytes | str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        b"Sun, 01 Mar 2026 11:59:59 GMT",
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"Friday, 06-Nov-94 08:49:37 GMT",
        b"Sunday, 06-Nov-77 08:49:37 GMT",  # 2077 is 51 years ahead, so it means 1977
        b"Sun Nov  6 08:49:37 1994",
    ],
)
def test_a_date_in_the_past_means_now(value: bytes) -> None:
    assert parse_retry_after(value, NOW) == 0.0


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"-1",
        b"+5",
        b"1e3",
        b"inf",
        b"nan",
        b"5,5",
        b"5 s",
        b"soon",
        b".5",
        b"5.",
        b"0x10",
        b"1_000",
        "\uff11\uff12",
        b"\xb2",
        b"\xff\xfe",
        b"Sun, 31 Feb 2026 12:00:00 GMT",
        b"Sun, 01 Mar 2026 24:00:00 GMT",
        b"Sun, 01 Mar 2026 12:61:00 GMT",
        b"Sun, 01 Mar 0000 12:00:00 GMT",
        b"Sun, 01 Mar 2026 12:00:37",
        b"Sun, 01 Mar 2026 12:00:37 +0100",
        b"Sun, 01 Mar 2026 12:00:37 GMT; please",
        b"2026-03-01T12:00:37Z",
        b"9" * 65,
    ],
)
def test_an_unreadable_value_asks_for_nothing(value: bytes | str) -> None:
    assert parse_retry_after(value, NOW) is None


@pytest.mark.parametrize("value", [b"9" * 64, b"Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_is_bounded(value: bytes) -> None:
    assert parse_retry_after(value, NOW) == LONGEST_S


def test_a_year_of_two_digits_is_at_most_fifty_years_ahead() -> None:
    assert parse_retry_after(b"Sunday, 01-Mar-76 12:00:00 GMT", NOW) == LONGEST_S
    assert parse_retry_after(b"Sunday, 01-Mar-77 12:00:00 GMT", NOW) == 0.0
