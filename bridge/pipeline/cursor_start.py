"""Build the cursor of an endpoint in a partition: where it starts, and what it logs about lost records.

Reads no broker and no disk: ``cursor_loader.py`` fetches the commits and the journal, and passes them in.
Invariant: only an endpoint that never began skips records; a cursor without a commit is not a new one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import structlog

from bridge.core import completion_map
from bridge.core.beginning import TopicPlaces
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


OnLostOffset = Literal["earliest", "latest", "stop"]


@dataclass(frozen=True, slots=True)
class CursorPolicy:
    """Where an endpoint's cursors start, and the bounds of each: ``window`` in events."""

    start: Literal["latest", "earliest"] | int
    """An integer is an instant in Unix milliseconds: start at the first record at or after it."""
    window: int
    window_bytes: int
    on_lost_offset: OnLostOffset = "earliest"
    """Where a cursor starts whose place was known and is gone."""


async def start_offsets(policy: CursorPolicy, bounds: Bounds, offsets_at: OffsetsAt) -> dict[Partition, int]:
    """Return where the cursors of a new endpoint start in these partitions. Raises ``KafkaUnavailable``."""
    match policy.start:
        case "earliest":
            return {partition: first for partition, (first, _) in bounds.items()}
        case "latest":
            return {partition: log_end for partition, (_, log_end) in bounds.items()}
        case instant_ms:
            offsets = await offsets_at(bounds.keys(), instant_ms) if bounds else {}
            return {partition: offsets.get(partition, log_end) for partition, (_, log_end) in bounds.items()}


class ReadCommit(NamedTuple):
    """A commit, with what its text contains; read once for all cursors that have an equal one.

    ``damage``: why the text is no completion map; it is ignored then.
    """

    committed: Committed
    topic_id: str | None
    completion: completion_map.Completion
    damage: str = ""


def read_commit(committed: Committed) -> ReadCommit:
    """Read the text of a commit."""
    topic_id = completion_map.topic_id_of(*committed)
    try:
        return ReadCommit(committed, topic_id, completion_map.decode(*committed))
    except completion_map.DamagedMapError as exc:
        nothing = completion_map.Completion(committed.offset, committed.offset)
        return ReadCommit(committed, topic_id, nothing, str(exc))


class Continued(NamedTuple):
    """The cursor continues from its commit."""

    read: ReadCommit


class Started(NamedTuple):
    """The cursor starts at an offset, for a reason."""

    offset: int
    cause: str


class Lost(NamedTuple):
    """The place of the cursor was known and is gone. ``offset``: the committed one, if there is one."""

    cause: str
    offset: int | None
    known_topic_id: str | None


def decide_start(
    number: int,
    log: tuple[int, int],
    read: ReadCommit | None,
    places: TopicPlaces,
    topic_id: str | None,
) -> Continued | Started | Lost:
    """Decide where a cursor of an endpoint that has begun starts in partition ``number`` of a topic.

    ``log``: the first offset and the one after the last. ``read``: its commit, if there is one.
    ``places``: what is remembered of the topic.
    ``topic_id``: of the topic as it is now; None if the broker does not return it.
    """
    first, log_end = log
    if read is not None:
        offset, known_id = read.committed.offset, read.topic_id
        if _differ(known_id, topic_id):
            return Lost("the topic was deleted and created again", offset, known_id)
        if offset > log_end:
            return Lost("the log ends before the cursor: the topic was recreated or shortened",
                        offset, known_id or places.topic_id)  # fmt: skip
        return Continued(read)
    is_other = _differ(places.topic_id, topic_id)
    if number in places.cursors:
        cause = (
            "the topic was deleted and created again"
            if is_other
            else "its committed offset is gone: it expired or was deleted"
        )
        return Lost(cause, None, places.topic_id)
    if number in places.begins and not is_other:
        return Started(places.begins[number], "the endpoint is new")
    return Started(first, "the partition is new: the endpoint began before it had a cursor here")


def _differ(known: str | None, current: str | None) -> bool:
    return known is not None and current is not None and known != current


def build_cursor(
    endpoint: str,
    policy: CursorPolicy,
    share: Share,
    partition: Partition,
    log: tuple[int, int],
    start: Continued | Started | Lost,
    journaled: Collection[Spot],
) -> EndpointCursor:
    """Return a cursor that starts as decided, and log an error if its place is lost.

    ``share``: the endpoint's part of the memory budget. ``log``: the first offset and the one after the
    last. ``journaled``: what settled after the commit.
    """
    first, log_end = log
    match start:
        case Started(offset, _):
            completion = completion_map.Completion(offset, offset)
        case Lost():
            offset = log_end if policy.on_lost_offset == "latest" else first
            _report_lost(endpoint, policy.on_lost_offset, partition, start, offset, log_end)
            completion = completion_map.Completion(offset, offset)
        case Continued(read):
            if read.damage:
                _report_damage(endpoint, partition, read.damage)
            completion = read.completion.with_settled(journaled) if journaled else read.completion
    cursor = Cursor(
        partition,
        completion.offset,
        window=policy.window,
        window_bytes=policy.window_bytes,
        share=share,
        endpoint=endpoint,
        settled_to=completion.end,
        left_open=completion.open_offsets,
        failures=completion.failures,
        parts=completion.parts,
    )
    if first > cursor.position:
        skip_deleted_offsets(cursor, first)
    return cursor


class StartedCursors:
    """Gathers the first cursors of endpoints, and logs those that start alike in one line."""

    def __init__(self) -> None:
        self._alike: dict[tuple[str, tuple[tuple[Partition, int], ...]], list[str]] = {}

    def add(self, endpoint: str, starts: Mapping[str, Mapping[Partition, int]]) -> None:
        """Add the next offsets of an endpoint's first cursors, by cause."""
        for cause, positions in starts.items():
            self._alike.setdefault((cause, tuple(positions.items())), []).append(endpoint)

    def report(self) -> None:
        """Log what was added."""
        for (cause, positions), endpoints in self._alike.items():
            next_offsets = {str(partition): offset for partition, offset in positions}
            _log.info(events.CURSOR_STARTED, endpoints=endpoints, next_offsets=next_offsets, cause=cause)


_CONSEQUENCES: Mapping[OnLostOffset, tuple[str, str]] = {
    "earliest": (
        "it starts at the first record: all that the log still has is delivered, some of it perhaps again",
        "none needed; see `on_lost_offset` for the other choices",
    ),
    "latest": (
        "it starts at the end of the log: no record that is in it now is delivered",
        "to deliver them, stop the bridge and set the offset of the group with kafka-consumer-groups.sh",
    ),
    "stop": (
        "the endpoint is turned off, and its cursor waits at the first record",
        "run `hookferry endpoints on {endpoint}` to deliver all that the log has, or before that stop the"
        " bridge and set the offset of its group with kafka-consumer-groups.sh",
    ),
}


def _report_lost(
    endpoint: str, policy: OnLostOffset, partition: Partition, lost: Lost, offset: int, log_end: int
) -> None:
    consequence, remedy = _CONSEQUENCES[policy]
    _log.error(
        events.CURSOR_LOST, endpoint=endpoint, partition=str(partition), cause=lost.cause,
        committed=lost.offset, known_topic_id=lost.known_topic_id, next_offset=offset, log_end=log_end,
        consequence=consequence, remedy=remedy.format(endpoint=endpoint),
    )  # fmt: skip


def _report_damage(endpoint: str, partition: Partition, cause: str) -> None:
    _log.error(
        events.CURSOR_MAP_IGNORED, endpoint=endpoint, partition=str(partition), cause=cause,
        remedy="none needed: what was settled beyond the offset is delivered again",
    )  # fmt: skip


def skip_deleted_offsets(cursor: EndpointCursor, first: int) -> None:
    """Move a cursor to the first offset of its log, and log the offsets that it had not settled.

    What a deleted offset held is unknown: an event, or a marker or an aborted record of a transaction.
    """
    not_settled = cursor.not_settled_below(first)
    if not_settled:
        _log.error(
            events.RECORDS_DELETED, endpoint=cursor.endpoint, partition=str(cursor.partition),
            next_offset=cursor.position, log_start=first, offsets_lost=not_settled,
            cause="retention deleted offsets that this endpoint had not passed; how many of them held events,"
            " and not markers or aborted records of transactions, is no longer known",
            remedy="raise the topic's retention above the longest outage an endpoint may have",
        )  # fmt: skip
    cursor.advance(first)
