"""The configured rate: exact in every window, shared between pods, changeable."""

from __future__ import annotations

import pytest

from bridge.core.limits import RateWindows

TEAMS = [(4, 1.0), (60, 30.0), (100, 3600.0)]


def run(windows: RateWindows, until: float, at: float = 0.0) -> list[float]:
    """Send whenever it is allowed."""
    sent = []
    while at < until:
        wait_s = windows.wait_s(at)
        if wait_s:
            at += wait_s
        else:
            windows.spend(at)
            sent.append(at)
    return sent


def test_without_windows_nothing_is_limited() -> None:
    windows = RateWindows([])
    for _ in range(1000):
        windows.spend(0.0)
    assert windows.wait_s(0.0) == 0.0


def test_every_window_limits_the_rate_in_turn() -> None:
    sent = run(RateWindows(TEAMS), 4000)
    assert sent[:5] == pytest.approx([0, 0, 0, 0, 1])
    assert len([at for at in sent if at < 14.5]) == 60
    assert sent[60] == pytest.approx(30)
    assert len([at for at in sent if at < 3599]) == 100
    assert sent[100] == pytest.approx(3600)


def test_wait_s_uses_up_nothing() -> None:
    windows = RateWindows([(1, 1.0)])
    windows.spend(0.0)
    for _ in range(1000):
        assert windows.wait_s(0.5) == pytest.approx(0.5)
    assert windows.wait_s(1.0) == 0.0


def test_a_burst_is_not_followed_by_a_refill_within_the_window() -> None:
    """What a token bucket lets through: 10 at once, and 9 more within the same second."""
    sent = run(RateWindows([(10, 1.0)]), 0.95)
    assert len(sent) == 10


@pytest.mark.parametrize(
    ("share", "of", "count"),
    [(1.0, 12, 12), (0.5, 12, 6), (1 / 3, 12, 4), (0.3, 12, 3), (1 / 12, 12, 1), (0.29, 100, 29)],
)
def test_a_share_is_rounded_down_to_whole_requests(share: float, of: int, count: int) -> None:
    assert len(run(RateWindows([(of, 60.0)], share), 59)) == count


def test_a_share_below_one_request_waits_longer_and_keeps_the_average() -> None:
    sent = run(RateWindows([(4, 1.0)], 0.05), 100)
    assert len(sent) == 20
    assert sent[1] - sent[0] == pytest.approx(5)


def test_a_change_of_the_share_keeps_what_was_spent() -> None:
    windows = RateWindows([(10, 10.0)])
    assert len(run(windows, 1)) == 10
    windows.set_share(0.5)
    assert windows.wait_s(1.0) == pytest.approx(9)
    assert len(run(windows, 19, 10)) == 5
    windows.set_share(1.0)
    assert len(run(windows, 19.5, 19)) == 5


def test_larger_limits_count_each_earlier_request_once() -> None:
    earlier = RateWindows([(3, 10.0)])
    for at in (1.0, 2.0, 3.0, 4.0, 5.0):
        earlier.spend(at)
    windows = RateWindows([(6, 10.0)])
    windows.follow(earlier)
    assert len(run(windows, 6, 5)) == 3, "three of six are left; the earlier log has the last three"


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        RateWindows(TEAMS).set_share(share)


def test_memory_is_one_number_for_each_request_of_the_largest_window() -> None:
    windows = RateWindows([(4, 1.0), (1800, 86_400.0)])
    for at in range(10_000):
        windows.spend(float(at))
    assert len(windows._ring) == 1800


def test_after_a_wait_the_request_is_allowed() -> None:
    windows = RateWindows([(1, 0.1)])
    at = 3e6 + 1 / 3  # a month of uptime
    for _ in range(1000):
        windows.spend(at)
        asked = 0
        while wait_s := windows.wait_s(at):
            at += wait_s
            asked += 1
            assert asked < 3
