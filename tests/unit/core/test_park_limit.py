"""The limit on dead letters of one endpoint."""

from __future__ import annotations

import pytest

from bridge.core.limits import ParkLimit
from bridge.core.limits.park_limit import RENDER, refusal

UNPROCESSABLE = refusal(422)


def limit(events: int = 100, share: float = 0.5, window_s: float = 60.0) -> ParkLimit:
    return ParkLimit(events=events, share=share, window_s=window_s)


def park(limit: ParkLimit, count: int, cause: str, now: float = 0.0) -> int:
    """Park until the limit is exceeded; return how many were parked."""
    return next((n for n in range(count) if limit.exceeded(now, cause)), count)


def test_a_wrong_template_parks_a_hundred_events_and_no_more() -> None:
    rule = limit()
    assert park(rule, 300, RENDER) == 100
    reason = rule.exceeded(0, RENDER)
    assert reason == (
        "park_limit: 100 of 100 events within 60 s were parked with an error in the payload or the template;"
        " correct the endpoint's template or filter, or what writes the events"
    )


def test_a_cause_stays_exceeded_until_the_reset() -> None:
    rule = limit()
    park(rule, 300, RENDER)
    rule.delivered(1, 10_000)
    assert rule.exceeded(1000, RENDER)
    rule.reset()
    assert park(rule, 300, RENDER, 1000) == 100


def test_causes_are_counted_apart() -> None:
    rule = limit(share=0.2)
    assert park(rule, 100, RENDER) == park(rule, 100, UNPROCESSABLE) == park(rule, 100, refusal(400)) == 100
    assert not rule.exceeded(61, RENDER)
    assert park(limit(), 300, UNPROCESSABLE) == 100


def test_events_that_are_at_most_the_share_of_all_are_parked_without_limit() -> None:
    rule = limit()
    for second in range(600):
        rule.delivered(second, 90)
        assert park(rule, 10, UNPROCESSABLE, second) == 10


def test_a_burst_after_many_deliveries_of_the_same_minute_is_parked() -> None:
    rule = limit()
    rule.delivered(0, 10_000)
    assert park(rule, 1000, UNPROCESSABLE, 50) == 1000


def test_deliveries_that_left_the_window_do_not_count() -> None:
    rule = limit()
    rule.delivered(0, 10_000)
    assert park(rule, 1000, UNPROCESSABLE, 61) == 100


def test_parks_that_left_the_window_do_not_count() -> None:
    rule = limit()
    assert all(park(rule, 1, UNPROCESSABLE, second) for second in range(0, 6000, 2))


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_refused_login_exceeds_after_ten_in_a_row(status: int) -> None:
    rule = limit()
    assert park(rule, 60, refusal(status)) == 10
    assert rule.exceeded(0, refusal(status)) == (
        f"park_limit: 10 events in a row were parked with status {status}, and none delivered;"
        " correct the endpoint's secret, token or header"
    )


def test_a_delivery_ends_a_run_of_refused_logins() -> None:
    rule = limit()
    for second in range(0, 600, 20):
        assert park(rule, 10, refusal(403), second) == 10
        rule.delivered(second, 1)


def test_refused_logins_obey_a_limit_below_ten() -> None:
    assert park(limit(events=3), 60, refusal(401)) == 3
