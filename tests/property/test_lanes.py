"""Lanes, driven at random: one in flight per key, in order, nothing lost, no lane starved."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bridge.core.lanes import Lane, Lanes

KEYS = st.one_of(st.none(), st.integers(0, 4))
Item = tuple[int | None, int]


class LaneMachine(RuleBasedStateMachine):
    """A model of the lanes: which items were pushed, are in flight, and are finished."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.blocked: Counter[int | None] = Counter()
        self.failed_heads: set[Item] = set()
        self.lanes: Lanes[Item] = Lanes(self.count_blocked)
        self.queued: dict[int | None, list[Item]] = defaultdict(list)
        self.in_flight: list[Lane[Item]] = []
        self.number = 0
        self.now = 0.0
        self.turns_waited: dict[int, int] = {}

    def count_blocked(self, item: Item, change: int) -> None:
        self.blocked[item[0]] += change

    @rule(key=KEYS)
    def push(self, key: int | None) -> None:
        self.number += 1
        item = (key, self.number)
        self.queued[key].append(item)
        self.lanes.push(key, item)

    @rule(target=running)
    def take(self) -> object:
        lane = self.lanes.pop()
        if lane is None:
            return None
        self.in_flight.append(lane)
        return lane

    @rule(lane=consumes(running))
    def settle(self, lane: Lane[Item] | None) -> None:
        if lane is None:
            return
        self.failed_heads.discard(lane.head)
        self.queued[lane.head[0]].remove(lane.head)
        self.in_flight.remove(lane)
        self.lanes.finish(lane)

    @rule(lane=consumes(running), delay=st.floats(0.1, 5))
    def defer(self, lane: Lane[Item] | None, delay: float) -> None:
        if lane is None:
            return
        self.in_flight.remove(lane)
        self.failed_heads.add(lane.head)
        self.lanes.defer(lane, self.now + delay)

    @rule(step=st.floats(0, 6))
    def pass_time(self, step: float) -> None:
        self.now += step
        self.lanes.release(self.now)

    @rule(key=st.integers(0, 4))
    def drop(self, key: int) -> None:
        kept = {lane.head for lane in self.in_flight}
        self.lanes.drop(lambda item: item[0] == key)
        self.queued[key] = [item for item in self.queued[key] if item in kept]
        self.failed_heads = {item for item in self.failed_heads if item[0] != key or item in kept}

    @invariant()
    def one_in_flight_per_key(self) -> None:
        keys = [lane.head[0] for lane in self.in_flight if lane.head[0] is not None]
        assert len(keys) == len(set(keys))

    @invariant()
    def the_head_is_the_oldest_of_its_key(self) -> None:
        for lane in self.in_flight:
            key = lane.head[0]
            if key is not None:
                assert lane.head == self.queued[key][0]

    @invariant()
    def blocked_items_are_those_in_lanes_with_a_failed_head(self) -> None:
        alone = sum(item[0] is None for item in self.failed_heads)
        behind = {item[0]: len(self.queued[item[0]]) for item in self.failed_heads if item[0] is not None}
        assert +self.blocked == +Counter({None: alone, **behind})

    @invariant()
    def a_due_lane_is_not_forgotten(self) -> None:
        due_at = self.lanes.next_due_at
        assert due_at is None or due_at > self.now - 1e-9 or self.lanes.release(self.now) > 0

    def teardown(self) -> None:
        """The remaining items come out once each, in the order of their key: nothing is lost or invented."""
        for lane in list(self.in_flight):
            self.settle(lane)
        seen: dict[int | None, list[Item]] = defaultdict(list)
        self.now += 1000
        self.lanes.release(self.now)
        while (lane := self.lanes.pop()) is not None:
            seen[lane.head[0]].append(lane.head)
            self.lanes.finish(lane)
        for key in {*seen, *self.queued}:
            if key is None:
                assert sorted(seen[key]) == sorted(self.queued[key])
            else:
                assert seen[key] == self.queued[key]
        assert self.lanes.ready == self.lanes.waiting == 0


LaneMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestLanes = LaneMachine.TestCase


def test_a_busy_lane_does_not_starve_the_others() -> None:
    """With one lane that always has more, each other lane runs within one round."""
    lanes: Lanes[str] = Lanes()
    for number in range(1000):
        lanes.push("busy", f"busy {number}")
    for key in range(10):
        lanes.push(key, f"one of {key}")
    served = []
    for _ in range(12):
        lane = lanes.pop()
        assert lane is not None
        served.append(lane.key)
        lanes.finish(lane)
    assert set(range(10)) <= set(served)
    assert served.count("busy") == 2


def test_a_lane_that_waits_for_its_retry_gets_no_worker() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.push("a", "a1")
    lanes.push("b", "b1")
    first = lanes.pop()
    assert first is not None
    lanes.defer(first, 10.0)
    second = lanes.pop()
    assert second is not None
    assert second.key == "b"
    assert lanes.pop() is None
    assert lanes.release(9.9) == 0
    assert lanes.release(10.0) == 1
    assert lanes.pop() is first


def test_items_pushed_after_a_drop_wait_for_the_head_in_flight() -> None:
    """A partition that is revoked and assigned again must not run next to its own unfinished request."""
    lanes: Lanes[str] = Lanes()
    lanes.push("a", "old 1")
    lanes.push("a", "old 2")
    lane = lanes.pop()
    assert lane is not None
    assert lanes.drop(lambda _: True) == 1
    lanes.push("a", "new 1")
    assert lanes.pop() is None
    lanes.finish(lane)
    assert lanes.pop() is lane
    assert lane.head == "new 1"
