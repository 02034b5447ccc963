"""A trickle is gathered into few fetches; nothing else waits."""

from __future__ import annotations

from bridge.core.fetch_pace import GATHER_S, MUCH_BYTES, FetchPace


def test_the_first_fetch_is_sent_at_once() -> None:
    assert FetchPace().wait_s(0.0) <= 0


def test_a_fetch_that_was_answered_with_little_is_followed_by_the_next_after_a_pause() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    pace.received(MUCH_BYTES - 1)
    assert pace.wait_s(10.001) > 0
    assert pace.wait_s(10.0 + GATHER_S) <= 0


def test_the_pause_counts_from_the_sending_so_that_a_record_after_a_silence_delays_no_other() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    pace.received(100)  # a quarter of a second later
    assert pace.wait_s(10.25) <= 0


def test_a_backlog_is_fetched_without_a_pause_and_its_end_with_one() -> None:
    pace = FetchPace()
    pace.sent(10.0)
    pace.received(MUCH_BYTES)
    assert pace.wait_s(10.001) <= 0
    pace.sent(10.001)
    pace.received(10)
    assert pace.wait_s(10.002) > 0


def test_no_pause_is_longer_than_the_limit() -> None:
    pace = FetchPace()
    for at in range(100):
        pace.sent(at / 1000)
        assert pace.wait_s(at / 1000) <= GATHER_S + 1e-9
