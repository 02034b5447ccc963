"""At most one line per interval and key."""

from __future__ import annotations

from bridge.telemetry.throttle import Throttle


class Clock:
    """Seconds that a test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_one_line_per_interval_and_key() -> None:
    clock = Clock()
    throttle = Throttle(60, clock)
    assert [throttle.allows("a"), throttle.allows("a"), throttle.allows("b")] == [True, False, True]
    assert throttle.suppressed("a") == 1
    clock.now_s += 59.9
    assert not throttle.allows("a")
    assert throttle.suppressed("a") == 2
    clock.now_s += 0.1
    assert throttle.allows("a")
    assert throttle.suppressed("a") == 0


def test_a_refused_line_does_not_prolong_the_interval() -> None:
    clock = Clock()
    throttle = Throttle(60, clock)
    assert throttle.allows()
    clock.now_s += 30
    assert not throttle.allows()
    clock.now_s += 30
    assert throttle.allows()


def test_the_number_of_keys_is_bounded() -> None:
    throttle = Throttle(60, Clock())
    assert all(throttle.allows(key) for key in range(5000))
    assert not throttle.allows(4999)
    assert throttle.allows(0)
