"""The composition root: build the parts, start them from the sink, stop them from the source.

Start: files, admin port, broker, topics, then workers, and reading last. Stop: end reading, drain within the
deadline, commit for the last time, leave the group, close everything in the opposite order of opening.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import structlog

from bridge.app.admin_server import AdminServer
from bridge.app.admin_tls import AdminTls
from bridge.app.assembly import Assembly
from bridge.app.broker_start import BrokerStart, Clients
from bridge.app.carrying import Carrying
from bridge.app.config_file import Source
from bridge.app.in_force import InForce
from bridge.app.memory import plan_memory
from bridge.app.observers import Observers
from bridge.app.reload_requests import ReloadRequests
from bridge.app.reloading import Reloads
from bridge.app.status import Status
from bridge.app.stop import Stopped, StopRequest
from bridge.app.switching import Switching
from bridge.app.worker_answers import build_answers
from bridge.app.worker_link import WorkerLink
from bridge.clock import SystemClock
from bridge.core import jobs, moves
from bridge.core.beginning import Beginnings
from bridge.core.reload_request import REQUEST_KEY
from bridge.dead_letters.hold import Holds
from bridge.history.writer import History
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.topic_ids import TopicIds
from bridge.pipeline.moving import CursorMover
from bridge.pipeline.pipeline import Pipeline
from bridge.pipeline.replay.carrier import Bridge
from bridge.pipeline.replay.replays import Replays
from bridge.settings import Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.old_history import report_old_history
from bridge.storage.state_dir import Owner, StateDir, claim_state
from bridge.storage.worker_folders import discard_marked, discard_unused
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.spans import SpanSink
from bridge.wiring.asked import build_asked_fields
from bridge.wiring.cursor_moves import read_moves
from bridge.wiring.decoders import build_decoders, build_registries
from bridge.wiring.endpoints import build_key_set
from bridge.wiring.kafka import (
    build_control,
    build_history_producer,
    build_kafka_options,
    build_member_name,
    build_membership,
    control_topic,
)
from bridge.wiring.path import (
    build_history,
    build_index,
)
from bridge.wiring.topics import build_selection
from bridge.wiring.tracing import build_spans

_log = structlog.get_logger()


class App:
    """One bridge process, from its settings to its end."""

    def __init__(
        self, settings: Settings, source: Source | None = None, link: WorkerLink | None = None
    ) -> None:
        """``source``: where the settings come from; None for settings that never change.

        ``link``: to the supervisor, if this is one of several workers.
        """
        self._settings = settings
        self._source = source
        self._link = link
        self._in_force: InForce | None = None
        self._observers: Observers | None = None
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
        self._by = by
        self._beginnings = Beginnings()
        self._requests = ReloadRequests()
        self._replays = Replays()
        self._mover = CursorMover(self._read_moves, self._write_control)
        self._control = build_control(
            settings,
            switching.endpoints,
            switching.event_types,
            by,
            self._beginnings,
            {
                REQUEST_KEY: self._requests.apply,
                jobs.PREFIX: self._replays.apply,
                moves.PREFIX: self._mover.note,
            },
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
        self._stop.handle_signals(self._requests.hang_up)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._registries.close)
            state, index = self._open_files(stack)
            self._open_spans(stack)
            await self._open_admin_server(stack)
            broker = self._broker_start()
            try:
                clients = await broker.open(
                    stack,
                    lambda cluster: claim_state(state, Owner(self._settings.group, cluster), index),
                    build_membership(self._settings, build_member_name(state), self._memory.batch),
                )
                reader = clients.reader
                history = await self._open_history(stack, broker)
                in_force, replaying = self._build_in_force(stack, clients, history, index)
                observers = Observers(
                    self._settings, self._metrics, self._status, reader, in_force.path, index
                )
                stack.push_async_callback(observers.close)
                self._observers = observers
                reloads = self._build_reloads(in_force, observers.pod_name)
                await broker.join_group(stack, reader)
            except Stopped:
                return
            await Carrying(
                settings=self._settings,
                options=self._options,
                selection=self._selection,
                stop=self._stop,
                status=self._status,
                control=self._control,
                replays=self._replays,
                mover=self._mover,
                in_force=in_force,
                reader=reader,
                history=history,
                reloads=reloads,
                replaying=replaying,
                observers=observers,
            ).run()

    def _open_files(self, stack: AsyncExitStack) -> tuple[StateDir, KeyIndex]:
        state = StateDir(self._settings.state_dir)
        stack.callback(state.release)
        if self._link is None:
            discard_unused(self._settings.state_dir, workers=0)
        discard_marked(self._settings.state_dir)
        index = build_index(self._settings)
        stack.callback(index.close)
        report_old_history(self._settings.state_dir)
        return state, index

    async def _open_history(self, stack: AsyncExitStack, broker: BrokerStart) -> History:
        producer = build_history_producer(self._settings)
        stack.push_async_callback(producer.close)
        await broker.reach(producer.start)
        return build_history(self._settings, producer, self._metrics, self._memory)

    def _open_spans(self, stack: AsyncExitStack) -> None:
        self._spans = build_spans(self._settings, self._metrics)
        if self._spans is not None:
            stack.push_async_callback(self._spans.close)

    async def _open_admin_server(self, stack: AsyncExitStack) -> None:
        admin = self._settings.admin
        if self._link is not None:
            answers = build_answers(self._metrics, self._status, self._public_keys)
            await self._link.open(answers, self._stop.request_by_signal)
            stack.push_async_callback(self._link.close)
            return
        server = AdminServer(
            admin.host,
            admin.port,
            self._metrics.registry,
            self._status.readiness,
            self._status.limits,
            lambda: self._public_keys(SystemClock().time()),
            hosts=admin.hosts,
            tls=None if admin.tls is None else AdminTls(admin.tls),
        )
        await server.start()
        stack.push_async_callback(server.stop)

    def _public_keys(self, now_s: float) -> Mapping[str, object]:
        """Return the public keys of the configuration in force, at an instant in Unix seconds."""
        return build_key_set(self._current)(now_s)

    @property
    def _current(self) -> Settings:
        """The settings in force, which differ from those of the start after a reload."""
        return self._in_force.settings if self._in_force else self._settings

    def _broker_start(self) -> BrokerStart:
        return BrokerStart(
            settings=self._settings,
            options=self._options,
            selection=self._selection,
            stop=self._stop,
            status=self._status,
            control=self._control,
            beginnings=self._beginnings,
            topic_ids=self._topic_ids,
            fetch=self._fetch,
            metrics=self._metrics,
            drain=self._drain_revoked,
        )

    def _build_in_force(
        self,
        stack: AsyncExitStack,
        clients: Clients,
        history: History,
        index: KeyIndex,
    ) -> tuple[InForce, Bridge]:
        """Build the path, and what the replays use of it."""
        in_force, replaying = Assembly(
            settings=self._settings,
            options=self._options,
            decoders=self._decoders,
            learn=self._registries.learn,
            switching=self._switching,
            status=self._status,
            control=self._control,
            beginnings=self._beginnings,
            beginner=clients.beginner,
            selection=self._selection,
            topic_ids=self._topic_ids,
            holds=self._holds,
            metrics=self._metrics,
            memory=self._memory,
            spans=self._spans,
            came=self._endpoint_came,
            replays=self._replays,
            by=self._by,
            fetch=self._fetch,
            reader=clients.reader,
            writer=clients.writer,
            offsets=clients.offsets,
            history=history,
            index=index,
        ).build(stack)
        self._pipeline = in_force.path.pipeline
        self._in_force = in_force
        return in_force, replaying

    def _endpoint_came(self, name: str) -> None:
        """Let the gauges of an endpoint that a reload added read its parts."""
        assert self._in_force is not None, "it was started"
        path = self._in_force.path
        self._status.watch_endpoint(self._metrics, name, path.dispatchers[name], path.checkpoints)
        if self._observers is not None:
            self._observers.watch_endpoint(name)

    def _build_reloads(self, in_force: InForce, pod_name: Callable[[], str]) -> Reloads | None:
        """Build what reloads the configuration; None if the settings come from no file."""
        if self._source is None:
            return None
        reloads = Reloads(self._source, in_force, self._metrics, SystemClock())
        self._status.watch_configuration(lambda: reloads.state)
        self._requests.open(reloads, pod_name, self._control.write_all)
        return reloads

    async def _read_moves(self) -> moves.Moves:
        return await read_moves(self._options, control_topic(self._settings.group))

    async def _write_control(self, values: Mapping[bytes, bytes | None]) -> None:
        await self._control.write_all(values)

    async def _drain_revoked(self) -> None:
        _log.info(events.SOURCE_REVOKED)
        assert self._pipeline is not None
        await self._pipeline.assignment.drain()
