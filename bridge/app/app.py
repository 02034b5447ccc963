"""The composition root: makes the parts from the settings, starts them from the sink, stops from the source.

Start: files, admin port, broker, topics, then workers, and reading last. Stop: no more reading,
drain within the deadline, the last commit, leave the group, close what was opened, newest first.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

from bridge import __version__
from bridge.app.admin_server import Admin
from bridge.app.internal_topics import ensure_own_topics
from bridge.app.status import Status
from bridge.clock import SystemClock
from bridge.core.switches import EventTypes, Switch, Switches, off_for
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.hold_topic import HoldReader, HoldRegister
from bridge.dead_letters.topic import Parking
from bridge.http.egress_policy import EgressPolicy
from bridge.http.tls import build_client_context
from bridge.kafka.client import start_when_reachable
from bridge.kafka.client_health import Lasting, close_in_time, started
from bridge.kafka.group_reader import Reader
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.producer import new_producer
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import cluster_id, wait_for_topics
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.pipeline.dispatcher import Outlet
from bridge.pipeline.pipeline import Pipeline
from bridge.settings import Settings
from bridge.storage.attempt_history import History
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.journal import Journal, forget_segments
from bridge.storage.state_dir import Owner, StateFolder
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.tasks import write_tasks
from bridge.wiring.decoders import build_decoders, build_registries
from bridge.wiring.endpoints import (
    build_cursor_policy,
    build_dispatcher,
    build_lane_holds,
    build_router,
    build_transport,
    holding_endpoints,
)
from bridge.wiring.kafka import (
    again_topic,
    build_control,
    build_kafka_options,
    build_membership,
    control_topic,
    parked_topic,
    source_topics,
)

_log = structlog.get_logger()
_GC_THRESHOLD = 20_000
"""Objects between two collections: a window full of waiting events is alive, and looking costs."""

OVERTIME_S = 8.0
"""What a stop may take beyond the drain's deadline: the last commit, leaving the group, closing."""
EXIT_ABANDONED = 3


class Stopped(Exception):
    """Asked to stop while still starting: nothing was read, nothing is to be drained."""


class App:
    """One bridge process, from its settings to its end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._options = build_kafka_options(settings.kafka)
        self._decoders = build_decoders(settings)
        self._registries = build_registries(settings.sources, self._decoders)
        self._stopping = asyncio.Event()
        self._reader: Reader | None = None
        self._pipeline: Pipeline | None = None
        self._outlets: dict[str, Outlet] = {}
        self._router = build_router(settings)
        self._switches = Switches[str](self._switched)
        self._event_types = Switches[EventTypes](self._types_switched)
        who = f"bridge at {socket.gethostname()}"
        self._control = build_control(settings, self._switches, self._event_types, who)
        self._holds = Holds()
        self._status = Status(settings, self._switches, self._event_types, self._holds)

    def stop(self) -> None:
        """Ask ``run`` to drain and return; may be called at any time."""
        self._stopping.set()

    def _told_to_stop(self) -> None:
        if not self._stopping.is_set():
            self.stop()
            asyncio.get_running_loop().call_later(self._settings.drain_timeout_s + OVERTIME_S, self._abandon)

    def _abandon(self) -> None:
        """End the process with its tasks as they are: what they did not finish is done by the next owner."""
        write_tasks()
        _log.error(
            events.BRIDGE_ABANDONED,
            exit_code=EXIT_ABANDONED,
            cause=f"it had not ended {OVERTIME_S:g} s after the drain's deadline",
            remedy="start it again; report it with the lines task.seen above, which say what it waits for",
        )
        sys.stdout.flush()
        os._exit(EXIT_ABANDONED)

    async def run(self) -> None:
        """Carry events until stopped. Raises ``HookferryError`` for what a person must mend.

        A signal to stop ends the process within the drain's deadline and ``OVERTIME_S``, whatever it
        waits for.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGUSR1, write_tasks)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._registries.close)
            state, history, index = self._open_files(stack)
            await self._open_admin(stack)
            try:
                writer, offsets = await self._reach_kafka(
                    stack, lambda cluster: self._own(state, index, cluster)
                )
                parking = Parking(writer, parked_topic(self._settings))
                checkpoints = self._make_checkpoints(stack, history, index, offsets)
                register = self._make_register(writer)
                outlets = self._make_outlets(stack, parking, history, checkpoints, register)
                pipeline = self._make_pipeline(stack, checkpoints, outlets, index, parking, register)
                await self._join_group(stack)
            except Stopped:
                return
            await self._carry(pipeline, checkpoints, outlets)

    def _open_files(self, stack: AsyncExitStack) -> tuple[StateFolder, History, KeyIndex]:
        settings, rows = self._settings, self._metrics.history_rows
        state = StateFolder(settings.state_dir)
        stack.callback(state.release)
        index = KeyIndex(
            settings.state_dir / "dedupe.sqlite",
            window_s=settings.dedupe.window_s,
            max_keys=settings.dedupe.max_keys,
        )
        stack.callback(index.close)
        history = History(
            settings.state_dir / "history.sqlite",
            retention_s=settings.history.retention_s,
            max_bytes=settings.history.max_bytes,
            count=lambda outcome, number: rows.labels(outcome).inc(number),
        )
        stack.push_async_callback(history.close)
        return state, history, index

    async def _open_admin(self, stack: AsyncExitStack) -> None:
        admin = Admin(
            self._settings.admin.host,
            self._settings.admin.port,
            self._metrics.registry,
            self._status.readiness,
        )
        await admin.start()
        stack.push_async_callback(admin.stop)

    def _own(self, state: StateFolder, index: KeyIndex, cluster: str | None) -> None:
        """What is on disk speaks of one group's offsets in one cluster's log: of others' it is forgotten."""
        owner, before = Owner(self._settings.group, cluster), state.owner()
        if owner == before:
            return
        if before is not None:
            _log.warning(
                events.STATE_FORGOTTEN,
                folder=str(self._settings.state_dir),
                cause=f"it was kept for group {before.group} at cluster {before.cluster}",
                remedy="none needed: what matters is read again from Kafka",
            )
        index.forget()
        forget_segments(self._settings.state_dir)
        state.give_to(owner)

    async def _reach_kafka(
        self, stack: AsyncExitStack, own: Callable[[str | None], None]
    ) -> tuple[Lasting[AIOKafkaProducer], OffsetStore]:
        """Wait for the broker and the source topics, make our own; what writes dead letters, and offsets.

        ``own`` is told the cluster's id before anything else is asked of it.
        """

        async def meet() -> None:
            own(await cluster_id(admin))

        options, settings = self._options, self._settings
        admin = AIOKafkaAdminClient(**options.arguments())
        stack.push_async_callback(close_in_time, admin.close, "close the admin client", 1.0)
        await self._unless_stopped(start_when_reachable(admin.start, options.bootstrap_servers))
        await self._unless_stopped(start_when_reachable(meet, options.bootstrap_servers))
        await self._unless_stopped(wait_for_topics(admin, source_topics(settings)))
        await self._unless_stopped(
            start_when_reachable(lambda: ensure_own_topics(admin, settings), options.bootstrap_servers)
        )
        await self._unless_stopped(self._control.load_when_there())
        producer, client = new_producer(options), AIOKafkaClient(**options.arguments())
        writer = Lasting(producer, lambda: started(new_producer(options)), "dead letters and holds")
        stack.push_async_callback(writer.close)
        offsets = OffsetStore(client, lambda: started(AIOKafkaClient(**options.arguments())))
        stack.push_async_callback(offsets.close)
        await self._unless_stopped(start_when_reachable(producer.start, options.bootstrap_servers))
        await self._unless_stopped(start_when_reachable(client.bootstrap, options.bootstrap_servers))
        return writer, offsets

    def _make_checkpoints(
        self, stack: AsyncExitStack, history: History, index: KeyIndex, offsets: OffsetStore
    ) -> Checkpoints:
        settings = self._settings

        async def flush() -> None:
            index.flush()
            await history.flush()

        journal = Journal(settings.state_dir)
        stack.callback(journal.close)
        self._reader = Reader(self._options, build_membership(settings), self._revoked)
        offsets.may_commit = self._reader.holds_lease
        return Checkpoints(
            settings.group,
            {name: build_cursor_policy(endpoint) for name, endpoint in settings.endpoints.items()},
            offsets=offsets,
            fence=self._reader,
            offsets_at=self._reader.offsets_at,
            flush=flush,
            journal=journal,
            metrics=self._metrics,
            clock=SystemClock(),
            whole_topics=(again_topic(settings),),
        )

    def _make_register(self, writer: Lasting[AIOKafkaProducer]) -> HoldRegister:
        settings, topic = self._settings, control_topic(self._settings.group)
        return HoldRegister(
            topic,
            self._holds,
            writer,
            lambda: HoldReader(SideReader(self._options), topic),
            holding=holding_endpoints(settings),
            endpoints=settings.endpoints,
        )

    def _make_outlets(
        self,
        stack: AsyncExitStack,
        parking: Parking,
        history: History,
        checkpoints: Checkpoints,
        register: HoldRegister,
    ) -> dict[str, Outlet]:
        assert self._reader is not None
        settings, tls = self._settings, build_client_context()
        egress, outlets = EgressPolicy(settings.egress.allow), self._outlets
        for name, endpoint in settings.endpoints.items():
            transport = build_transport(endpoint, egress, tls, self._reader.holds_lease)
            stack.push_async_callback(transport.close)
            outlets[name] = build_dispatcher(
                name,
                endpoint,
                settings,
                transport=transport,
                parks=parking,
                history=history,
                metrics=self._metrics,
                clock=SystemClock(),
                settle=checkpoints.settle,
                may_send=self._reader.holds_lease,
                turn_off=self._control.turn_off,
                held=build_lane_holds(name, endpoint, self._holds, register, SystemClock()),
            )
            switch = self._switches[name]
            outlets[name].turn(switch.on, switch.since_s)
            outlets[name].types_off = self._router.off_pattern(name)
        return outlets

    def _make_pipeline(
        self,
        stack: AsyncExitStack,
        checkpoints: Checkpoints,
        outlets: Mapping[str, Outlet],
        index: KeyIndex,
        parking: Parking,
        register: HoldRegister,
    ) -> Pipeline:
        assert self._reader is not None
        settings, dedupe = self._settings, self._settings.dedupe

        def open_side_reader() -> SideReader:
            return SideReader(self._options)

        def window(own: KeyIndex, lender: KeyIndex | None = None) -> DedupeWindow:
            return DedupeWindow(
                own, self._decoders, open_side_reader,
                window_s=dedupe.window_s, max_keys=dedupe.max_keys, lender=lender,
            )  # fmt: skip

        def side_window() -> DedupeWindow:
            side_index = KeyIndex(None, window_s=dedupe.window_s, max_keys=dedupe.max_keys)
            stack.callback(side_index.close)
            return window(side_index, lender=index)

        self._pipeline = Pipeline(
            source=self._reader,
            decoders=self._decoders,
            window=window(index),
            side_window=side_window,
            open_side_reader=open_side_reader,
            router=self._router,
            outlets=outlets,
            checkpoints=checkpoints,
            load_holds=register.load,
            parks=parking,
            metrics=self._metrics,
            drain_timeout_s=settings.drain_timeout_s,
            learn=self._registries.learn,
        )
        self._status.watch(self._metrics, self._reader, self._pipeline, checkpoints, outlets)
        return self._pipeline

    def _switched(self, endpoint: str, switch: Switch) -> None:
        """An endpoint went on or off, here or anywhere."""
        if endpoint not in self._settings.endpoints:
            return
        if endpoint in self._outlets:
            self._outlets[endpoint].turn(switch.on, switch.since_s)
        facts = {"endpoint": endpoint, "since": switch.since, "by": switch.by, "reason": switch.reason}
        if switch.on:
            _log.info(events.ENDPOINT_TURNED_ON, **facts)
        else:
            remedy = f"mend the cause, then: hookferry endpoints on {endpoint}"
            _log.error(events.ENDPOINT_TURNED_OFF, **facts, remedy=remedy)

    def _types_switched(self, types: EventTypes, switch: Switch) -> None:
        """Event types went on or off: what is read from now on, and what waits, goes by it."""
        if not self._status.concerned_by(types):
            return
        self._router.turn_off({name: off_for(self._event_types, name) for name in self._settings.endpoints})
        for name, outlet in self._outlets.items():
            outlet.types_off = self._router.off_pattern(name)
        facts = {
            "event_types": types.pattern,
            "endpoint": types.endpoint,
            "since": switch.since,
            "by": switch.by,
            "reason": switch.reason,
        }
        if switch.on:
            _log.info(events.EVENT_TYPES_TURNED_ON, **facts)
        else:
            remedy = (
                "none needed; they are not sent, nor later: hookferry events on sends what comes from then on"
            )
            _log.warning(events.EVENT_TYPES_TURNED_OFF, **facts, remedy=remedy)

    async def _revoked(self) -> None:
        _log.info(events.SOURCE_REVOKED)
        assert self._pipeline is not None
        await self._pipeline.drain()

    async def _join_group(self, stack: AsyncExitStack) -> None:
        assert self._reader is not None
        stack.push_async_callback(self._reader.stop)
        await self._unless_stopped(start_when_reachable(self._reader.start, self._options.bootstrap_servers))

    async def _carry(
        self, pipeline: Pipeline, checkpoints: Checkpoints, outlets: Mapping[str, Outlet]
    ) -> None:
        """All tasks of the path, until stopped: the workers outlive the reader, so that it can drain."""
        settings = self._settings
        gc.collect()
        gc.freeze()  # what was made to start with lives to the end: the collector need not look at it
        gc.set_threshold(_GC_THRESHOLD)
        _log.info(
            events.BRIDGE_STARTED,
            version=__version__,
            group=settings.group,
            topics=source_topics(settings),
            endpoints=sorted(outlets),
        )
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._stop_reading(pipeline), name="stop"),
                tasks.create_task(self._control.follow(), name="control"),
                tasks.create_task(self._control.write_down(), name="control writes"),
                tasks.create_task(self._commit_on_the_beat(checkpoints), name="commit"),
                *(task for outlet in outlets.values() for task in outlet.start(tasks)),
            ]
            await pipeline.run()
            for task in background:
                task.cancel()
        _log.info(events.BRIDGE_DRAINED)

    async def _stop_reading(self, pipeline: Pipeline) -> None:
        await self._stopping.wait()
        _log.info(events.BRIDGE_STOPPING, drain_timeout_s=self._settings.drain_timeout_s)
        pipeline.stop()

    async def _commit_on_the_beat(self, checkpoints: Checkpoints) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_s)
            await checkpoints.commit_or_say()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for ``work``; raises ``Stopped`` when a stop comes first."""
        working, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            working.cancel()
            await asyncio.wait({working, stop})
        if self._stopping.is_set():
            raise Stopped
        working.result()
