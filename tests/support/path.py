"""The whole path in one process, built by the real wiring over fakes: start, stop, revoke, and kill it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.app.in_force import InForce, Surroundings
from bridge.app.switching import Switching
from bridge.app.transports import Transports
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.core.memory_budget import MemoryBudget, MemoryPlan, divide
from bridge.core.switches import EventTypes, Switch
from bridge.dead_letters.hold import Holds
from bridge.errors import SchemaNeeded
from bridge.formats import Decoder
from bridge.formats.resent import AgainDecoder
from bridge.history.writer import History
from bridge.model import Partition
from bridge.pipeline.changed_cursors import endpoints_per_commit
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.moving import CursorMover
from bridge.pipeline.replay.carrier import Bridge
from bridge.pipeline.replay.replays import Replays
from bridge.settings import Settings
from bridge.settings.changes import compare
from bridge.telemetry.metrics import Metrics
from bridge.wiring.delivery import build_dispatcher
from bridge.wiring.edges import PathEdges
from bridge.wiring.path import Path, build_new_endpoints, build_path
from bridge.wiring.replay import ReplayBuilder
from tests.support.fake_control import FakeControl, FakeLogs
from tests.support.fake_group import FakeJournal, FakeOffsets, FakeReader, FakeSideReader
from tests.support.fakes import (
    AGAIN,
    DECODER,
    P0,
    TOPIC,
    FakeHistory,
    FakeParkedRecords,
    FakeParking,
    FakeReceiver,
    FakeRegister,
    FakeWindow,
    Log,
)
from tests.support.plans import Plan, settings_of
from tests.support.replays import FakeJobs, FakeMoves, FakeReplayOffsets, replay_edges
from tests.support.simulated import LoopClock

Built = TypeVar("Built")


async def learns_nothing(needed: SchemaNeeded) -> None:
    """Fail: plain JSON needs no schemas."""
    raise AssertionError


@dataclass
class World:
    """Everything that outlives a process."""

    plans: Mapping[str, Plan] = field(default_factory=lambda: {"crm": Plan()})
    log: Log = field(default_factory=Log)
    offsets: FakeOffsets = field(default_factory=FakeOffsets)
    parking: FakeParking = field(default_factory=FakeParking)
    journal: FakeJournal = field(default_factory=FakeJournal)
    register: FakeRegister = field(default_factory=FakeRegister)
    control: FakeControl = field(default_factory=FakeControl)
    decoder: Decoder = DECODER
    learn: Callable[[SchemaNeeded], Awaitable[None]] = field(default=learns_nothing)
    jobs: FakeJobs = field(default_factory=FakeJobs)
    moves: FakeMoves = field(default_factory=FakeMoves)

    def __post_init__(self) -> None:
        self.parked_before = FakeParkedRecords(self.parking)
        self.receivers = {name: FakeReceiver() for name in self.plans}
        self.replay_receivers = {name: FakeReceiver() for name in self.plans}
        self.replay_offsets = FakeReplayOffsets(self.offsets)

    @property
    def receiver(self) -> FakeReceiver:
        """Return the receiver of the only endpoint."""
        (receiver,) = self.receivers.values()
        return receiver


async def _at_once(build: Callable[[], Built]) -> Built:
    """Call a function that the process calls in a thread: simulated time knows no threads."""
    await asyncio.sleep(0)
    return build()


class NoJournal:
    """Settles events as ``Checkpoints`` does, without a journal."""

    def settle(self, cursor: Cursor[Failures], offset: int, size_bytes: int, part: int = 0) -> None:
        if cursor.live:
            cursor.settle(offset, size_bytes, part)

    def settle_all(self, cursor: Cursor[Failures], events: Iterable[tuple[int, int, int]]) -> None:
        for event in events:
            self.settle(cursor, *event)


def make_dispatcher(
    name: str,
    plan: Plan,
    receiver: FakeReceiver,
    parking: FakeParking,
    metrics: Metrics,
    *,
    history: FakeHistory | None = None,
    turn_off: Callable[[str, str], None] = lambda endpoint, reason: None,
    budget: MemoryBudget | None = None,
) -> EndpointDispatcher:
    """Build one endpoint's dispatcher through the wiring, with cursors that no ``Checkpoints`` keeps."""
    settings = settings_of({name: plan})
    return build_dispatcher(
        name,
        settings.endpoints[name],
        settings,
        transport=receiver,
        parks=parking,
        history=history or FakeHistory(),
        metrics=metrics,
        clock=LoopClock(),
        checkpoints=NoJournal(),
        may_send=lambda: True,
        turn_off=turn_off,
        budget=budget,
    )


class Process:
    """Everything that ends with a process."""

    def __init__(
        self,
        world: World,
        *partitions: Partition,
        commit_interval_s: float = 0.2,
        drain_timeout_s: float = 20.0,
        max_batch: int = 1000,
        journal: FakeJournal | None = None,
        memory: MemoryPlan | None = None,
        history: History | None = None,
    ) -> None:
        self.world = world
        self._history = history
        self.history = FakeHistory()
        self.partitions = partitions or (P0,)
        self.metrics = Metrics()
        self.flushes = 0
        self.turned_off: list[tuple[str, str]] = []
        self.reader = FakeReader(world.log, max_batch=max_batch)
        self.names = set(world.plans)
        decoders = {TOPIC: world.decoder, AGAIN.topic: AgainDecoder({TOPIC: world.decoder}.get, self.names)}
        self.window = FakeWindow(world.log, decoders)
        self.holds = Holds()
        self._control = world.control.open()
        self.replays = Replays()
        self.mover = CursorMover(world.moves.read, world.moves.write)
        self.edges = edges = PathEdges(
            reader=self.reader,
            member=self.reader,
            open_side_reader=lambda: FakeSideReader(world.log, max_batch=max_batch),
            offsets=world.offsets,
            look_at_topics=world.log.look,
            beginnings=self._control.beginnings,
            remember=self._control.remember,
            stop_endpoint=self._stop_endpoint,
            dead_letters=world.parking,
            parked_before=world.parked_before,
            hold_register=world.register,
            load_holds=self.load_holds,
            transports=world.receivers,
            history=history or self.history,
            journal=journal or world.journal,  # type: ignore[arg-type]
            flush=self._flush,
            window=self.window,
            side_window=lambda: FakeWindow(world.log, decoders),
            learn=world.learn,
            turn_off=self._turn_off,
            metrics=self.metrics,
            clock=LoopClock(),
            memory=memory or divide(1 << 40),
            alongside=self.replays,
        )
        settings = settings_of(world.plans, drain_timeout_s)
        self._drain_timeout_s = drain_timeout_s
        path = build_path(settings, decoders, self.holds, edges)
        control = self._control
        self._new_endpoints = build_new_endpoints(
            settings, world.offsets, control.beginnings, control.remember, LoopClock()
        )
        self.router = path.router
        self.checkpoints, self.commits = path.checkpoints, path.commits
        self.dispatchers = path.dispatchers
        self.pipeline = path.pipeline
        self.budget = path.budget
        self._switching = Switching(world.plans.keys())
        self._switching.attach(path.router, path.dispatchers)
        self._commit_interval_s = commit_interval_s
        around = Surroundings(
            open_transports=lambda settings, names: {name: world.receivers[name] for name in names},
            begin_new_endpoints=self._begin_new,
            load_holds_of=self._load_holds_of,
            adopt_names=self._adopt_names,
            run_aside=_at_once,
        )
        self.in_force = InForce(settings, path, edges, Transports({}), self._switching, around)
        self._replays_jobs = self._moves_cursors = False
        if world.jobs.records:
            self.follow_jobs()
        self.replaying = self._build_replaying(settings, decoders, path, edges)

    async def reload(self, plans: Mapping[str, Plan], others: Mapping[str, object] | None = None) -> None:
        """Take over these endpoints, as after a change of the file. ``others``: further settings."""
        new = settings_of(plans, self._drain_timeout_s).model_copy(update=dict(others or {}))
        for name in plans:
            self.world.receivers.setdefault(name, FakeReceiver())
        change = compare(self.in_force.settings, new)
        assert not change.refused, change.refused
        await self.in_force.take_over(new, change)

    async def _begin_new(self, settings: Settings) -> None:
        control = self._control
        new = build_new_endpoints(
            settings, self.world.offsets, control.beginnings, control.remember, LoopClock()
        )
        await new.begin([TOPIC], FakeLogs(self.world.log))

    async def _load_holds_of(self, names: Collection[str], partitions: Collection[Partition]) -> None:
        for key, hold in (await self.world.register.read()).items():
            if key.endpoint in names and hold.partition in partitions:
                self.holds.put(key.endpoint, hold.lane, hold)

    def _adopt_names(self, settings: Settings) -> None:
        self.names.clear()
        self.names.update(settings.endpoints)

    def follow_jobs(self) -> Process:
        """Follow the jobs of the control topic. A process that finds none at its start does not."""
        self.world.jobs.follow(self.replays.apply)
        self._replays_jobs = True
        return self

    def follow_moves(self) -> Process:
        """Follow the moves of the control topic."""
        self.world.moves.follow(self.mover.note)
        self._moves_cursors = True
        return self

    def turn_off(self, patterns: Mapping[str, tuple[str, ...]]) -> None:
        """Make exactly these event types (patterns by endpoint) off, as records of the control topic do."""
        off = {EventTypes(pattern, name) for name, of_endpoint in patterns.items() for pattern in of_endpoint}
        for types in off.union(self._switching.off_event_types()):
            self._switching.event_types.put(types, Switch(on=types not in off))

    def start(self) -> Process:
        """Join with all partitions and start to deliver."""
        self.reader.assign(*self.partitions)
        self._task = asyncio.get_running_loop().create_task(self._carry())
        return self

    async def begin_new_endpoints(self) -> None:
        """Begin new endpoints, which ``start`` does as well. Raises ``KafkaUnavailable``."""
        await self._new_endpoints.begin([TOPIC], FakeLogs(self.world.log))

    async def stop(self) -> None:
        """Stop as after SIGTERM: drain, commit, leave."""
        self.pipeline.stop()
        await self._task

    async def crash(self) -> None:
        """End as after SIGKILL: nothing is finished."""
        self.in_force.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def raise_if_dead(self) -> None:
        """Raise the exception that ended the process, if any."""
        if self._task.done():
            self._task.result()

    async def revoke(self) -> None:
        """Move the partitions to another pod."""
        await self.reader.revoke(self.pipeline.assignment.drain)

    def assign(self) -> None:
        """Assign the partitions again."""
        self.reader.assign(*self.partitions)

    def events_off(self, endpoint: str) -> float:
        """Return the number of events that an endpoint skipped because their type is off."""
        return (
            self.metrics.registry.get_sample_value("hookferry_events_off_total", {"endpoint": endpoint})
            or 0.0
        )

    def count(self, outcome: str) -> float:
        """Return the number of records with this outcome."""
        return self.metrics.records.labels(outcome).value

    async def load_holds(self, partitions: Collection[Partition]) -> None:
        """Load the holds from the fake register."""
        self.holds.begin(partitions, await self.world.register.read())

    async def _move_cursors(self) -> None:
        await self.mover.run(self.pipeline.assignment, self.checkpoints, self.commits)

    def _build_replaying(
        self,
        settings: Settings,
        decoders: Mapping[str, Decoder | AgainDecoder],
        path: Path,
        edges: PathEdges,
    ) -> Callable[[], Bridge]:
        """Return what builds the part of the process that carries out replays."""
        world = self.world

        def build() -> Bridge:
            own = replay_edges(world.jobs, world.replay_receivers, edges.side_window, world.parked_before)
            builder = ReplayBuilder(lambda: settings, decoders, path, edges, own)
            return Bridge(
                group="g",
                endpoints=path.dispatchers.keys(),
                assigned=lambda: () if path.pipeline.assignment.ending else path.checkpoints.cursors.keys(),
                look=world.log.look,
                offsets=world.replay_offsets,
                open_run=builder.open_run,
                write=world.jobs.write,
                forget_files=builder.forget_files,
                who="a bridge",
            )

        return build

    def switch(self, endpoint: str, *, on: bool, reason: str = "") -> None:
        """Turn an endpoint on or off, as a record of the control topic does."""
        self._switching.endpoints.put(endpoint, Switch(on=on, reason=reason))

    def _turn_off(self, endpoint: str, reason: str) -> None:
        self.turned_off.append((endpoint, reason))
        self.switch(endpoint, on=False, reason=reason)

    async def _stop_endpoint(self, endpoint: str, reason: str) -> None:
        await self._control.stop(endpoint, reason)
        self._switching.endpoints.put(endpoint, Switch(on=False, reason=reason))

    async def _carry(self) -> None:
        await self.begin_new_endpoints()
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._commit_on_the_beat()),
                *([tasks.create_task(self._move_cursors())] if self._moves_cursors else ()),
                *([tasks.create_task(self.replays.run(self.replaying()))] if self._replays_jobs else ()),
            ]
            streams = self._history.start(tasks) if self._history else []  # grows with each new endpoint
            self.in_force.start(tasks)
            await self.pipeline.run()
            self.in_force.stop()
            for task in [*background, *streams]:
                task.cancel()

    async def _commit_on_the_beat(self) -> None:
        while True:
            await asyncio.sleep(self._commit_interval_s)
            await self.commits.try_commit(endpoints_per_commit(self._commit_interval_s))

    async def _flush(self) -> None:
        self.flushes += 1
        await (self._history.flush() if self._history else asyncio.sleep(0))
