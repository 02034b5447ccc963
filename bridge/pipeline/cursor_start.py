"""The cursor of an endpoint in a partition: how it begins, and what is said where something is gone.

Takes what the broker and the journal have kept of it and the bounds of the log. Does no I/O but its
log lines; ``bridge/pipeline/checkpoints.py`` asks and commits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.model import Committed, Partition
from bridge.storage.journal import Spot
from bridge.telemetry import events

_log = structlog.get_logger()

Bounds = Mapping[Partition, tuple[int, int]]
"""The first and the next offset of each partition's log."""

EndpointCursor = Cursor[Failures]


@dataclass(frozen=True, slots=True)
class CursorPolicy:
    """How an endpoint's cursors begin and how much they may hold, per partition."""

    start: Literal["latest", "earliest"] | int
    """Or an instant, in Unix milliseconds: the first record at or after it."""
    window: int
    window_bytes: int


def begin(
    endpoint: str,
    policy: CursorPolicy,
    partition: Partition,
    log: tuple[int, int],
    start: Committed | int,
    journaled: Collection[Spot],
) -> EndpointCursor:
    """A cursor from where it was, or for a new endpoint from the offset where it is to begin.

    ``log``: its first and its next offset. ``journaled``: what settled after the commit it starts from.
    """
    first, following = log
    if isinstance(start, int):
        _log.info(events.CURSOR_STARTED, endpoint=endpoint, partition=str(partition), next_offset=start)
        done = completion_map.Completion(start, start)
    elif start.offset > following:
        _log.error(
            events.RECORDS_DELETED, endpoint=endpoint, partition=str(partition), next_offset=start.offset,
            log_end=following, cause="the topic is shorter than the cursor: it was made anew",
            remedy="none needed: everything in it is delivered",
        )  # fmt: skip
        done = completion_map.Completion(first, first)
    else:
        done = _read_map(endpoint, partition, start).with_settled(journaled)
        if start.offset < first:
            report_deleted(endpoint, partition, start.offset, first)
    return Cursor(
        partition,
        max(done.offset, first),
        window=policy.window,
        window_bytes=policy.window_bytes,
        endpoint=endpoint,
        settled_to=done.end,
        left_open=done.open_offsets,
        failures=done.failures,
        parts=done.parts,
    )


def _read_map(endpoint: str, partition: Partition, committed: Committed) -> completion_map.Completion:
    try:
        return completion_map.decode(committed.offset, committed.metadata)
    except completion_map.DamagedMapError as exc:
        _log.error(
            events.CURSOR_MAP_IGNORED, endpoint=endpoint, partition=str(partition), cause=str(exc),
            remedy="none needed: what was settled beyond the offset is delivered again",
        )  # fmt: skip
        return completion_map.Completion(committed.offset, committed.offset)


def report_deleted(endpoint: str, partition: Partition, position: int, first: int) -> None:
    """Say that retention took records which an endpoint had not got."""
    _log.error(
        events.RECORDS_DELETED, endpoint=endpoint, partition=str(partition), next_offset=position,
        log_start=first, offsets_lost=first - position, cause="retention deleted them undelivered",
        remedy="raise the topic's retention above the longest outage an endpoint may have",
    )  # fmt: skip
