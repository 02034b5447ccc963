"""The whole path with batches at random: receivers fail, name events and refuse some; processes die or stop.

A careful receiver takes the events of a request in order, and of an entity nothing after one that failed.
"""

from __future__ import annotations

import asyncio
import json
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import TransportError, TransportFault
from bridge.model import Response
from tests.support.batch_receiver import BatchReceiver, SentBatch
from tests.support.fakes import P0, P1, Log
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import simulated, until

FORMS = ("array", "object", "ndjson")


class Careful:
    """A receiver at random, and what it may never see."""

    def __init__(self, world: World, random: Random, poison: set[str]) -> None:
        self._world = world
        self._random = random
        self._poison = poison
        self.calm = False
        self.busy: set[str] = set()
        self.first: list[str] = []
        """The events in the order in which they were accepted for the first time."""
        self.violations: list[str] = []

    async def answer(self, batch: SentBatch) -> Response | TransportError | int:
        entities = set(batch.entities)
        if self.busy & entities:
            self.violations.append(f"two requests of one entity in flight: {batch.ids}")
        self.busy |= entities
        try:
            await asyncio.sleep(self._random.choice((0, 0.01, 0.3, 4)))
            return self._decide(batch)
        finally:
            self.busy -= entities

    def _decide(self, batch: SentBatch) -> Response | TransportError | int:
        if not self.calm and self._random.random() < 0.3:
            return self._random.choice((503, 429, TransportError(TransportFault.TIMEOUT, "no answer")))
        if self._poison & set(batch.ids):
            return 422
        places = range(len(batch.ids))
        failed = [] if self.calm else [place for place in places if self._random.random() < 0.2]
        stopped: set[str] = set()
        for place in places:
            if place in failed:
                stopped.add(batch.entities[place])
            if batch.entities[place] not in stopped and batch.ids[place] not in self.first:
                self.first.append(batch.ids[place])
        named = [self._random.choice((place, batch.webhook_ids[place])) for place in failed]
        return Response(200, (), json.dumps({"failed": named}).encode())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 7), st.sampled_from((0.0, 0.2, 3.0)))
def test_batches_lose_nothing_and_keep_the_order_of_each_entity(
    seed: int, most: int, entities: int, wait_s: float
) -> None:
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    try:
        _run(seed, most, entities, wait_s)
    finally:
        structlog.reset_defaults()


@simulated
async def _run(seed: int, most: int, entities: int, wait_s: float) -> None:
    random = Random(seed)
    form = random.choice(FORMS)
    limits = most, random.choice((1024, 1 << 20)), wait_s, form
    window = random.choice((4, 30))
    plan = Plan(batch=limits, window=window, concurrency=3, base_s=0.5, max_attempts=1000, max_age_s=MONTH_S)
    world = World({"crm": plan}, Log(P0, P1))
    written: list[tuple[str, str]] = []
    poison: set[str] = set()
    careful = Careful(world, random, poison)
    world.receivers["crm"] = BatchReceiver(careful.answer)  # type: ignore[assignment]  # both are transports
    process = Process(world, P0, P1).start()
    for step in range(8):
        for number in range(random.randrange(12)):
            name, entity = f"{step}-{number}", f"e{random.randrange(entities)}"
            partition = P0 if entity < "e4" else P1
            world.log.add(name, entity=entity, partition=partition)
            written.append((name, entity))
            if random.random() < 0.05:
                poison.add(name)
        await asyncio.sleep(random.choice((0, 0.1, 1, 10)))
        event = random.random()
        if event < 0.2:
            await process.crash()
            careful.busy.clear()
            process = Process(world, P0, P1).start()
        elif event < 0.4:
            await process.revoke()
            process.assign()
        elif event < 0.6:
            await process.stop()
            process = Process(world, P0, P1).start()
    careful.calm = True
    parked = lambda: {json.loads(record.value or b"")["id"] for record, _ in world.parking.parked}  # noqa: E731
    wanted = {name for name, _ in written}
    await until(lambda: process.raise_if_dead() or wanted <= {*careful.first, *parked()})
    await process.stop()
    assert not careful.violations
    assert parked() == poison & wanted, "only the refused events are parked"
    for entity in {entity for _, entity in written}:
        in_log = [name for name, of in written if of == entity and name not in poison]
        mine = set(in_log)
        assert [name for name in careful.first if name in mine] == in_log
    for partition in (P0, P1):
        committed = world.offsets.committed.get(("g.crm", partition))
        assert committed is None or committed.offset == len(world.log.records[partition])
