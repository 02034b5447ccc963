"""What the path reaches outside the process with. Tests put fakes here, and build the rest as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge.clock import Clock
from bridge.core.beginning import Beginning, Beginnings
from bridge.core.memory_budget import MemoryPlan, divide
from bridge.dead_letters.lane_holds import HoldWriter
from bridge.dead_letters.park import DeadLetterWriter
from bridge.errors import SchemaNeeded
from bridge.http import Transport
from bridge.model import Partition
from bridge.pipeline.cursor_loader import Offsets
from bridge.pipeline.group_offsets import Fence
from bridge.pipeline.ports import Alongside, FirstOffsets, ParkedRecords, Reads, SideReads
from bridge.pipeline.replay.replays import Replays
from bridge.pipeline.target import KeepsAttempts
from bridge.pipeline.topic_watch import Look
from bridge.storage.journal import Journal
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.spans import SpanSink


class Histories(Protocol):
    """The history of all endpoints (``bridge.history.writer.History``)."""

    def stream(self, endpoint: str) -> KeepsAttempts:
        """Return the part that keeps the attempts of one endpoint."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PathEdges:
    """What the path reaches outside the process with: Kafka, HTTP, disk, clock, and metrics."""

    reader: Reads
    member: Fence
    open_side_reader: Callable[[], SideReads]
    offsets: Offsets
    look_at_topics: Look
    """Return the ids of those of these topics that exist; None if the broker has no topic ids."""
    beginnings: Beginnings
    """Where the endpoints have begun."""
    remember: Callable[[Mapping[str, Beginning]], Awaitable[None]]
    """Add to the beginnings, and return once the control topic has it."""
    stop_endpoint: Callable[[str, str], Awaitable[None]]
    """Turn an endpoint off for a reason, and return once the control topic has it."""
    dead_letters: DeadLetterWriter
    parked_before: ParkedRecords
    hold_register: HoldWriter
    load_holds: Callable[[Collection[Partition]], Awaitable[None]]
    """Read the holds of these partitions from the control topic into the ``holds`` of ``build_path``."""
    transports: Mapping[str, Transport]
    """By endpoint."""
    history: Histories
    journal: Journal
    flush: Callable[[], Awaitable[None]]
    """Write what the index and the history still buffer; called before every commit."""
    window: FirstOffsets
    side_window: Callable[[], FirstOffsets]
    """Create the dedupe window of one catch-up reader."""
    learn: Callable[[SchemaNeeded], Awaitable[None]]
    turn_off: Callable[[str, str], None]
    """Turn an endpoint off: its name and the reason. Called when its receiver answers 410."""
    metrics: Metrics
    clock: Clock
    spans: SpanSink | None = None
    """Where the spans of attempts go; None without traces."""
    memory: MemoryPlan = field(default_factory=lambda: divide(1 << 40))
    """The default limits nothing: for tests."""
    alongside: Alongside = field(default_factory=Replays)
    """The replays, which end with the assignment. The default has none."""
