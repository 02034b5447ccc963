"""The whole path in one process, over fakes: it can be started, stopped, revoked and killed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from bridge.core.backoff import RetrySchedule
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.core.filter import Filter
from bridge.core.limits import Breaker, Pace, RateWindows, SlowDown
from bridge.core.routing import Router, Subscription
from bridge.core.signing import Signer
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.lane_holds import HeldLanes
from bridge.errors import SchemaNeeded
from bridge.formats import Decoder
from bridge.formats.resent import AgainDecoder
from bridge.model import Partition, Url
from bridge.pipeline.attempt import Deliverer, Target
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.dispatcher import Outlet
from bridge.pipeline.pipeline import Pipeline
from bridge.rendering import StandardRenderer
from bridge.telemetry.metrics import Metrics
from tests.support.fake_group import FakeJournal, FakeOffsets, FakeReader, FakeSideReader
from tests.support.fakes import (
    AGAIN,
    DECODER,
    P0,
    TOPIC,
    FakeHistory,
    FakeParking,
    FakeReceiver,
    FakeRegister,
    FakeWindow,
    Log,
)
from tests.support.simulated import LoopClock


@dataclass
class Plan:
    """One endpoint's settings."""

    patterns: tuple[str, ...] = ("*",)
    when: str | None = None
    start: str = "earliest"
    window: int = 100
    concurrency: int = 4
    base_s: float = 1.0
    max_attempts: int = 5
    max_age_s: float = 10_000.0
    on_park: str = "continue"
    rate: tuple[tuple[int, float], ...] = ()


async def learns_nothing(needed: SchemaNeeded) -> None:
    """Plain JSON needs no schemas."""
    raise AssertionError


@dataclass
class World:
    """What survives a process."""

    plans: Mapping[str, Plan] = field(default_factory=lambda: {"crm": Plan()})
    log: Log = field(default_factory=Log)
    offsets: FakeOffsets = field(default_factory=FakeOffsets)
    parking: FakeParking = field(default_factory=FakeParking)
    journal: FakeJournal = field(default_factory=FakeJournal)
    register: FakeRegister = field(default_factory=FakeRegister)
    decoder: Decoder = DECODER
    learn: Callable[[SchemaNeeded], Awaitable[None]] = field(default=learns_nothing)

    def __post_init__(self) -> None:
        self.receivers = {name: FakeReceiver() for name in self.plans}

    @property
    def receiver(self) -> FakeReceiver:
        """The receiver of the only endpoint."""
        (one,) = self.receivers.values()
        return one


async def no_instants(partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
    """No endpoint here begins at an instant."""
    raise AssertionError


def settle_if_live(cursor: Cursor[Failures], offset: int, size_bytes: int, part: int = 0) -> None:
    """What ``Checkpoints.settle`` does, without a journal."""
    if cursor.live:
        cursor.settle(offset, size_bytes, part)


def unhurried(concurrency: int, rate: tuple[tuple[int, float], ...] = ()) -> Pace:
    """A pace that holds nothing back but by ``rate``, until a thousand failures."""
    return Pace(
        RateWindows(rate),
        SlowDown(),
        Breaker(failures=1000, window_s=60, open_s=1, max_open_s=10, concurrency=concurrency),
        retry_after_cap_s=60,
    )


def make_outlet(
    name: str,
    plan: Plan,
    receiver: FakeReceiver,
    parking: FakeParking,
    metrics: Metrics,
    settle: Callable[[Cursor[Failures], int, int, int], None] = settle_if_live,
    held: HeldLanes | None = None,
) -> Outlet:
    target = Target(
        name,
        (),
        frozenset(),
        5.0,
        keep_bodies=True,
        log_successes=False,
    )
    bound, clock = metrics.endpoint(name), LoopClock()
    return Outlet(
        name,
        concurrency=plan.concurrency,
        renderer=StandardRenderer("POST", Url("http", "crm.test", 80, "/hooks")),
        deliverer=Deliverer(target, receiver, FakeHistory(), bound, clock),  # type: ignore[arg-type]
        signer=Signer([]),
        schedule=RetrySchedule(
            base_s=plan.base_s, cap_s=60, max_attempts=plan.max_attempts, max_age_s=plan.max_age_s
        ),
        pace=unhurried(plan.concurrency, plan.rate),
        parks=parking,
        metrics=bound,
        clock=clock,
        settle=settle,
        may_send=lambda: True,
        turn_off=lambda endpoint, reason: None,
        held=held,
    )


class Process:
    """Everything that dies when a process dies."""

    def __init__(
        self,
        world: World,
        *partitions: Partition,
        commit_interval_s: float = 0.2,
        drain_timeout_s: float = 20.0,
        max_batch: int = 1000,
        journal: FakeJournal | None = None,
    ) -> None:
        self.world = world
        self.partitions = partitions or (P0,)
        self.metrics = Metrics()
        self.flushes = 0
        self.reader = FakeReader(world.log, max_batch=max_batch)
        decoders = {TOPIC: world.decoder, AGAIN.topic: AgainDecoder({TOPIC: world.decoder}, world.plans)}
        self.window = FakeWindow(world.log, decoders)
        self.holds = Holds()
        self.checkpoints = Checkpoints(
            "g",
            {name: CursorPolicy(plan.start, plan.window, 1 << 20) for name, plan in world.plans.items()},
            offsets=world.offsets,
            offsets_at=no_instants,
            fence=self.reader,
            flush=self._flush,
            journal=journal or world.journal,  # type: ignore[arg-type]
            metrics=self.metrics,
            clock=LoopClock(),
            whole_topics=(AGAIN.topic,),
        )
        self.outlets = {
            name: make_outlet(
                name,
                plan,
                world.receivers[name],
                world.parking,
                self.metrics,
                self.checkpoints.settle,
                HeldLanes(name, self.holds, world.register, LoopClock()) if plan.on_park == "hold" else None,
            )
            for name, plan in world.plans.items()
        }
        self.router = Router(
            {
                name: Subscription(plan.patterns, when=Filter(plan.when) if plan.when else None)
                for name, plan in world.plans.items()
            }
        )
        self.pipeline = Pipeline(
            source=self.reader,
            decoders=decoders,
            window=self.window,
            side_window=lambda: FakeWindow(world.log, decoders),
            open_side_reader=lambda: FakeSideReader(world.log, max_batch=max_batch),
            router=self.router,
            outlets=self.outlets,
            checkpoints=self.checkpoints,
            load_holds=self.load_holds,
            parks=world.parking,
            metrics=self.metrics,
            drain_timeout_s=drain_timeout_s,
            learn=world.learn,
        )
        self._commit_interval_s = commit_interval_s

    def turn_off(self, patterns: Mapping[str, tuple[str, ...]]) -> None:
        """Switch event types off, as ``App`` does when the control topic says so."""
        self.router.turn_off(patterns)
        for name, outlet in self.outlets.items():
            outlet.types_off = self.router.off_pattern(name)

    def start(self) -> Process:
        """Join with all partitions and begin to carry."""
        self.reader.assign(*self.partitions)
        self._task = asyncio.get_running_loop().create_task(self._carry())
        return self

    async def stop(self) -> None:
        """SIGTERM: drain, commit, leave."""
        self.pipeline.stop()
        await self._task

    async def crash(self) -> None:
        """Kill -9: whatever it was about, it is not finished."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def raise_if_dead(self) -> None:
        """Bring out the exception that ended it, if one did."""
        if self._task.done():
            self._task.result()

    async def revoke(self) -> None:
        """The partitions go to another pod."""
        await self.reader.revoke(self.pipeline.drain)

    def assign(self) -> None:
        """The partitions come back."""
        self.reader.assign(*self.partitions)

    def events_off(self, endpoint: str) -> float:
        """How many events of types that are off were settled unsent for an endpoint."""
        return (
            self.metrics.registry.get_sample_value("hookferry_events_off_total", {"endpoint": endpoint})
            or 0.0
        )

    def count(self, outcome: str) -> float:
        """The counter of records that ended so."""
        return self.metrics.records.labels(outcome)._value.get()

    async def load_holds(self, partitions: Collection[Partition]) -> None:
        """What ``HoldRegister.load`` does."""
        self.holds.begin(partitions, await self.world.register.read())

    async def _carry(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._commit_on_the_beat()),
                *(task for outlet in self.outlets.values() for task in outlet.start(tasks)),
            ]
            await self.pipeline.run()
            for task in background:
                task.cancel()

    async def _commit_on_the_beat(self) -> None:
        while True:
            await asyncio.sleep(self._commit_interval_s)
            await self.checkpoints.try_commit()

    async def _flush(self) -> None:
        self.flushes += 1
        await asyncio.sleep(0)
