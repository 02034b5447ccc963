"""Random transactions, gaps and crashes: cursors reach the end, and no commit passes an unread event."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core import completion_map
from bridge.model import Committed, Partition
from bridge.telemetry import events
from tests.support.fakes import P0, P1, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import simulated, until

PLANS = {
    "small": Plan(window=2, concurrency=2, base_s=0.2, max_attempts=1000, max_age_s=MONTH_S),
    "large": Plan(window=50, base_s=0.2, max_attempts=1000, max_age_s=MONTH_S),
}


class Transactional:
    """A producer with one transaction per partition at a time, and the events that consumers may read."""

    def __init__(self, log: Log, random: Random) -> None:
        self.committed: dict[Partition, list[tuple[int, str]]] = {P0: [], P1: []}
        self._open: dict[Partition, list[tuple[int, str]]] = {}
        self._log = log
        self._random = random
        self._count = 0

    def act(self) -> None:
        random = self._random
        partition = random.choice((P0, P1))
        match random.choice(("add", "add", "gap", "begin", "end", "end")):
            case "gap" if partition not in self._open:
                self._log.add_unreadable(random.choice((1, 3, 200)), partition)
            case "begin" if partition not in self._open:
                self._log.begin_transaction(partition)
                self._open[partition] = []
            case "end" if partition in self._open:
                self.end(partition, commit=random.random() < 0.5)
            case "add":
                self._count += 1
                name = f"{self._count}"
                made = self._log.add(name, entity=f"{random.randint(0, 3)}", partition=partition)
                self._open.get(partition, self.committed[partition]).append((made.offset, name))

    def end(self, partition: Partition, *, commit: bool) -> None:
        added = self._open.pop(partition)
        self._log.end_transaction(partition, commit=commit)
        if commit:
            self.committed[partition] += added

    def end_all(self) -> None:
        for partition in list(self._open):
            self.end(partition, commit=True)


class Checked:
    """Every commit, compared with what its endpoint has received and with the last stable offset."""

    def __init__(self, world: World, producer: Transactional) -> None:
        self.violations: list[str] = []
        self._world = world
        self._producer = producer

    def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        received = set(self._world.receivers[group.removeprefix("g.")].delivered)
        for partition, committed in offsets.items():
            done = completion_map.decode(*committed)
            if committed.offset > self._world.log.bounds(partition)[1]:
                self.violations.append(f"{group} {partition}: past the last stable offset")
            for offset, name in self._producer.committed[partition]:
                if done.settled(offset) and name not in received:
                    self.violations.append(f"{group} {partition}: {name} committed, not delivered")


async def live(random: Random) -> None:
    world = World(PLANS, log=Log(P0, P1))
    producer = Transactional(world.log, random)
    checked = Checked(world, producer)
    world.offsets.on_commit = checked.commit

    async def answer(_: Sent) -> int:
        await asyncio.sleep(random.choice((0, 0, 0.1, 1)))
        return random.choice((200, 200, 503))

    for receiver in world.receivers.values():
        receiver.answer = answer

    def new_process() -> Process:
        return Process(world, P0, P1, max_batch=random.choice((1, 3, 10))).start()

    process = new_process()
    for _ in range(random.randint(5, 60)):
        producer.act()
        if random.random() < 0.4:
            await asyncio.sleep(random.choice((0, 0.05, 0.3, 2)))
        if random.random() < 0.05:
            await process.crash()
            process = new_process()
        elif random.random() < 0.05:
            await process.revoke()
            process.assign()
    producer.end_all()
    ends = {partition: world.log.bounds(partition)[1] for partition in (P0, P1)}

    def all_at_the_end() -> bool:
        process.raise_if_dead()
        return all(world.offsets.at(name, one) == end for name in PLANS for one, end in ends.items())

    await until(all_at_the_end)
    await process.stop()
    assert checked.violations == []
    wanted = {name for added in producer.committed.values() for _, name in added}
    for receiver in world.receivers.values():
        assert set(receiver.delivered) == wanted


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_cursors_reach_the_end_of_a_transactional_log_and_pass_no_unread_event(seed: int) -> None:
    @simulated
    async def run() -> None:
        await live(Random(seed))

    with structlog.testing.capture_logs() as logs:
        run()
    assert not [line for line in logs if line["event"] == events.RECORDS_DELETED]
