"""The whole path at random: receivers fail, processes die, partitions are revoked and assigned.

Delivered and repeated events are compared with the committed cursors and the journal, the only state
that survives a process. Windows are small, so endpoints lag and catch up all the time. Time is
simulated, so a seed always gives the same run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core import completion_map
from bridge.core.memory_budget import MemoryPlan
from bridge.errors import KafkaUnavailable
from bridge.model import Committed, Partition
from tests.support.fake_group import FakeJournal
from tests.support.fakes import P0, P1, FakeReceiver, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import simulated, until

PLANS = {
    "all": Plan(window=6, concurrency=3, base_s=0.5, max_attempts=1000, max_age_s=MONTH_S),
    "paid": Plan(("Paid",), window=3, concurrency=2, base_s=0.5, max_attempts=1000, max_age_s=MONTH_S),
}
LITTLE_MEMORY = MemoryPlan(40_000, 20_000, 10_000, 1_000, 200, 1_000)
"""Room for a handful of events, and decoded data of one or two."""
Firsts = dict[str, tuple[Partition, int, int]]
"""Of each event the partition, the offset and the part of its first record."""
WANTED = {"all": {"Paid", "Made"}, "paid": {"Paid"}}


class Watched:
    """One endpoint of a world, with everything its receiver may never see."""

    def __init__(self, name: str, world: World, random: Random) -> None:
        self.name = name
        self.world = world
        self.receiver: FakeReceiver = world.receivers[name]
        self.receiver.answer = self.answer
        self.receiver.on_send = self.check_sent
        self.calm = False
        self.violations: list[str] = []
        self.first_of: Firsts = {}
        self.known: set[str] = set()
        """Events that were delivered and settled, in this assignment or before a kill on the same disk."""
        self._random = random

    def begin_anew(self) -> None:
        self.known = set()

    async def answer(self, sent: Sent) -> int:
        known = self.known
        await asyncio.sleep(self._random.choice((0, 0.01, 0.3, 4)))
        if not self.calm and self._random.random() < 0.4:
            return 503
        known.add(sent.event_id)
        return 200

    def check_sent(self, sent: Sent) -> None:
        busy = {one.entity for one in self.receiver.in_flight}
        self.never(sent.entity in busy, "two events of an entity in flight", sent.event_id)
        partition, offset, part = self.first_of[sent.event_id]
        committed = self.world.offsets.committed.get((f"g.{self.name}", partition))
        if committed is not None:
            done = settled(completion_map.decode(*committed), offset, part)
            self.never(done, "sent although its completion was committed", sent.event_id)
        self.never(sent.event_id in self.known, "sent again although its 2xx was known", sent.event_id)

    def check_commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """A commit never includes an event that the receiver has not received."""
        for partition, committed in offsets.items():
            done = completion_map.decode(*committed)
            for event_id in self.expected(partition):
                if settled(done, *self.first_of[event_id][1:]):
                    self.never(event_id not in self.receiver.delivered, "committed, not delivered", event_id)

    def never(self, broken: bool, rule: str, event_id: str) -> None:
        """Note a broken rule: raised here, it would be taken for a fault of the transport."""
        if broken:
            self.violations.append(f"{self.name} {event_id}: {rule}")

    def expected(self, partition: Partition) -> list[str]:
        return [
            event_id
            for event_id, (where, _, _) in self.first_of.items()
            if where == partition and event_id.split(":")[1] in WANTED[self.name]
        ]


def settled(done: completion_map.Completion, offset: int, part: int) -> bool:
    return done.settled(offset) or part in done.parts.get(offset, ())


def add_several(log: Log, firsts: Firsts, random: Random, number: int, partition: Partition) -> None:
    """A record of several events, of one entity or of many; now and then it comes twice."""
    entities = [f"{partition.number}-{random.randint(0, 3)}" for _ in range(random.choice((1, 1, 3)))]
    events = [(random.choice(("Paid", "Made")), random.choice(entities)) for _ in range(random.randint(1, 5))]
    named = [
        (f"{number}.{part}:{kind}:{entity}", kind, entity)
        for part, (kind, entity) in enumerate(events, start=1)
    ]
    made = log.add_several(*named, partition=partition)
    firsts.update({one[0]: (partition, made.offset, part) for part, one in enumerate(named, start=1)})
    if random.random() < 0.2:
        log.add_several(*named, partition=partition)


def make_log(random: Random) -> tuple[Log, Firsts]:
    """Events of four entities per partition, alone and several to a record.

    With gaps, tombstones, rubbish, duplicates, and offsets without a readable record, also at the end.
    """
    log = Log(P0, P1)
    firsts: Firsts = {}
    for number in range(random.randint(5, 25)):
        partition = random.choice((P0, P1))
        if random.random() < 0.25:
            add_several(log, firsts, random, number, partition)
            continue
        kind = random.choice(("Paid", "Paid", "Made"))
        entity = f"{partition.number}-{random.randint(0, 3)}"
        made = log.add(
            f"{number}:{kind}:{entity}", entity=entity, type=kind, partition=partition,
            gap=random.choice((0, 0, 0, 2)),
        )  # fmt: skip
        firsts[f"{number}:{kind}:{entity}"] = (partition, made.offset, 0)
        chance = random.random()
        if chance < 0.2:
            again = random.choice([one for one, (where, _, _) in firsts.items() if where == partition])
            _, kind, entity = again.split(":")
            log.add(again, entity=entity, type=kind, partition=partition)
        elif chance < 0.25:
            log.add("", partition=partition, raw=None)
        elif chance < 0.3:
            log.add("", partition=partition, raw=b"{")
        elif chance < 0.5:
            log.add_unreadable(random.choice((1, 1, 20)), partition)
    return log, firsts


async def live(random: Random) -> None:
    log, firsts = make_log(random)
    world = World(PLANS, log=log)
    watched = {name: Watched(name, world, random) for name in PLANS}
    for one in watched.values():
        one.first_of = firsts
    world.offsets.on_commit = lambda group, offsets: watched[group.removeprefix("g.")].check_commit(offsets)

    def begin_anew() -> None:
        for one in watched.values():
            one.begin_anew()

    def new_process() -> Process:
        process = Process(
            world,
            P0,
            P1,
            max_batch=random.choice((1, 3, 10)),
            drain_timeout_s=random.choice((0.1, 1, 20)),
            commit_interval_s=random.choice((0.2, 0.2, 0.04)),  # with 0.04, each commit takes one endpoint
            memory=random.choice((None, LITTLE_MEMORY)),
        )
        if random.random() < 0.3:
            process.window.trouble.append(KafkaUnavailable("away"))
        return process.start()

    process = new_process()
    for _ in range(random.randint(0, 6)):
        await asyncio.sleep(random.choice((0.0, 0.05, 0.21, 1.3, 6)))
        process.raise_if_dead()
        match random.choice(("crash", "revoke", "stop", "refuse", "unanswered", "unfenced", "unparked")):
            case "crash":
                await process.crash()
                if random.random() < 0.3:
                    world.journal = FakeJournal()  # the disk went with the machine
                    begin_anew()
                process = new_process()
            case "stop":
                await process.stop()
                begin_anew()
                process = new_process()
            case "revoke":
                await process.revoke()
                begin_anew()
                await asyncio.sleep(random.choice((0, 0.5, 5)))
                process.assign()
            case "refuse":
                world.offsets.trouble.extend(random.choices((None, "refused"), k=4))
            case "unanswered":
                process.reader.unanswered = random.choice((1, 3, 100))
            case "unfenced":
                process.reader.lost_place = True
                await asyncio.sleep(1)
                process.reader.lost_place = False
            case "unparked":
                world.parking.refusals += random.randint(1, 3)
    for one in watched.values():
        one.calm = True
    world.offsets.trouble.clear()
    process.reader.unanswered = 0
    ends = {partition: log.bounds(partition)[1] for partition in (P0, P1)}

    def all_committed() -> bool:
        process.raise_if_dead()
        return all(world.offsets.at(name, one) == end for name in PLANS for one, end in ends.items())

    await until(all_committed)
    assert {(one.unsettled, one._blocked) for one in process.checkpoints.all()} <= {(0, 0)}
    assert [process.checkpoints.waiting_bytes(name) for name in PLANS] == [0, 0]
    assert process.budget.used_bytes == 0
    await process.stop()
    for one in watched.values():
        check_the_end(one)
    rubbish = {record for records in log.records.values() for record in records if record.value == b"{"}
    assert {record for record, _ in world.parking.parked} == rubbish


def check_the_end(endpoint: Watched) -> None:
    assert endpoint.violations == []
    for partition in (P0, P1):
        wanted = endpoint.expected(partition)
        missing = set(wanted) - set(endpoint.receiver.delivered)
        assert not missing, "never delivered"
        firsts = list(dict.fromkeys(endpoint.receiver.delivered))
        for entity in {event_id.split(":")[2] for event_id in wanted}:
            of_entity = [one for one in wanted if one.split(":")[2] == entity]
            arrived = [one for one in firsts if one.split(":")[2] == entity]
            assert arrived == of_entity, "out of order"
    assert set(endpoint.receiver.delivered) <= {
        event_id for one in (P0, P1) for event_id in endpoint.expected(one)
    }, "unwanted events came"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_nothing_is_lost_or_out_of_order_and_only_uncommitted_events_are_repeated(seed: int) -> None:
    @simulated
    async def run() -> None:
        await live(Random(seed))

    with structlog.testing.capture_logs():
        run()
