"""The composition root: build the parts, start them from the sink, stop them from the source.

Start: files, admin port, broker, topics, then workers, and reading last. Stop: end reading, drain within the
deadline, commit for the last time, leave the group, close everything in the opposite order of opening.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

from bridge import __version__
from bridge.app.admin_server import AdminServer
from bridge.app.admin_tls import AdminTls
from bridge.app.internal_topics import ensure_control_topic, ensure_internal_topics
from bridge.app.memory import plan_memory
from bridge.app.observers import Observers
from bridge.app.status import Status
from bridge.app.stop import Stopped, StopRequest
from bridge.app.switching import Switching
from bridge.app.worker_answers import build_answers
from bridge.app.worker_link import WorkerLink
from bridge.clock import SystemClock
from bridge.core.beginning import Beginnings
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.hold_topic import HoldReader
from bridge.dead_letters.parked_before import ParkedBefore
from bridge.errors import CommitError, KafkaUnavailable
from bridge.history.writer import History
from bridge.kafka.client import start_when_reachable
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_reader import Reader
from bridge.kafka.group_view import GroupView
from bridge.kafka.matched_topics import MatchedTopics
from bridge.kafka.membership import Membership
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.producer import DurableProducer
from bridge.kafka.side_reader import SideReader
from bridge.kafka.source_logs import SourceLogs
from bridge.kafka.topic_ids import TopicIds
from bridge.kafka.topic_setup import wait_for_topics
from bridge.kafka.topics import TopicAdmin
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.pipeline import Pipeline
from bridge.settings import Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.journal import Journal
from bridge.storage.old_history import report_old_history
from bridge.storage.state_dir import Owner, StateDir, claim_state
from bridge.storage.worker_folders import discard_unused
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.spans import SpanSink
from bridge.wiring.asked import build_asked_fields
from bridge.wiring.decoders import build_decoders, build_registries
from bridge.wiring.endpoints import build_key_set
from bridge.wiring.kafka import (
    again_topic,
    build_control,
    build_dead_letters,
    build_history_producer,
    build_kafka_options,
    build_letters,
    build_member_name,
    build_membership,
    control_topic,
)
from bridge.wiring.path import (
    Path,
    PathEdges,
    build_history,
    build_hold_register,
    build_index,
    build_new_endpoints,
    build_path,
    build_side_window,
    build_transports,
    build_window,
)
from bridge.wiring.topics import build_selection
from bridge.wiring.tracing import build_spans

_log = structlog.get_logger()
_GC_THRESHOLD = 20_000
"""Objects between two garbage collections. A full window keeps many objects alive, and a scan costs time."""


class App:
    """One bridge process, from its settings to its end."""

    def __init__(self, settings: Settings, link: WorkerLink | None = None) -> None:
        """``link``: to the supervisor, if this is one of several workers."""
        self._settings = settings
        self._link = link
        self._metrics = Metrics()
        self._metrics.prepare(settings.endpoints, settings.sources)
        self._options = build_kafka_options(settings.kafka)
        self._selection = build_selection(settings)
        self._decoders = build_decoders(settings, build_asked_fields(settings))
        self._registries = build_registries(settings.sources, self._decoders.by_source)
        self._stop = StopRequest(settings.drain_timeout_s)
        self._pipeline: Pipeline | None = None
        self._spans: SpanSink | None = None
        self._switching = switching = Switching(settings.endpoints.keys())
        by = f"bridge at {socket.gethostname()}"
        self._beginnings = Beginnings()
        self._control = build_control(
            settings, switching.endpoints, switching.event_types, by, self._beginnings
        )
        self._topic_ids = TopicIds(self._options)
        self._holds = Holds()
        self._memory = plan_memory(settings.memory_budget, len(settings.endpoints))
        self._fetch = FetchBudget(self._memory.fetch)
        self._status = Status(settings, switching, self._holds, self._fetch)

    async def run(self) -> None:
        """Carry events until stopped. Raises ``HookferryError`` for what a person must fix.

        A stop signal ends the process within the drain deadline plus ``stop.OVERTIME_S``.
        """
        self._stop.handle_signals()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._registries.close)
            state, index = self._open_files(stack)
            self._open_spans(stack)
            await self._open_admin_server(stack)
            try:
                reader, writer, offsets = await self._reach_kafka(
                    stack,
                    lambda cluster: claim_state(state, Owner(self._settings.group, cluster), index),
                    build_membership(self._settings, build_member_name(state), self._memory.batch),
                )
                history = await self._open_history(stack)
                path = self._build_path(stack, reader, writer, offsets, history, index)
                self._status.watch(self._metrics, GroupView(reader), path)
                observers = Observers(self._settings, self._metrics, self._status, reader, path, index)
                stack.push_async_callback(observers.close)
                await self._join_group(stack, reader)
            except Stopped:
                return
            await self._carry(path, reader, history, observers)

    def _open_files(self, stack: AsyncExitStack) -> tuple[StateDir, KeyIndex]:
        state = StateDir(self._settings.state_dir)
        stack.callback(state.release)
        if self._link is None:
            discard_unused(self._settings.state_dir, workers=0)
        index = build_index(self._settings)
        stack.callback(index.close)
        report_old_history(self._settings.state_dir)
        return state, index

    async def _open_history(self, stack: AsyncExitStack) -> History:
        producer = build_history_producer(self._settings)
        stack.push_async_callback(producer.close)
        await self._reach(producer.start)
        return build_history(self._settings, producer, self._metrics, self._memory)

    def _open_spans(self, stack: AsyncExitStack) -> None:
        self._spans = build_spans(self._settings, self._metrics)
        if self._spans is not None:
            stack.push_async_callback(self._spans.close)

    async def _open_admin_server(self, stack: AsyncExitStack) -> None:
        admin, public_keys = self._settings.admin, build_key_set(self._settings)
        if self._link is not None:
            answers = build_answers(self._metrics, self._status, public_keys)
            await self._link.open(answers, self._stop.request_by_signal)
            stack.push_async_callback(self._link.close)
            return
        server = AdminServer(
            admin.host,
            admin.port,
            self._metrics.registry,
            self._status.readiness,
            self._status.limits,
            lambda: public_keys(SystemClock().time()),
            hosts=admin.hosts,
            tls=None if admin.tls is None else AdminTls(admin.tls),
        )
        await server.start()
        stack.push_async_callback(server.stop)

    async def _reach_kafka(
        self, stack: AsyncExitStack, own_files: Callable[[str | None], None], membership: Membership
    ) -> tuple[Reader, DurableProducer, OffsetStore]:
        """Wait for the broker and the source topics, and create the internal topics.

        ``own_files`` is called with the cluster id before anything else is read. Returns the member of the
        group, not started; the producer of dead letters and holds; and the store of the cursors.
        """

        async def identify_cluster() -> None:
            own_files(await admin.cluster_id())

        options, settings = self._options, self._settings
        admin = TopicAdmin(options)
        stack.push_async_callback(admin.close)
        self._status.enter(f"no broker at {', '.join(options.bootstrap_servers)} has answered yet")
        await self._reach(admin.start)
        await self._reach(identify_cluster)
        self._status.enter(f"reading {control_topic(settings.group)}")
        await self._reach(lambda: ensure_control_topic(admin, settings))
        await self._stop.unless_requested(self._control.load_with_retry())
        reader = Reader(
            options, membership, self._drain_revoked, self._fetch, self._metrics.rebalance_seconds.observe
        )
        stack.push_async_callback(reader.member.stop)  # also if a stop comes before it joins the group
        offsets = OffsetStore(options, may_commit=reader.member.holds_lease)
        stack.push_async_callback(offsets.close)
        stack.push_async_callback(self._topic_ids.close)
        await self._reach(offsets.start)
        await self._reach(self._topic_ids.start)
        await self._stop.unless_requested(self._begin_new_endpoints(admin, offsets))
        if not self._selection.patterns:  # with patterns, a topic that is missing does not stop the others
            names = self._selection.names
            self._status.enter(f"waiting until all topics exist: {', '.join(names)}")
            await self._stop.unless_requested(wait_for_topics(admin, names))
        self._status.enter("creating its own topics")
        await self._reach(lambda: ensure_internal_topics(admin, settings))
        writer = DurableProducer(options, "dead letters and holds")
        stack.push_async_callback(writer.close)
        await self._reach(writer.start)
        return reader, writer, offsets

    async def _begin_new_endpoints(self, admin: TopicAdmin, offsets: OffsetStore) -> None:
        """Begin new endpoints before the topics are complete: what appears later is read from its start."""
        settings, control, outage = self._settings, self._control, OutageBackoff()
        new = build_new_endpoints(settings, offsets, self._beginnings, control.remember, SystemClock())
        while new.unknown():
            try:
                async with SourceLogs(admin, self._topic_ids, SideReader(self._options)) as logs:
                    await new.begin(self._selection.select(await admin.names()), logs)
                return
            except (KafkaUnavailable, CommitError) as exc:
                await outage.wait(exc)

    async def _reach(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Repeat ``start`` until the broker is reachable. Raises ``Stopped`` when a stop comes first."""
        await self._stop.unless_requested(start_when_reachable(start, self._options.bootstrap_servers))

    def _build_path(
        self,
        stack: AsyncExitStack,
        reader: Reader,
        writer: DurableProducer,
        offsets: OffsetStore,
        history: History,
        index: KeyIndex,
    ) -> Path:
        settings, decoders = self._settings, self._decoders

        async def flush() -> None:
            index.flush()
            await history.flush()

        def open_side_reader() -> SideReader:
            return SideReader(self._options, max_batch_bytes=self._memory.batch, fetch=self._fetch)

        def open_holds() -> HoldReader:
            return HoldReader(open_side_reader(), control_topic(settings.group))

        def side_window() -> DedupeWindow:
            window = build_side_window(settings, index, decoders, open_side_reader)
            stack.callback(window.close)
            return window

        journal = Journal(settings.state_dir)
        stack.callback(journal.close)
        register = build_hold_register(settings, self._holds, writer, open_holds)
        transports = build_transports(settings, reader.member.holds_lease)
        for transport in transports.values():
            stack.push_async_callback(transport.close)
        edges = PathEdges(
            reader=reader,
            member=reader.member,
            open_side_reader=open_side_reader,
            offsets=offsets,
            look_at_topics=self._topic_ids.look,
            beginnings=self._beginnings,
            remember=self._control.remember,
            stop_endpoint=self._control.stop,
            dead_letters=build_dead_letters(settings, writer),
            parked_before=ParkedBefore(lambda: build_letters(settings)),
            hold_register=register,
            load_holds=register.load,
            transports=transports,
            history=history,
            journal=journal,
            flush=flush,
            window=build_window(settings, index, decoders, open_side_reader),
            side_window=side_window,
            learn=self._registries.learn,
            turn_off=self._control.turn_off,
            metrics=self._metrics,
            clock=SystemClock(),
            spans=self._spans,
            memory=self._memory,
        )
        path = build_path(settings, decoders, self._holds, edges)
        self._pipeline = path.pipeline
        self._switching.attach(path.router, path.dispatchers)
        return path

    async def _drain_revoked(self) -> None:
        _log.info(events.SOURCE_REVOKED)
        assert self._pipeline is not None
        await self._pipeline.assignment.drain()

    async def _join_group(self, stack: AsyncExitStack, reader: Reader) -> None:
        stack.push_async_callback(reader.member.stop)
        self._status.enter(f"waiting for the first assignment of group {self._settings.group}")
        await self._reach(reader.member.start)

    async def _carry(self, path: Path, reader: Reader, history: History, observers: Observers) -> None:
        """Run all tasks of the path until stopped. The workers outlive the reader, so that it can drain."""
        gc.collect()
        gc.freeze()  # these objects live until the end: the collector need not scan them
        gc.set_threshold(_GC_THRESHOLD)
        _log.info(
            events.BRIDGE_STARTED,
            version=__version__,
            group=self._settings.group,
            topics=self._selection.written,
            endpoints=sorted(path.dispatchers),
        )
        matched = MatchedTopics(
            lambda: TopicAdmin(self._options),
            self._selection,
            again_topic(self._settings),
            lambda: reader.member.topics,
        )
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._stop_reading(path.pipeline), name="stop"),
                tasks.create_task(self._control.follow(), name="control"),
                tasks.create_task(self._control.write_pending(), name="control writes"),
                tasks.create_task(self._commit_periodically(path.checkpoints), name="commit"),
                tasks.create_task(self._status.log_changes(), name="readiness"),
                tasks.create_task(matched.run(), name="topics"),
                *observers.start(tasks),
                *history.start(tasks),
                *(task for dispatcher in path.dispatchers.values() for task in dispatcher.start(tasks)),
            ]
            await path.pipeline.run()
            await history.close()
            for task in background:
                task.cancel()
        _log.info(events.BRIDGE_DRAINED)

    async def _stop_reading(self, pipeline: Pipeline) -> None:
        await self._stop.wait()
        self._status.stop()
        _log.info(events.BRIDGE_STOPPING, drain_timeout_s=self._settings.drain_timeout_s)
        pipeline.stop()

    async def _commit_periodically(self, checkpoints: Checkpoints) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_s)
            await checkpoints.try_commit()
