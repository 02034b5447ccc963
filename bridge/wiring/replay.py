"""Build the run of a replay: the parts of the path, with other cursors, limits and marks.

Invariant: a run shares with live deliveries only what must hold for both: the endpoint's limits and switches,
the fence of the member, and the history.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from bridge.core.dedupe import Stretch
from bridge.core.filter import BadExpression, Filter
from bridge.core.jobs import Job
from bridge.core.memory_budget import MemoryBudget
from bridge.core.replay import ReplayQuery, ReplaySelection, UnusableReplayError, mark_of, stretches_of
from bridge.core.routing import Router, Subscription
from bridge.http import Transport
from bridge.model import Partition
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.fresh_events import FreshEvents
from bridge.pipeline.intake import Feed, Intake
from bridge.pipeline.ports import FirstOffsets, RecordDecoder
from bridge.pipeline.replay.carrier import Bridge, ReplayOffsets
from bridge.pipeline.replay.gate import ReplayGate, most_events, windows_of
from bridge.pipeline.replay.marks import MarkedDeadLetters, MarkedHistory, renamed
from bridge.pipeline.replay.run import ReplayRun
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.settings import EndpointSettings, Settings
from bridge.storage.journal import Journal
from bridge.telemetry.metrics import Metrics
from bridge.wiring.audit import replay_record
from bridge.wiring.batches import with_most_events
from bridge.wiring.delivery import build_dispatcher
from bridge.wiring.edges import PathEdges
from bridge.wiring.endpoints import build_subscription
from bridge.wiring.path import Path
from bridge.wiring.replay_edges import ReplayEdges
from bridge.wiring.replay_parts import LiveMirror, NotedLimit, OwnOffsets, ReplayFence, ReplayLoader

_RESERVED_PART = 16
"""A replay takes this part of the memory for waiting events from the live deliveries while it runs."""


class ReplayBuilder:
    """Builds the runs of one process, over the live path and its edges."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        decoders: Mapping[str, RecordDecoder],
        path: Path,
        edges: PathEdges,
        replay_edges: ReplayEdges,
    ) -> None:
        """``settings`` returns the configuration in force; a run keeps the one that it began with."""
        self._settings = settings
        self._decoders = decoders
        self._path = path
        self._edges = edges
        self._own = replay_edges
        self._metrics = Metrics()
        """Of what is only true of live deliveries: the records read, and the time since they were written."""

    @asynccontextmanager
    async def open_run(
        self, job: Job, mine: Mapping[Partition, Stretch], pause: Callable[[str], None]
    ) -> AsyncIterator[ReplayRun]:
        """Build a run, and close what it uses. ``pause`` is called above the limit on dead letters."""
        name = job.endpoint or ""
        async with AsyncExitStack() as stack:
            transport = self._own.open_transport(name)
            stack.push_async_callback(transport.close)
            window = stack.enter_context(self._own.open_window())
            journal = Journal(self._own.folder / job.id)
            stack.callback(journal.close)
            budget = self._reserve(stack)
            yield self._build(job, mine, pause, transport, window, journal, budget)

    def forget_files(self, job: Job) -> None:
        """Delete the journal of a job that ended."""
        shutil.rmtree(self._own.folder / job.id, ignore_errors=True)

    def _reserve(self, stack: AsyncExitStack) -> MemoryBudget:
        """Take a part of the live budget until the run is closed."""
        live = self._path.budget
        reserved = live.total_bytes // _RESERVED_PART
        live.free -= reserved

        def give_back() -> None:
            live.free += reserved

        stack.callback(give_back)
        return MemoryBudget(reserved)

    def _build(
        self,
        job: Job,
        mine: Mapping[Partition, Stretch],
        pause: Callable[[str], None],
        transport: Transport,
        window: FirstOffsets,
        journal: Journal,
        budget: MemoryBudget,
    ) -> ReplayRun:
        name, settings = job.endpoint or "", self._settings()
        endpoint, edges, mark = settings.endpoints[name], self._edges, mark_of(job)
        checkpoints = Checkpoints([name], journal, budget)
        commits = Commits(
            settings.group,
            checkpoints,
            offsets=OwnOffsets(edges, mark),
            fence=ReplayFence(self._path.commits, edges.member.holds_lease),
            flush=_nothing,
            journal=journal,
            metrics=self._metrics,
            clock=edges.clock,
        )
        dead_letters = MarkedDeadLetters(edges.dead_letters, mark)
        dispatcher = self._dispatcher(job, mine, pause, transport, checkpoints, dead_letters, budget)
        dispatchers = {name: dispatcher}
        undecodable = UndecodableRecords(
            dead_letters,
            self._own.open_parked_before(),
            dispatchers.keys(),
            checkpoints.settle,
            budget,
            edges.metrics.parked,
        )
        query = ReplayQuery.of(job)
        topics = {partition.topic for partition in mine}
        decoders = renamed(self._decoders, topics, job.id) if query.new_id else self._decoders
        return ReplayRun(
            job,
            mine,
            load=ReplayLoader(
                job, mine, endpoint, group=settings.group, journal=journal, budget=budget, edges=edges
            ).load,
            checkpoints=checkpoints,
            commits=commits,
            dispatcher=dispatcher,
            intake=Intake(
                decoders=decoders,
                router=Router({name: subscription_of(endpoint, query)}),
                dispatchers=dispatchers,
                undecodable=undecodable,
                fresh=FreshEvents(edges.memory.fresh),
                metrics=self._metrics,
            ),
            feed=Feed(window),
            undecodable=undecodable,
            open_reader=edges.open_side_reader,
            learn=edges.learn,
            mirror=LiveMirror(name, self._path, dispatcher, budget, checkpoints, edges.clock).apply,
            commit_interval_s=settings.commit_interval_s,
            drain_timeout_s=settings.drain_timeout_s,
        )

    def _dispatcher(
        self,
        job: Job,
        mine: Mapping[Partition, Stretch],
        pause: Callable[[str], None],
        transport: Transport,
        checkpoints: Checkpoints,
        dead_letters: MarkedDeadLetters,
        budget: MemoryBudget,
    ) -> EndpointDispatcher:
        name, settings = job.endpoint or "", self._settings()
        endpoint, edges, live = settings.endpoints[name], self._edges, self._path.dispatchers[name]
        share = len(mine) / len(stretches_of(job))
        windows = windows_of(job.rate_per_s, share)
        endpoint = with_most_events(endpoint, most_events(job.rate_per_s, share))
        park_limit = None if endpoint.park_limit == "off" else NotedLimit(endpoint)

        def stop(endpoint: str, reason: str) -> None:
            if park_limit is not None and park_limit.is_exceeded:
                pause(reason)
            else:  # the receiver answered that it takes nothing more: that holds for all events
                edges.turn_off(endpoint, reason)

        bound = edges.metrics.endpoint(name)
        return build_dispatcher(
            name,
            endpoint,
            settings,
            transport=transport,
            parks=dead_letters,
            history=MarkedHistory(edges.history.stream(name), mark_of(job)),
            metrics=edges.metrics,
            clock=edges.clock,
            checkpoints=checkpoints,
            may_send=edges.member.holds_lease,
            turn_off=stop,
            budget=budget,
            gate=ReplayGate(live, windows, endpoint.concurrency),
            park_limit=park_limit,
            bound=bound._replace(latency_seconds=self._metrics.endpoint(name).latency_seconds),
        )


def subscription_of(endpoint: EndpointSettings, query: ReplayQuery) -> Subscription:
    """Return what a replay selects: what the endpoint does, and the query as well.

    Raises ``UnusableReplayError``.
    """
    subscription = build_subscription(endpoint)
    try:
        own = [] if query.when is None else [Filter(query.when)]
    except BadExpression as exc:
        raise UnusableReplayError(f"its filter cannot be read: {exc}") from exc
    conditions = own if subscription.when is None else [subscription.when, *own]
    return subscription._replace(when=ReplaySelection(query, *conditions))


def build_replaying(
    settings: Settings,
    path: Path,
    edges: PathEdges,
    builder: ReplayBuilder,
    offsets: ReplayOffsets,
    write_all: Callable[[Mapping[bytes, bytes | None]], Awaitable[None]],
    who: str,
) -> Bridge:
    """Build what the replays use of the bridge. ``write_all`` writes values to the control topic by key."""
    return Bridge(
        group=settings.group,
        endpoints=path.dispatchers.keys(),
        assigned=lambda: () if path.pipeline.assignment.ending else path.checkpoints.cursors.keys(),
        look=edges.look_at_topics,
        offsets=offsets,
        open_run=builder.open_run,
        write=lambda job: write_all(replay_record(job)),
        forget_files=builder.forget_files,
        who=who,
    )


async def _nothing() -> None:
    """Flush nothing: the live fence writes the history, also of replays."""
