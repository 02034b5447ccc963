"""Build the cursor of an endpoint in a partition: where it starts, and what it logs about lost records.

Reads no broker and no disk: ``checkpoints.py`` fetches the commits and the journal, and passes them in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.core.memory_budget import Share
from bridge.model import Committed, Partition, Spot
from bridge.telemetry import events

_log = structlog.get_logger()

Bounds = Mapping[Partition, tuple[int, int]]
"""The log of each partition: its first offset and the one after its last."""

OffsetsAt = Callable[[Collection[Partition], int], Awaitable[dict[Partition, int]]]
"""Return the first offset at or after an instant (Unix milliseconds), for the partitions that have one."""

EndpointCursor = Cursor[Failures]


@dataclass(frozen=True, slots=True)
class CursorPolicy:
    """Where an endpoint's cursors start, and the bounds of each: ``window`` in events."""

    start: Literal["latest", "earliest"] | int
    """An integer is an instant in Unix milliseconds: start at the first record at or after it."""
    window: int
    window_bytes: int


async def start_offsets(policy: CursorPolicy, bounds: Bounds, offsets_at: OffsetsAt) -> dict[Partition, int]:
    """Return where new cursors start in these partitions. Raises ``KafkaUnavailable``."""
    match policy.start:
        case "earliest":
            return {partition: first for partition, (first, _) in bounds.items()}
        case "latest":
            return {partition: log_end for partition, (_, log_end) in bounds.items()}
        case instant_ms:
            offsets = await offsets_at(bounds.keys(), instant_ms) if bounds else {}
            return {partition: offsets.get(partition, log_end) for partition, (_, log_end) in bounds.items()}


def build_cursor(
    endpoint: str,
    policy: CursorPolicy,
    share: Share,
    partition: Partition,
    log: tuple[int, int],
    start: Committed | int,
    journaled: Collection[Spot],
) -> EndpointCursor:
    """Return a cursor that continues from a commit, or for a new endpoint starts at an offset.

    ``share``: the endpoint's part of the memory budget. ``log``: the first offset and the one after the
    last. ``journaled``: what settled after the commit.
    """
    first, log_end = log
    if isinstance(start, int):
        _log.info(events.CURSOR_STARTED, endpoint=endpoint, partition=str(partition), next_offset=start)
        completion = completion_map.Completion(start, start)
    elif start.offset > log_end:
        _log.error(
            events.RECORDS_DELETED, endpoint=endpoint, partition=str(partition), next_offset=start.offset,
            log_end=log_end, cause="the log ends before the cursor: the topic was recreated",
            remedy="none needed: the cursor starts again at the first record and delivers them all",
        )  # fmt: skip
        completion = completion_map.Completion(first, first)
    else:
        completion = _decode_map(endpoint, partition, start).with_settled(journaled)
        if start.offset < first:
            report_deleted(endpoint, partition, start.offset, first)
    return Cursor(
        partition,
        max(completion.offset, first),
        window=policy.window,
        window_bytes=policy.window_bytes,
        share=share,
        endpoint=endpoint,
        settled_to=completion.end,
        left_open=completion.open_offsets,
        failures=completion.failures,
        parts=completion.parts,
    )


def _decode_map(endpoint: str, partition: Partition, committed: Committed) -> completion_map.Completion:
    try:
        return completion_map.decode(committed.offset, committed.metadata)
    except completion_map.DamagedMapError as exc:
        _log.error(
            events.CURSOR_MAP_IGNORED, endpoint=endpoint, partition=str(partition), cause=str(exc),
            remedy="none needed: what was settled beyond the offset is delivered again",
        )  # fmt: skip
        return completion_map.Completion(committed.offset, committed.offset)


def report_deleted(endpoint: str, partition: Partition, position: int, first: int) -> None:
    """Log that retention deleted records before an endpoint received them."""
    _log.error(
        events.RECORDS_DELETED, endpoint=endpoint, partition=str(partition), next_offset=position,
        log_start=first, offsets_lost=first - position, cause="retention deleted records before delivery",
        remedy="raise the topic's retention above the longest outage an endpoint may have",
    )  # fmt: skip
