"""The gate of an endpoint on a virtual clock: thousands of schedules, drawn at random, in seconds.

Never more than a window's count, alone or shared between pods; exactly one probe; no lane starves;
the full rate comes back; no request within a ``Retry-After``.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import defaultdict
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.lanes import Lane, Lanes
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.model import AnswerKind

WINDOWS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0.5, 1.0, 7.0, 30.0, 100.0])), min_size=1, max_size=4
)
GAPS = st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.1, 0.3, 1.0, 5.0, 40.0]), min_size=1, max_size=30)
KINDS: list[AnswerKind] = ["ok", "throttled", "unavailable", "failed", "other"]


def rate_of(gate: Gate) -> float | None:
    """The rate that the receiver is limited to after an overload; None without a limit."""
    return gate.rate_per_s


def most_in_any(instants: list[float], seconds: float) -> int:
    """The most instants in any half-open stretch of that length."""
    ordered = sorted(instants)
    return max(
        (index + 1 - bisect_right(ordered, at - seconds + 1e-9) for index, at in enumerate(ordered)),
        default=0,
    )


def spend_all(windows: RateWindows, gaps: list[float], until: float, begin: float) -> list[float]:
    """Send whenever it is allowed, with pauses in between."""
    at, sent, turn = begin, [], 0
    while at < until and len(sent) < 300:
        wait_s = windows.wait_s(at)
        if wait_s:
            at += wait_s
            continue
        windows.spend(at)
        sent.append(at)
        at += gaps[turn % len(gaps)]
        turn += 1
    return sent


@settings(max_examples=300, deadline=None)
@given(limits=WINDOWS, gaps=GAPS, begin=st.floats(0, 1e6))
def test_never_more_than_the_count_in_any_window(
    limits: list[tuple[int, float]], gaps: list[float], begin: float
) -> None:
    sent = spend_all(RateWindows(limits), gaps, begin + 250, begin)
    for allowed, seconds in limits:
        assert most_in_any(sent, seconds) <= allowed


@settings(max_examples=300, deadline=None)
@given(
    limits=WINDOWS,
    gaps=st.lists(GAPS, min_size=6, max_size=6),
    parts=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    begins=st.lists(st.floats(0, 5), min_size=6, max_size=6),
)
def test_pods_that_share_never_exceed_the_count_together(
    limits: list[tuple[int, float]], gaps: list[list[float]], parts: list[int], begins: list[float]
) -> None:
    """A pod whose share is below one request may still send one; all others send only whole shares."""
    total = sum(parts)
    sent: list[float] = []
    for part, pauses, begin in zip(parts, gaps, begins, strict=False):
        sent += spend_all(RateWindows(limits, part / total), pauses, 100, begin)
    for allowed, seconds in limits:
        together = sum(max(1, allowed * part // total) for part in parts)
        assert most_in_any(sent, seconds) <= together
        if all(allowed * part >= total for part in parts):
            assert together <= allowed
        assert len(sent) <= allowed * 105 / seconds + 2 * allowed + len(parts)  # and on average


@settings(max_examples=200, deadline=None)
@given(limits=WINDOWS, gaps=GAPS, shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=8))
def test_a_changing_share_never_gives_more_than_the_count(
    limits: list[tuple[int, float]], gaps: list[float], shares: list[float]
) -> None:
    windows, sent = RateWindows(limits), list[float]()
    for number, share in enumerate(shares):
        windows.set_share(share)
        sent += spend_all(windows, gaps, (number + 1) * 20, max([number * 20.0, *sent[-1:]]))
    for allowed, seconds in limits:
        assert most_in_any(sent, seconds) <= allowed


@settings(max_examples=150, deadline=None)
@given(limits=WINDOWS)
def test_a_steady_sender_can_use_all_of_its_tightest_window(limits: list[tuple[int, float]]) -> None:
    sent = spend_all(RateWindows(limits), [0.0], 1e9, 0.0)
    slowest = max(len(sent) // allowed * seconds for allowed, seconds in limits)
    assert sent[-1] <= sum(len(sent) / allowed * seconds for allowed, seconds in limits)
    assert sent[-1] <= slowest + sum(seconds for _, seconds in limits) * 2


class World:
    """An endpoint and its gate: lanes with events, latencies and answers drawn in advance."""

    def __init__(
        self, gate: Gate, latencies: list[float], answers: list[tuple[AnswerKind, float | None]]
    ) -> None:
        self.gate = gate
        self.now = 0.0
        self.sent: list[float] = []
        self.under_way: list[tuple[float, int, AnswerKind, float | None]] = []
        self._latencies = latencies
        self._answers = answers
        self._turn = 0
        self.probes: set[int] = set()

    def send(self) -> None:
        """Send, which is allowed; note whether the request is the breaker's probe."""
        was_open = self.gate.state == "open"
        number = self.gate.sent(self.now)
        if was_open:
            assert self.gate.state == "half-open"
            self.probes = {number}
        self.sent.append(self.now)
        kind, retry_after_s = self._answers[self._turn % len(self._answers)]
        latency_s = self._latencies[self._turn % len(self._latencies)]
        self._turn += 1
        heapq.heappush(self.under_way, (self.now + latency_s, number, kind, retry_after_s))

    def answer(self) -> None:
        self.now, number, kind, retry_after_s = heapq.heappop(self.under_way)
        self.gate.answered(self.now, kind, retry_after_s, number=number)
        self.probes.discard(number)


ANSWERS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.none() | st.sampled_from([0.0, 0.7, 1.0, 12.0, 300.0])),
    min_size=1,
    max_size=25,
)
LATENCIES = st.lists(st.sampled_from([0.001, 0.05, 0.3, 2.0, 15.0]), min_size=1, max_size=9)


def make(limits: list[tuple[int, float]], concurrency: int) -> Gate:
    breaker = Breaker(failures=3, window_s=20, open_s=2, max_open_s=30, concurrency=concurrency)
    return Gate(RateWindows(limits), AdaptiveLimit(concurrency), breaker, retry_after_cap_s=100)


@settings(max_examples=400, deadline=None)
@given(
    limits=st.just([]) | WINDOWS,
    latencies=LATENCIES,
    answers=ANSWERS,
    concurrency=st.sampled_from([1, 2, 8, 64]),
)
def test_the_gate_keeps_its_limits_for_any_answers(
    limits: list[tuple[int, float]],
    latencies: list[float],
    answers: list[tuple[AnswerKind, float | None]],
    concurrency: int,
) -> None:
    """One probe at a time, nothing within a pause, every window kept, and it never stops for good."""
    gate = make(limits, concurrency)
    world = World(gate, latencies, answers)
    paused_until = opened_at = -math.inf
    for _ in range(300):
        wait_s = gate.admit(world.now)
        assert 0 <= wait_s <= 230, "never stops for good"
        if wait_s == 0 and len(world.under_way) < concurrency:
            assert not (world.probes and gate.state == "half-open"), "a second beside the probe"
            assert world.now >= paused_until - 1e-6, "within a Retry-After"
            assert gate.state != "open" or world.now >= opened_at + 2 - 1e-6, "before the probe's time"
            world.send()
            continue
        if world.under_way and (wait_s == 0 or world.under_way[0][0] <= world.now + wait_s):
            at, _, kind, retry_after_s = world.under_way[0]
            before = gate.state
            world.answer()
            if kind in {"throttled", "unavailable"} and retry_after_s is not None:
                paused_until = max(paused_until, at + min(retry_after_s, 100))
            if gate.state == "open" and before != "open":
                opened_at = at
                world.probes = set()
        else:
            world.now += wait_s
    for allowed, seconds in limits:
        assert most_in_any(world.sent, seconds) <= allowed


@settings(max_examples=60, deadline=None)
@given(
    latencies=st.lists(st.sampled_from([0.01, 0.02, 0.1]), min_size=1, max_size=5),
    answers=ANSWERS,
    concurrency=st.sampled_from([1, 8, 64]),
)
def test_the_full_rate_comes_back_after_any_failures(
    latencies: list[float], answers: list[tuple[AnswerKind, float | None]], concurrency: int
) -> None:
    gate = make([], concurrency)
    world = World(gate, latencies, answers)
    began_well_at = math.inf
    for step in range(600_000):  # a limit that did not hold is tried again after 30 s
        if step == 200:
            world._answers = [("ok", None)]
            began_well_at = world.now
        wait_s = gate.admit(world.now)
        if wait_s == 0 and len(world.under_way) < concurrency:
            world.send()
        elif world.under_way and (wait_s == 0 or world.under_way[0][0] <= world.now + wait_s):
            world.answer()
        else:
            world.now += wait_s
        limits = gate.state, rate_of(gate), gate.concurrency
        if step > 1000 and limits == ("closed", None, concurrency):
            break
    assert gate.state == "closed"
    assert (rate_of(gate), gate.concurrency) == (None, concurrency)
    free = concurrency - len(world.under_way)
    for _ in range(free):
        assert gate.admit(world.now) == 0, "as many as may be in flight are admitted"
        gate.sent(world.now)
    assert world.now - began_well_at < 400  # the longest pause, the longest opening, and the steps back


@settings(max_examples=60, deadline=None)
@given(
    limits=st.just([]) | WINDOWS,
    events=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    poisoned=st.sets(st.integers(0, 9), max_size=3),
)
def test_no_lane_starves_beside_lanes_that_always_fail(
    limits: list[tuple[int, float]], events: list[int], poisoned: set[int]
) -> None:
    """Waiting for a retry costs no budget: every event of a working lane is delivered, in order."""
    gate, lanes, number = make(limits, 8), Lanes[tuple[int, int]](), count()
    for lane in events:
        lanes.push(lane, (lane, next(number)))
    delivered: dict[int, list[int]] = defaultdict(list)
    failures: dict[int, int] = defaultdict(int)
    wanted = sum(lane not in poisoned for lane in events)
    now, asked = 0.0, 0
    while sum(map(len, delivered.values())) < wanted:
        asked += 1
        assert asked < 20_000, "starved"
        lanes.release(now)
        wait_s = gate.admit(now) if lanes.ready else 0.0
        if wait_s or not lanes.ready:
            due_at = lanes.next_due_at
            assert wait_s or due_at is not None
            now = now + wait_s if wait_s else max(now, due_at or now)
            continue
        taken: Lane[tuple[int, int]] | None = lanes.pop()
        assert taken is not None
        key, item = taken.head
        ticket = gate.sent(now)
        now += 0.01
        if key in poisoned:
            gate.answered(now, "failed", number=ticket)
            failures[key] += 1
            lanes.defer(taken, now + min(2.0 ** failures[key], 600))
        else:
            gate.answered(now, "ok", number=ticket)
            delivered[key].append(item)
            lanes.finish(taken)
    assert all(items == sorted(items) for items in delivered.values())
