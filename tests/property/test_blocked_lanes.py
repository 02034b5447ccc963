"""Blocked events never use up the window of events that can run: one endpoint, many failing entities."""

from __future__ import annotations

import asyncio
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fakes import Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import simulated, until

WINDOW = 6


class Stage:
    """A log of failing entities and a healthy one; the receiver refuses the failing ones until ``heal``."""

    def __init__(self, random: Random, failing_events: int) -> None:
        self.log = Log()
        self.failing: list[str] = []
        self.healthy: list[str] = []
        self.healed = False
        entities = random.randint(1, failing_events)
        for number in range(failing_events):
            entity = f"failing-{number % entities}"
            self.failing.append(f"{entity}/{number}")
            self.log.add(self.failing[-1], entity=entity)
            if random.random() < 0.7:
                self._add_healthy()
        for _ in range(random.randint(1, 30)):
            self._add_healthy()
        plan = Plan(window=WINDOW, concurrency=3, base_s=30, max_attempts=1000, max_age_s=MONTH_S)
        self.world = World({"crm": plan}, log=self.log)
        self.world.receiver.answer = self.answer
        self.process = Process(self.world, max_batch=random.choice((1, 2, 5)))

    def _add_healthy(self) -> None:
        self.healthy.append(f"healthy/{len(self.healthy)}")
        self.log.add(self.healthy[-1], entity="healthy")

    async def answer(self, sent: Sent) -> int:
        await asyncio.sleep(0.01)
        return 408 if sent.entity.startswith("failing") and not self.healed else 200

    @property
    def delivered(self) -> list[str]:
        return self.world.receiver.delivered

    async def heal(self) -> None:
        """Accept all entities: every event is delivered, each entity in order."""
        self.healed = True
        await until(lambda: self.world.offsets.at("crm") == self.log.bounds(next(iter(self.log.records)))[1])
        await self.process.stop()
        assert sorted(self.delivered) == sorted([*self.failing, *self.healthy])
        for entity in {event_id.partition("/")[0] for event_id in self.delivered}:
            numbers = [
                int(event_id.partition("/")[2])
                for event_id in self.delivered
                if event_id.startswith(f"{entity}/")
            ]
            assert numbers == sorted(numbers)


def run_stage(seed: int, more: int) -> None:
    """Run with more failing events than a window, and fewer than a cursor may have open in all."""

    @simulated
    async def run() -> None:
        stage = Stage(Random(seed), WINDOW + more)
        stage.process.start()
        await until(lambda: set(stage.healthy) <= set(stage.delivered), within_s=200)
        assert not set(stage.failing) & set(stage.delivered)
        await stage.heal()

    with structlog.testing.capture_logs():
        run()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), more=st.integers(1, 2 * WINDOW - 1))
def test_a_healthy_entity_is_delivered_while_more_than_a_window_of_events_is_blocked(
    seed: int, more: int
) -> None:
    run_stage(seed, more)


@simulated
async def test_events_in_blocked_lanes_are_bounded_and_delivered_in_the_end() -> None:
    stage = Stage(Random(1), 20 * WINDOW)
    stage.process.start()
    await asyncio.sleep(500)
    (cursor,) = stage.process.checkpoints.all()
    assert cursor.full
    assert 3 * WINDOW <= cursor.unsettled <= 4 * WINDOW + 5, "four windows, and the batch that filled them"
    with structlog.testing.capture_logs():
        await stage.heal()
