"""Held lanes at random: refused events, pods that die and exchange partitions, redrives and discards.

Two pods share two partitions and exchange them. Each write to the broker takes time, and a crash may
come before or after it. An operator redrives and discards while events keep coming. At the end every
event is accepted and redriven, and the deliveries are compared with the log.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Fate, Letter, LetterFilter
from bridge.dead_letters.redrive import Outcome, RedriveRounds, by_lane, cause_of, lane_of
from bridge.model import Partition
from tests.support.fake_group import FakeJournal
from tests.support.fake_store import FakeStore
from tests.support.fakes import AGAIN, P0, P1, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import LoopClock, simulated, until

AGAIN_1 = Partition(AGAIN.topic, 1)
PAIRS = ((P0, AGAIN), (P1, AGAIN_1))
PLAN = Plan(window=6, concurrency=3, base_s=0.3, max_attempts=3, max_age_s=MONTH_S, on_park="hold")
ENTITIES = 2


class Scene:
    """A world with one endpoint that holds lanes, its receiver, its operator, and the violations of rules."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World({"crm": PLAN}, log=Log(P0, P1, AGAIN, AGAIN_1))
        self.world.receiver.answer = self.answer
        self.world.receiver.on_send = self.check_sent
        for broker in (self.world.parking, self.world.register):
            broker.pause_s = self.pause_s
        self.store = FakeStore(self.world, self.pause_s)
        self.published: defaultdict[str, list[str]] = defaultdict(list)
        self.refused: set[str] = set()
        self.discarded: set[str] = set()
        self.violations: list[str] = []
        self.pods: list[Process | None] = [None, None]
        self.disks = [FakeJournal(), FakeJournal()]
        self.calm = False
        self.drain_timeout_s = random.choice((0.1, 20, 20))

    def pause_s(self) -> float:
        return 0.0 if self.calm else self.random.choice((0, 0, 0.01, 0.2))

    def publish(self) -> None:
        partition = self.random.choice((P0, P1))
        entity = f"{partition.number}-{self.random.randrange(ENTITIES)}"
        name = f"{entity}:{len(self.published[entity])}"
        self.published[entity].append(name)
        if self.random.random() < 0.2:
            self.refused.add(name)
        self.world.log.add(name, entity=entity, partition=partition)

    async def answer(self, sent: Sent) -> int:
        await asyncio.sleep(self.random.choice((0, 0.01, 0.3)))
        if sent.event_id in self.refused:
            return self.random.choice((400, 503))
        return 503 if not self.calm and self.random.random() < 0.1 else 200

    def check_sent(self, sent: Sent) -> None:
        """Check that a first delivery follows all earlier events of its lane, except discarded ones."""
        if self.drain_timeout_s > 1:  # a drain that is cut short leaves a request in flight
            busy = {other.entity for other in self.world.receiver.in_flight}
            self.never(sent.entity in busy, f"{sent.event_id}: two of a lane in flight")
        before = self.published[sent.entity]
        for earlier in before[: before.index(sent.event_id)]:
            overtaken = earlier not in self.world.receiver.delivered and earlier not in self.discarded
            self.never(overtaken, f"{sent.event_id} overtook {earlier}")

    def never(self, broken: bool, rule: str) -> None:
        if broken:
            self.violations.append(rule)

    # --- pods -------------------------------------------------------------------------------------

    async def deal(self) -> None:
        """Assign the partitions to the pods that are up; no pod owns one meanwhile."""
        up = [pod for pod in self.pods if pod is not None]
        for pod in up:
            await pod.revoke()
        await asyncio.sleep(self.pause_s())
        for number, pair in enumerate(PAIRS):
            if up:
                taker = up[(number + self.random.randrange(2)) % len(up)]
                taker.partitions = (*(taker.partitions if taker.reader.assigned else ()), *pair)
                taker.assign()
        for pod in up:
            pod.raise_if_dead()

    async def start(self, number: int) -> None:
        process = Process(
            self.world,
            P0,
            max_batch=self.random.choice((1, 3, 10)),
            drain_timeout_s=self.drain_timeout_s,
            journal=self.disks[number],
        ).start()
        process.reader.assigned = frozenset()
        self.pods[number] = process
        await self.deal()

    async def crash(self, number: int) -> None:
        pod = self.pods[number]
        if pod is None:
            return
        await pod.crash()
        if self.random.random() < 0.3:
            self.disks[number] = FakeJournal()
        self.pods[number] = None
        if self.random.random() < 0.5:
            await self.start(number)
        else:
            await self.deal()

    async def stop(self, number: int) -> None:
        pod = self.pods[number]
        if pod is not None:
            await pod.stop()
            self.pods[number] = None
            await self.deal()

    # --- the operator -----------------------------------------------------------------------------

    async def redrive(self, wait_s: float) -> Outcome:
        rounds = RedriveRounds(self.store, "ann", LoopClock(), wait_s=wait_s)
        return await rounds.run((await self.store.holds()).keys())

    async def redrive_partly(self) -> None:
        """Run a redrive whose command is killed on the way."""
        try:
            async with asyncio.timeout(self.random.choice((0.1, 0.3, 2))):
                await self.redrive(1)
        except TimeoutError:
            return

    async def redrive_plainly(self) -> None:
        """Send a letter of a held lane outside any round, as a release without holds would."""
        letters = [one for one in await self.store.find(LetterFilter()) if one.fate is Fate.WAITING]
        if letters:
            letter = self.random.choice(letters)
            self.world.log.resend(letter.origin, "crm", letter.again_id)

    async def discard(self) -> None:
        """Discard the event that a lane waits for, and redrive the rest."""
        holds = await self.store.holds()
        lanes = by_lane(await self.store.find(LetterFilter(lanes=frozenset(holds))))
        causes = {key: cause for key, letters in lanes.items() if (cause := cause_of(letters))}
        if causes:
            key = self.random.choice(sorted(causes))
            self.set_aside(causes[key], key)
            await RedriveRounds(self.store, "ann", LoopClock(), wait_s=1).run([key])

    def set_aside(self, cause: Letter, key: HoldKey) -> None:
        """Discard all letters of one event."""
        event_id = cause.facts["event-id"]
        self.discarded.add(event_id)
        for letter in self.store.letters():
            if lane_of(letter) == key and letter.facts["event-id"] == event_id:
                self.store.settle(letter, Fate.DISCARDED, "ann")

    # --- the run ----------------------------------------------------------------------------------

    async def play(self) -> None:
        for _ in range(self.random.randint(3, 8)):
            self.publish()
        await self.start(0)
        if self.random.random() < 0.7:
            await self.start(1)
        busy: list[asyncio.Task[object]] = []
        for _ in range(self.random.randint(2, 14)):
            await asyncio.sleep(self.random.choice((0.0, 0.05, 0.21, 1.3, 4)))
            for pod in self.pods:
                if pod is not None:
                    pod.raise_if_dead()
            number = self.random.randrange(2)
            match self.random.choice(
                ("publish", "publish", "crash", "stop", "start", "deal", "redrive", "redrive", "partly",
                 "plainly", "discard", "fix", "refuse")
            ):  # fmt: skip
                case "publish":
                    for _ in range(self.random.randint(1, 4)):
                        self.publish()
                case "crash":
                    await self.crash(number)
                case "stop":
                    await self.stop(number)
                case "start" if self.pods[number] is None:
                    await self.start(number)
                case "deal":
                    await self.deal()
                case "redrive":
                    busy.append(asyncio.create_task(self.redrive(self.random.choice((1, 5)))))
                case "partly":
                    busy.append(asyncio.create_task(self.redrive_partly()))
                case "plainly":
                    await self.redrive_plainly()
                case "discard":
                    await self.discard()
                case "fix":
                    self.refused -= set(self.random.sample(sorted(self.refused), len(self.refused) // 2))
                case "refuse":
                    self.world.parking.refusals += self.random.randint(0, 2)
                    self.world.register.refusals += self.random.randint(0, 2)
        await asyncio.gather(*busy)
        await self.end()

    async def end(self) -> None:
        """Accept every event, give one pod all partitions, redrive everything: nothing may be left."""
        self.calm = True
        self.refused.clear()
        if self.pods[0] is None:
            await self.start(0)
        await self.stop(1)
        await self.deal()
        await until(self.all_committed)
        outcome = await self.redrive(60)
        assert (outcome.refused, outcome.waiting, outcome.busy) == ({}, {}, {})
        assert not self.world.register.now, "a lane is still held"
        assert self.pods[0] is not None
        await until(self.all_committed)
        assert not self.pods[0].holds.counts([P0, P1])
        await self.pods[0].stop()

    def all_committed(self) -> bool:
        assert self.pods[0] is not None
        self.pods[0].raise_if_dead()
        log = self.world.log
        ends = {partition: log.bounds(partition)[1] for pair in PAIRS for partition in pair}
        return not self.pods[0].reader.unprepared and all(
            self.world.offsets.at("crm", one) == end for one, end in ends.items()
        )

    def check_the_end(self) -> None:
        assert not self.violations, self.violations
        delivered = set(self.world.receiver.delivered)
        for entity, names in self.published.items():
            missing = [name for name in names if name not in delivered | self.discarded]
            assert not missing, f"never delivered to {entity}: {missing}"
            firsts = [one for one in dict.fromkeys(self.world.receiver.delivered) if one in names]
            assert [one for one in firsts if one not in self.discarded] == [
                one for one in names if one in firsts and one not in self.discarded
            ], "out of order"


def run(seed: int) -> Scene:
    scene = Scene(Random(seed))

    @simulated
    async def live() -> None:
        await scene.play()

    with structlog.testing.capture_logs():
        live()
    scene.check_the_end()
    return scene


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_a_lane_waits_for_its_parked_event_whichever_pod_owns_it_and_whatever_dies(seed: int) -> None:
    run(seed)
