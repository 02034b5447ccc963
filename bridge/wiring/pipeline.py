"""Build what reads for all endpoints, and what it shares with the assignment of partitions."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.core.memory_budget import MemoryBudget
from bridge.core.routing import Router
from bridge.pipeline.acceptance import Acceptance
from bridge.pipeline.assignment import Assignment
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.cursor_loader import CursorLoader
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.fresh_events import FreshEvents
from bridge.pipeline.intake import Feed, Intake
from bridge.pipeline.memory_watch import MemoryWatch
from bridge.pipeline.outage import OutageBackoff
from bridge.pipeline.pipeline import Pipeline
from bridge.pipeline.ports import RecordDecoder
from bridge.pipeline.schema_wait import SchemaWait
from bridge.pipeline.side_readers import SideReaders
from bridge.pipeline.topic_watch import TopicWatch
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.wiring.edges import PathEdges


def build_pipeline(
    edges: PathEdges,
    decoders: Mapping[str, RecordDecoder],
    router: Router[str],
    dispatchers: dict[str, EndpointDispatcher],
    loader: CursorLoader,
    checkpoints: Checkpoints,
    commits: Commits,
    budget: MemoryBudget,
    drain_timeout_s: float,
) -> Pipeline:
    """Build the read loop with its intake and its assignment. ``decoders`` are by topic."""
    outage, topics = OutageBackoff(), TopicWatch(edges.look_at_topics)
    schema_wait = SchemaWait(edges.learn, checkpoints.room.set, outage)
    main, side_feeds = Feed(edges.window), dict[str, Feed]()
    undecodable = UndecodableRecords(
        edges.dead_letters,
        edges.parked_before,
        dispatchers.keys(),
        checkpoints.settle,
        budget,
        edges.metrics.parked,
    )
    intake = Intake(
        decoders=decoders,
        router=router,
        dispatchers=dispatchers,
        undecodable=undecodable,
        fresh=FreshEvents(edges.memory.fresh),
        metrics=edges.metrics,
    )
    assignment = Assignment(
        source=edges.reader,
        loader=loader,
        checkpoints=checkpoints,
        commits=commits,
        topics=topics,
        remember=edges.remember,
        stop_endpoint=edges.stop_endpoint,
        dispatchers=dispatchers,
        main=main,
        side_feeds=side_feeds,
        load_holds=edges.load_holds,
        undecodable=undecodable,
        schema_wait=schema_wait,
        drain_timeout_s=drain_timeout_s,
        alongside=edges.alongside,
    )
    acceptance = Acceptance(intake, assignment, checkpoints, outage)
    side_readers = SideReaders(
        acceptance=acceptance,
        assignment=assignment,
        checkpoints=checkpoints,
        feeds=side_feeds,
        build_window=edges.side_window,
        open_reader=edges.open_side_reader,
        schema_wait=schema_wait,
        outage=outage,
        metrics=edges.metrics,
    )
    return Pipeline(
        source=edges.reader,
        intake=intake,
        acceptance=acceptance,
        side_readers=side_readers,
        assignment=assignment,
        dispatchers=dispatchers,
        checkpoints=checkpoints,
        main=main,
        topics=topics,
        memory=MemoryWatch(budget, dispatchers, checkpoints),
        schema_wait=schema_wait,
        outage=outage,
        metrics=edges.metrics,
    )
