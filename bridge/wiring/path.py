"""Build the whole path from the settings and from the parts that reach outside the process.

Every setting of the path passes through here, so the tests that run the path over fakes run this wiring too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from bridge.clock import Clock
from bridge.core.beginning import Beginning, Beginnings
from bridge.core.memory_budget import MemoryBudget, MemoryPlan
from bridge.core.routing import Router
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.hold_topic import HoldReader, HoldRegister
from bridge.dead_letters.topic import RecordWriter
from bridge.history.stream import RecordWriter as HistoryProducer
from bridge.history.writer import History
from bridge.http import Transport
from bridge.http.tls import SystemTls
from bridge.kafka.side_reader import SideReader
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.cursor_loader import CursorLoader, Offsets
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.new_endpoints import NewEndpoints
from bridge.pipeline.pipeline import Pipeline
from bridge.pipeline.ports import RecordDecoder
from bridge.settings import Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry.metrics import Metrics
from bridge.wiring.delivery import build_dispatcher
from bridge.wiring.edges import PathEdges
from bridge.wiring.endpoints import (
    build_cursor_policy,
    build_egress,
    build_lane_holds,
    build_router,
    build_transport,
    holding_endpoints,
)
from bridge.wiring.kafka import again_topic, attempts_topic, control_topic
from bridge.wiring.pipeline import build_pipeline


@dataclass(frozen=True, slots=True)
class Path:
    """The parts of the path that the process starts, watches and stops."""

    router: Router[str]
    checkpoints: Checkpoints
    commits: Commits
    dispatchers: Mapping[str, EndpointDispatcher]
    pipeline: Pipeline
    budget: MemoryBudget
    loader: CursorLoader
    holds: Holds


def build_path(
    settings: Settings, decoders: Mapping[str, RecordDecoder], holds: Holds, edges: PathEdges
) -> Path:
    """Build the path. ``decoders`` are by topic; ``holds`` are the held lanes of the assignment.

    Raises ``ConfigError`` for templates that cannot be used.
    """
    router = build_router(settings)
    budget = MemoryBudget(edges.memory.windows)
    checkpoints = Checkpoints(settings.endpoints, edges.journal, budget)
    commits = build_commits(settings, checkpoints, edges)
    dispatchers = {
        name: build_endpoint_dispatcher(
            name, settings, checkpoints, budget, holds, edges, edges.transports[name]
        )
        for name in settings.endpoints
    }
    loader = build_cursor_loader(edges, settings, budget, build_cursor_policies(settings))
    pipeline = build_pipeline(
        edges, decoders, router, dispatchers, loader, checkpoints, commits, budget, settings.drain_timeout_s
    )
    return Path(router, checkpoints, commits, dispatchers, pipeline, budget, loader, holds)


def build_commits(settings: Settings, checkpoints: Checkpoints, edges: PathEdges) -> Commits:
    """Build the part that commits the cursors."""
    return Commits(
        settings.group,
        checkpoints,
        offsets=edges.offsets,
        fence=edges.member,
        flush=edges.flush,
        journal=edges.journal,
        metrics=edges.metrics,
        clock=edges.clock,
    )


def build_cursor_loader(
    edges: PathEdges, settings: Settings, budget: MemoryBudget, policies: Mapping[str, CursorPolicy]
) -> CursorLoader:
    """Build the part that loads the cursors of the endpoints of ``policies``."""
    return CursorLoader(
        settings.group,
        policies,
        offsets=edges.offsets,
        journal=edges.journal,
        beginnings=edges.beginnings,
        budget=budget,
        whole_topics=(again_topic(settings),),
    )


def build_new_endpoints(
    settings: Settings,
    offsets: Offsets,
    beginnings: Beginnings,
    remember: Callable[[Mapping[str, Beginning]], Awaitable[None]],
    clock: Clock,
) -> NewEndpoints:
    """Build the part that begins new endpoints, before any partition is assigned."""
    return NewEndpoints(
        settings.group,
        build_cursor_policies(settings),
        offsets=offsets,
        beginnings=beginnings,
        remember=remember,
        clock=clock,
    )


def build_cursor_policies(settings: Settings) -> dict[str, CursorPolicy]:
    """Build the policies of all cursors, by endpoint."""
    return {name: build_cursor_policy(endpoint) for name, endpoint in settings.endpoints.items()}


def build_endpoint_dispatcher(
    name: str,
    settings: Settings,
    checkpoints: Checkpoints,
    budget: MemoryBudget,
    holds: Holds,
    edges: PathEdges,
    transport: Transport,
) -> EndpointDispatcher:
    """Build the delivering half of the path for one endpoint. Raises ``ConfigError``."""
    endpoint = settings.endpoints[name]
    return build_dispatcher(
        name,
        endpoint,
        settings,
        transport=transport,
        parks=edges.dead_letters,
        history=edges.history.stream(name),
        metrics=edges.metrics,
        clock=edges.clock,
        checkpoints=checkpoints,
        may_send=edges.member.holds_lease,
        turn_off=edges.turn_off,
        budget=budget,
        held=build_lane_holds(name, endpoint, holds, edges.hold_register, edges.clock),
        spans=edges.spans,
    )


def build_hold_register(
    settings: Settings,
    holds: Holds,
    writer: RecordWriter,
    open_reader: Callable[[], HoldReader],
) -> HoldRegister:
    """Build the part that reads the holds of an assignment into ``holds``, and writes them."""
    return HoldRegister(
        control_topic(settings.group),
        holds,
        writer,
        open_reader,
        holding=holding_endpoints(settings),
        endpoints=settings.endpoints,
    )


def build_transports(
    settings: Settings, may_write: Callable[[], bool], names: Collection[str] | None = None
) -> dict[str, Transport]:
    """Build one transport per endpoint; ``may_write`` is called before the bytes of a request are written.

    ``names``: only for these endpoints. Raises ``ConfigError`` for TLS files that do not load.
    """
    egress, system = build_egress(settings), SystemTls()
    return {
        name: build_transport(name, endpoint, egress, system, may_write)
        for name, endpoint in settings.endpoints.items()
        if names is None or name in names
    }


def build_index(settings: Settings) -> KeyIndex:
    """Open the dedupe index on disk."""
    return KeyIndex(
        settings.state_dir / "dedupe.sqlite",
        window_s=settings.dedupe.window_s,
        max_keys=settings.dedupe.max_keys,
    )


def build_history(
    settings: Settings, producer: HistoryProducer, metrics: Metrics, memory: MemoryPlan
) -> History:
    """Build the part that writes the attempts of all endpoints to their topic."""
    counted = metrics.history_attempts
    return History(
        attempts_topic(settings),
        settings.endpoints,
        producer,
        most_bytes=memory.history,
        count=lambda outcome, number: counted.labels(outcome).inc(number),
    )


def build_window(
    settings: Settings,
    index: KeyIndex,
    decoders: Mapping[str, RecordDecoder],
    open_side_reader: Callable[[], SideReader],
) -> DedupeWindow:
    """Build the dedupe window of the main reader, over the index on disk."""
    dedupe = settings.dedupe
    return DedupeWindow(index, decoders, open_side_reader, window_s=dedupe.window_s, max_keys=dedupe.max_keys)


def build_side_window(
    settings: Settings,
    lender: KeyIndex,
    decoders: Mapping[str, RecordDecoder],
    open_side_reader: Callable[[], SideReader],
) -> DedupeWindow:
    """Build the dedupe window of a catch-up reader: an index in memory that borrows from ``lender``.

    The caller closes it.
    """
    dedupe = settings.dedupe
    index = KeyIndex(None, window_s=dedupe.window_s, max_keys=dedupe.max_keys)
    return DedupeWindow(
        index,
        decoders,
        open_side_reader,
        window_s=dedupe.window_s,
        max_keys=dedupe.max_keys,
        lender=lender,
    )
