"""Events that wait never take the budget of those that can run: one endpoint, many entities that fail."""

from __future__ import annotations

import asyncio
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fakes import Log, Sent
from tests.support.path import MONTH_S, Plan, Process, World
from tests.support.simulated import simulated, until

WINDOW = 6


class Ward:
    """A log of entities that fail and one that is well, and a receiver that is late for the ill ones."""

    def __init__(self, random: Random, ill_events: int) -> None:
        self.log = Log()
        self.ill: list[str] = []
        self.well: list[str] = []
        self.healed = False
        entities = random.randint(1, ill_events)
        for number in range(ill_events):
            entity = f"ill-{number % entities}"
            self.ill.append(f"{entity}/{number}")
            self.log.add(self.ill[-1], entity=entity)
            if random.random() < 0.7:
                self._add_well()
        for _ in range(random.randint(1, 30)):
            self._add_well()
        plan = Plan(window=WINDOW, concurrency=3, base_s=30, max_attempts=1000, max_age_s=MONTH_S)
        self.world = World({"crm": plan}, log=self.log)
        self.world.receiver.answer = self.answer
        self.process = Process(self.world, max_batch=random.choice((1, 2, 5)))

    def _add_well(self) -> None:
        self.well.append(f"well/{len(self.well)}")
        self.log.add(self.well[-1], entity="well")

    async def answer(self, sent: Sent) -> int:
        await asyncio.sleep(0.01)
        return 408 if sent.entity.startswith("ill") and not self.healed else 200

    @property
    def delivered(self) -> list[str]:
        return self.world.receiver.delivered

    async def heal(self) -> None:
        """Everything is well: all of it arrives, each entity in order."""
        self.healed = True
        await until(lambda: self.world.offsets.at("crm") == self.log.bounds(next(iter(self.log.records)))[1])
        await self.process.stop()
        assert sorted(self.delivered) == sorted([*self.ill, *self.well])
        for entity in {one.partition("/")[0] for one in self.delivered}:
            numbers = [int(one.partition("/")[2]) for one in self.delivered if one.startswith(f"{entity}/")]
            assert numbers == sorted(numbers)


def played(seed: int, more: int) -> None:
    """More ill events than a window, fewer than what a cursor may hold in all."""

    @simulated
    async def run() -> None:
        ward = Ward(Random(seed), WINDOW + more)
        ward.process.start()
        await until(lambda: set(ward.well) <= set(ward.delivered), within_s=200)
        assert not set(ward.ill) & set(ward.delivered)
        await ward.heal()

    with structlog.testing.capture_logs():
        run()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), more=st.integers(1, 2 * WINDOW - 1))
def test_an_entity_that_is_well_gets_through_though_more_than_a_window_waits(seed: int, more: int) -> None:
    played(seed, more)


@simulated
async def test_what_waits_in_blocked_lanes_is_bounded_and_gets_through_in_the_end() -> None:
    ward = Ward(Random(1), 20 * WINDOW)
    ward.process.start()
    await asyncio.sleep(500)
    (cursor,) = ward.process.checkpoints.all()
    assert cursor.full
    assert 3 * WINDOW <= cursor.unsettled <= 4 * WINDOW + 5, "four windows, and the batch that filled them"
    with structlog.testing.capture_logs():
        await ward.heal()
