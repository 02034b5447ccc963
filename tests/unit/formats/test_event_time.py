"""The time of an event is its own if it is plausible, else the record's, else the clock's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.event_time import MAX_AHEAD_S, EventTimes
from bridge.formats.timestamp import TimeUnit, from_millis
from bridge.model import ExactNumber, Partition, Record

NOW_S = 1_800_000_000.0
AT_MS = 1_799_999_000_123
DAY_S = 24 * 3600


def record(timestamp_ms: int = AT_MS) -> Record:
    return Record(Partition("t", 0), 1, timestamp_ms, None, b"")


def times(unit: TimeUnit | None = None) -> EventTimes:
    return EventTimes(unit, lambda: NOW_S)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
        ("2026-06-29T08:15:30+0000", "2026-06-29T08:15:30Z"),
        (" 2026-06-29T08:15:30+00\n", "2026-06-29T08:15:30Z"),
        ("1700000000.123", "2023-11-14T22:13:20.123Z"),
        (1_700_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000.5, "2023-11-14T22:13:20.5Z"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (1.7e18, "2023-11-14T22:13:20.000000000Z"),
        (ExactNumber("1700000000.123456789123"), "2023-11-14T22:13:20.123456789Z"),
        (Decimal("1700000000.12"), "2023-11-14T22:13:20.12Z"),
        ([2024, 1, 2, 3, 4, 5, 6], "2024-01-02T03:04:05.000000006Z"),
        (int(NOW_S) + MAX_AHEAD_S - 1, from_millis((int(NOW_S) + MAX_AHEAD_S - 1) * 1000)[:19] + "Z"),
    ],
)
def test_a_plausible_time_of_the_event_is_its_time(value: Any, time: str) -> None:
    assert times().read(record(), value) == (time, "event", ())


@pytest.mark.parametrize(
    "value",
    [
        0, -1, 1, True, 10**30, float("nan"), float("inf"), "soon",
        "0001-01-01T00:00:00Z", "1970-01-21T16:00:00Z",
        "1999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", from_millis(int(NOW_S + MAX_AHEAD_S + DAY_S) * 1000),
        int(NOW_S) + MAX_AHEAD_S + 1, "2026-W26-1T08:15:30Z", "2026-180", [1], {"seconds": 1}, b"x",
    ],
)  # fmt: skip
def test_any_other_time_is_refused_and_the_records_is_used(value: Any) -> None:
    time, source, refused = times().read(record(), value)
    assert (time, source) == (from_millis(AT_MS), "record")
    assert [(field.setting, field.instead) for field in refused] == [("time", "the timestamp of the record")]


@pytest.mark.parametrize("value", [None, ""])
def test_an_event_without_a_time_has_the_records_and_nothing_was_refused(value: Any) -> None:
    assert times().read(record(), value) == (from_millis(AT_MS), "record", ())


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 5, int((NOW_S + 30 * DAY_S) * 1000), 10**18])
def test_a_record_without_a_plausible_timestamp_gives_the_clocks_time(timestamp_ms: int) -> None:
    time, source, refused = times().read(record(timestamp_ms), -1)
    assert (time, source) == (from_millis(int(NOW_S * 1000)), "clock")
    settings = ["time", "timestamp"] if timestamp_ms > 0 else ["time"]
    assert [field.setting for field in refused] == settings, "-1 is how Kafka writes none"
    assert {field.instead for field in refused} == {"the bridge's clock"}


def test_a_number_in_another_unit_than_the_sources_is_refused_with_the_unit() -> None:
    assert times("us").read(record(), 1_700_000_000_123_456)[1] == "event"
    _, source, (refused,) = times("s").read(record(), 1_700_000_000_123)
    assert (source, "time_unit s" in refused.cause) == ("record", True)


def test_the_upper_bound_moves_with_the_clock() -> None:
    now_s = NOW_S
    clock = EventTimes(None, lambda: now_s)
    ahead_s = int(NOW_S) + MAX_AHEAD_S + 10
    assert clock.read(record(ahead_s * 1000), ahead_s)[1] == "clock"
    now_s += 20
    assert clock.read(record(ahead_s * 1000), ahead_s)[1] == "event"
    assert clock.read(record(ahead_s * 1000), None)[1] == "record"


def test_the_refused_value_is_shown_only_if_it_looks_like_a_time() -> None:
    """A wrong place may hold a name or a number of an account, and the field goes to the log."""
    shown = {
        value: times().read(record(), value)[2][0].value for value in ("1970-01-21T16:00:00Z", "Anna Nowak")
    }
    assert shown == {"1970-01-21T16:00:00Z": "1970-01-21T16:00:00Z", "Anna Nowak": "a text of 10"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals()


@given(SCALARS | st.lists(SCALARS) | st.dictionaries(st.text(), SCALARS), st.integers(-(2**63), 2**63 - 1))
def test_no_value_raises_and_every_time_is_within_the_bounds(value: Any, timestamp_ms: int) -> None:
    for unit in (None, "s", "ms", "us", "ns"):
        time, _, _ = times(unit).read(record(timestamp_ms), value)  # type: ignore[arg-type]
        assert "2000" <= time < from_millis(int((NOW_S + MAX_AHEAD_S) * 1000))
