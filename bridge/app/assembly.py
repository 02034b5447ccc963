"""Build the path over the real Kafka, HTTP and disk, and what puts another configuration in force."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bridge.app.beginner import EndpointBeginner
from bridge.app.in_force import InForce, Surroundings
from bridge.app.status import Status
from bridge.app.switching import Switching
from bridge.app.transports import Transports
from bridge.clock import SystemClock
from bridge.core.beginning import Beginnings
from bridge.core.memory_budget import MemoryPlan
from bridge.core.topic_selection import TopicSelection
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.hold_topic import HoldReader, HoldRegister
from bridge.dead_letters.parked_before import ParkedBefore
from bridge.errors import SchemaNeeded
from bridge.history.writer import History
from bridge.http import Transport
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_reader import Reader
from bridge.kafka.group_view import GroupView
from bridge.kafka.membership import MOST_RECORDS
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.producer import DurableProducer
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topic_ids import TopicIds
from bridge.pipeline.replay.carrier import Bridge
from bridge.pipeline.replay.replays import Replays
from bridge.settings import Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.journal import Journal
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.spans import SpanSink
from bridge.wiring.edges import PathEdges
from bridge.wiring.endpoints import holding_endpoints
from bridge.wiring.kafka import build_dead_letters, build_letters, build_membership, control_topic
from bridge.wiring.path import (
    build_hold_register,
    build_path,
    build_side_window,
    build_transports,
    build_window,
)
from bridge.wiring.replay import ReplayBuilder, build_replaying
from bridge.wiring.replay_edges import build_replay_edges
from bridge.wiring.topics import TopicDecoders, build_selection


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """The parts of the process that the path is built from, once the broker has answered.

    ``learn`` fetches a schema. What is opened here is closed by the stack of ``build``.
    """

    settings: Settings
    options: KafkaOptions
    decoders: TopicDecoders
    learn: Callable[[SchemaNeeded], Awaitable[None]]
    switching: Switching
    status: Status
    control: ControlTopic
    beginnings: Beginnings
    beginner: EndpointBeginner
    selection: TopicSelection
    topic_ids: TopicIds
    holds: Holds
    metrics: Metrics
    memory: MemoryPlan
    fetch: FetchBudget
    spans: SpanSink | None
    replays: Replays
    by: str
    """Who writes a job, for a person."""
    came: Callable[[str], None]
    """Called with each endpoint that a reload has added."""
    reader: Reader
    writer: DurableProducer
    offsets: OffsetStore
    history: History
    index: KeyIndex

    def build(self, stack: AsyncExitStack) -> tuple[InForce, Bridge]:
        """Build the path, with these settings in force, and what the replays use of it.

        Raises ``ConfigError``.
        """
        settings, lease = self.settings, self.reader.member.holds_lease
        register = build_hold_register(settings, self.holds, self.writer, self._open_holds)
        in_use = build_transports(settings, lease)
        transports = Transports(in_use)
        stack.push_async_callback(transports.close)
        edges = self._edges(stack, register, in_use)
        path = build_path(settings, self.decoders, self.holds, edges)
        self.switching.attach(path.router, path.dispatchers)
        self.status.watch(self.metrics, GroupView(self.reader), path)
        around = self._surroundings(register)
        in_force = InForce(settings, path, edges, transports, self.switching, around)
        return in_force, self._replaying(in_force, edges)

    def _replaying(self, in_force: InForce, edges: PathEdges) -> Bridge:
        path, decoders = in_force.path, self.decoders
        own = build_replay_edges(
            lambda: in_force.settings,
            decoders,
            self.index,
            self._open_side_reader,
            self.reader.member.holds_lease,
        )
        builder = ReplayBuilder(lambda: in_force.settings, decoders, path, edges, own)
        return build_replaying(
            self.settings, path, edges, builder, self.offsets, self.control.write_all, self.by
        )

    def _surroundings(self, register: HoldRegister) -> Surroundings:
        """Return what a change of the configuration reaches besides the path."""

        def adopt_names(settings: Settings) -> None:
            self.selection.adopt(build_selection(settings))
            self.decoders.adopt(settings.endpoints, self.selection)
            self.status.adopt(self.selection)
            register.adopt(holding_endpoints(settings), settings.endpoints)

        def subscribe(settings: Settings) -> None:
            wanted = build_membership(settings, None)
            self.reader.member.subscribe(wanted.topics, wanted.pattern)

        lease = self.reader.member.holds_lease
        return Surroundings(
            open_transports=lambda settings, names: build_transports(settings, lease, names),
            begin_new_endpoints=self.beginner.added,
            load_holds_of=register.load_for,
            prepare_topics=self.beginner.topics,
            adopt_names=adopt_names,
            subscribe=subscribe,
            endpoint_came=self.came,
            endpoint_left=self.metrics.forget,
            changed=self.replays.restart,
        )

    def _open_side_reader(self) -> SideReader:
        return SideReader(self.options, MOST_RECORDS, max_batch_bytes=self.memory.batch, fetch=self.fetch)

    def _open_holds(self) -> HoldReader:
        return HoldReader(self._open_side_reader(), control_topic(self.settings.group))

    def _edges(
        self, stack: AsyncExitStack, register: HoldRegister, transports: Mapping[str, Transport]
    ) -> PathEdges:
        settings, decoders, index = self.settings, self.decoders, self.index

        async def flush() -> None:
            await index.write()
            await self.history.flush()

        journal = Journal(settings.state_dir)
        stack.callback(journal.close)
        return PathEdges(
            reader=self.reader,
            member=self.reader.member,
            open_side_reader=self._open_side_reader,
            offsets=self.offsets,
            look_at_topics=self.topic_ids.look,
            beginnings=self.beginnings,
            remember=self.control.remember,
            stop_endpoint=self.control.stop,
            dead_letters=build_dead_letters(settings, self.writer),
            parked_before=ParkedBefore(lambda: build_letters(settings)),
            hold_register=register,
            load_holds=register.load,
            transports=transports,
            history=self.history,
            journal=journal,
            flush=flush,
            window=build_window(settings, index, decoders, self._open_side_reader),
            side_window=lambda: build_side_window(settings, index, decoders, self._open_side_reader),
            learn=self.learn,
            turn_off=self.control.turn_off,
            metrics=self.metrics,
            clock=SystemClock(),
            spans=self.spans,
            memory=self.memory,
            alongside=self.replays,
        )
