"""A bridge that carries events ends at a stop, whatever a reload added to it or took from it before."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from bridge.app.carrying import Carrying
from bridge.app.stop import StopRequest
from bridge.core.topic_selection import TopicSelection
from bridge.history.batch import decode
from bridge.history.writer import History
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from tests.support.fakes import TOPIC, HeldAnswers
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

Reload = Callable[[Process], Awaitable[None]]


@pytest.fixture(autouse=True)
def _the_collector_is_put_back() -> Iterator[None]:
    """Let the garbage collector work as before: a bridge sets it up for a process of its own."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


class AttemptTopic:
    """A producer that keeps what the history writes."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def write(self, record: NewRecord) -> None:
        place = Partition(record.topic, 0)
        self.records.append(
            Record(place, len(self.records), 0, record.key, record.value, tuple(record.headers))
        )

    def endpoints(self) -> set[str]:
        """Return the endpoints with an attempt here."""
        return {kept.endpoint for record in self.records for kept in decode(record)[1]}


class Idle:
    """Stands in for the parts next to the path: each works until it is cancelled."""

    async def forever(self) -> None:
        await asyncio.Event().wait()

    follow = write_pending = log_changes = forever

    def stop(self) -> None:
        """Do nothing: there is no readiness to change."""

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        return [tasks.create_task(self.forever())]


class Reloads:
    """Carries out one function as the reloads of a process."""

    def __init__(self, process: Process, reload: Reload) -> None:
        self._process, self._reload = process, reload
        self.ended = False

    async def run(self) -> None:
        await self._reload(self._process)
        self.ended = True
        await asyncio.Event().wait()


class Bridge:
    """The tasks of a bridge with one endpoint, ``crm``, and a history that is written."""

    def __init__(self, reload: Reload) -> None:
        self.world, self.topic = World({"crm": Plan()}), AttemptTopic()
        history = History("g.attempts", ("crm",), self.topic, most_bytes=1 << 20)
        self.process = process = Process(self.world, history=history)
        self.reloads = Reloads(process, reload)
        self._stop = StopRequest(20.0)
        idle = cast("Any", Idle())
        self._carrying = Carrying(
            settings=process.in_force.settings,
            options=cast("Any", None),
            selection=TopicSelection({"outbox": (TOPIC,)}),
            stop=self._stop,
            status=idle,
            control=idle,
            replays=process.replays,
            mover=process.mover,
            in_force=process.in_force,
            reader=cast("Any", process.reader),
            history=history,
            reloads=cast("Any", self.reloads),
            replaying=process.replaying(),
            observers=idle,
        )

    async def start(self) -> None:
        """Begin to deliver, and return when the first event has arrived."""
        await self.process.begin_new_endpoints()
        self.process.assign()
        self._running = asyncio.create_task(self._carrying.run())
        self.world.log.add("first")
        await until(lambda: self.world.receivers["crm"].delivered == ["first"])

    def request_stop(self) -> None:
        """Ask it to end, as SIGTERM does."""
        self._stop.request_by_signal()

    async def ended(self) -> None:
        """Return when it has ended; fail if that takes longer than the drain may."""
        async with asyncio.timeout(self.process.in_force.settings.drain_timeout_s):
            await self._running
        others = asyncio.all_tasks() - {asyncio.current_task()}
        left = {task.get_name() for task in others}
        # the connections of an endpoint that has gone are closed after the bridge, by ``Transports.close``
        assert left <= {"erp-retired", "crm-retired"}, "these tasks outlive the bridge"


async def reload_nothing(process: Process) -> None:
    """Change nothing."""


async def add_one(process: Process) -> None:
    """Add an endpoint."""
    await process.reload({"crm": Plan(), "erp": Plan()})


async def add_one_after_another(process: Process) -> None:
    """Add two endpoints in two reloads."""
    await add_one(process)
    await process.reload({"crm": Plan(), "erp": Plan(), "shop": Plan()})


async def replace_the_first(process: Process) -> None:
    """Remove the endpoint of the start and add another one."""
    await process.reload({"erp": Plan()})


async def add_and_remove(process: Process) -> None:
    """Add an endpoint and remove it again."""
    await add_one(process)
    await process.reload({"crm": Plan()})


async def add_again(process: Process) -> None:
    """Add an endpoint, remove it, and add it again."""
    await add_and_remove(process)
    await add_one(process)


@pytest.mark.parametrize(
    "reload", [reload_nothing, add_one, add_one_after_another, replace_the_first, add_and_remove, add_again]
)
def test_a_stop_ends_every_task_also_those_that_reloads_added(reload: Reload) -> None:
    @simulated
    async def run() -> None:
        bridge = Bridge(reload)
        await bridge.start()
        await until(lambda: bridge.reloads.ended)
        bridge.world.log.add("second")
        names = set(bridge.process.in_force.settings.endpoints)
        await until(lambda: all("second" in bridge.world.receivers[name].delivered for name in names))
        bridge.request_stop()
        await bridge.ended()
        assert bridge.topic.endpoints() == names | {"crm"}

    run()


@simulated
async def test_a_stop_ends_a_reload_that_waits_for_the_drain_and_what_it_added_so_far() -> None:
    """The reload has built the new endpoint when the stop comes, and never takes it over."""
    go = asyncio.Event()

    async def add_when_told(process: Process) -> None:
        await go.wait()
        await add_one(process)

    bridge = Bridge(add_when_told)
    await bridge.start()
    bridge.world.receivers["crm"].answer = answers = HeldAnswers("held")
    bridge.world.log.add("held")
    await until(lambda: bridge.world.receivers["crm"].in_flight)
    bridge.request_stop()
    await asyncio.sleep(1)
    go.set()
    await asyncio.sleep(1)
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    assert "erp-history" in tasks, "the reload had not begun when the bridge ended"
    answers.open("held")
    await bridge.ended()
    assert not bridge.reloads.ended
    assert bridge.topic.endpoints() == {"crm"}
