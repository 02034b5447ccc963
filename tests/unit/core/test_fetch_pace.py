"""A trickle is gathered into few fetches; nothing else waits."""

from __future__ import annotations

import pytest

from bridge.core.fetch_pace import FULL_RECORDS, GATHER_S, SILENT_S, FetchPace


def steady(records_per_s: float, seconds: float = 1.0) -> tuple[float, float]:
    """Fetch a steady stream; return the fetches per second and the longest pause of the second half."""
    pace, now, longest, fetches, taken = FetchPace(), 100.0, 0.0, 0, 0
    while now < 100.0 + seconds:
        pace.sent(now)
        fetches += now >= 100.0 + seconds / 2
        now += 0.0005  # until the broker has answered with what came meanwhile
        written = int((now - 100.0) * records_per_s)
        pace.received(written - taken)
        taken = written
        wait_s = max(0.0, pace.wait_s(now))
        if now >= 100.0 + seconds / 2:
            longest = max(longest, wait_s)
        now += wait_s
    return fetches / (seconds / 2), longest


def test_the_first_fetch_is_sent_at_once() -> None:
    assert FetchPace().wait_s(0.0) <= 0


def test_a_fetch_that_was_answered_with_little_is_followed_by_the_next_after_a_pause() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    pace.received(1)
    assert pace.wait_s(10.001) > 0
    assert pace.wait_s(10.0 + GATHER_S + 1e-9) <= 0


def test_a_wait_is_never_so_short_that_a_timer_of_uvloop_ends_at_once() -> None:
    pace, now, waits = FetchPace(), 10.0, []
    pace.sent(now)
    pace.received(1)
    while now < 10.0 + 2 * GATHER_S:
        waits.append(pace.wait_s(now))
        now += 0.0001
    assert min(wait_s for wait_s in waits if wait_s > 0) >= 0.0005
    assert 0.0 in waits


def test_the_pause_counts_from_the_sending_so_that_a_record_after_a_silence_delays_no_other() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    pace.received(1)  # a quarter of a second later
    assert pace.wait_s(10.25) <= 0


def test_a_backlog_is_fetched_without_a_pause_and_its_end_with_one() -> None:
    pace, now = FetchPace(), 10.0
    for _ in range(20):
        pace.sent(now)
        pace.received(FULL_RECORDS)
        assert pace.wait_s(now) <= 0
        now += 0.001
    for _ in range(20):
        pace.sent(now)
        now += GATHER_S
    assert pace.wait_s(now - GATHER_S / 2) > 0


@pytest.mark.parametrize("events_per_s", [100, 500, 700])
def test_a_trickle_costs_at_most_fifty_fetches_per_second(events_per_s: int) -> None:
    fetches, longest = steady(events_per_s)
    assert fetches <= 1 / GATHER_S + 2
    assert longest <= GATHER_S


@pytest.mark.parametrize(("events_per_s", "most_s"), [(1_000, 0.015), (1_200, 0.01), (1_400, 0.005)])
def test_the_more_events_come_the_shorter_is_the_pause(events_per_s: int, most_s: float) -> None:
    fetches, longest = steady(events_per_s)
    assert longest <= 1.2 * most_s
    assert fetches <= 1.2 / most_s


@pytest.mark.parametrize("events_per_s", [1_700, 2_000, 6_000])
def test_a_stream_of_which_several_events_come_during_a_fetch_has_no_pauses(events_per_s: int) -> None:
    assert steady(events_per_s)[1] == 0


def test_a_consumer_is_silent_after_seconds_in_which_nothing_has_come_and_not_before() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    assert not pace.is_silent(10.0), "it has only begun"
    pace.sent(10.0 + SILENT_S - 1)
    assert not pace.is_silent(10.0 + SILENT_S - 1)
    assert pace.is_silent(10.0 + SILENT_S)


def test_a_record_ends_the_silence_from_the_next_fetch_on() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    pace.sent(10.0 + 2 * SILENT_S)
    pace.received(1)
    pace.sent(11.0 + 2 * SILENT_S)
    assert not pace.is_silent(11.0 + 2 * SILENT_S)
    assert pace.is_silent(11.0 + 3 * SILENT_S)


def test_a_flood_is_never_paused() -> None:
    assert steady(100_000)[1] == 0


def test_fetches_to_several_brokers_at_one_instant_count_as_one_stream() -> None:
    pace, now = FetchPace(), 10.0
    for _ in range(100):
        pace.sent(now)
        for _ in range(3):
            pace.received(1)
        pace.sent(now)
        assert pace.wait_s(now) == pytest.approx(GATHER_S)
        now += GATHER_S
