"""Replays as jobs: what one selects, which offsets it covers, and how far it is. Pure.

A replay sends a part of the log to one endpoint again, with a temporary cursor per partition. Invariant: its
offsets are fixed when it is created, so every process decides alike whether it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from bridge.core import completion_map
from bridge.core.dedupe import Stretch
from bridge.core.jobs import DamagedJobError, Job, JobKind, JobState
from bridge.model import Committed, Event, Partition

MARK = "replay-"
"""The cursors of a replay are offsets of the group ``<group>.<endpoint>.replay-<id>``."""


class UnusableReplayError(ValueError):
    """A job that this release cannot carry out: one of its filters is of a newer release, or not valid."""


class Condition(Protocol):
    """A content filter (``bridge.core.filter.Filter``)."""

    def matches(self, event: Event) -> bool:
        """Return True if the event passes. Raises ``FilterError`` and ``DecodeError``."""
        ...


class ReplayQuery(NamedTuple):
    """What a replay sends, of what its endpoint selects.

    ``since`` and ``until`` are RFC 3339 instants; they are compared with the timestamps of the records, and
    an ``until`` of None is the end of the log at the start. ``types`` are patterns, as in an endpoint's
    ``events``. ``entity`` is the id of an entity, ``when`` a filter, and ``topics`` are names; empty: all.
    With ``new_id``, each event gets another webhook-id, so that a receiver does not drop it as a repetition.
    """

    since: str
    until: str | None = None
    types: tuple[str, ...] = ()
    entity: str | None = None
    when: str | None = None
    topics: tuple[str, ...] = ()
    new_id: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what is set, as the JSON values of a job's ``query``."""
        return {name: value for name, value in self._asdict().items() if value not in (None, (), False)}

    @classmethod
    def of(cls, job: Job) -> ReplayQuery:
        """Read the query of a job. Raises ``UnusableReplayError`` for a filter that it would leave out."""
        query = job.query
        if unknown := sorted(query.keys() - set(cls._fields)):
            raise UnusableReplayError(f"this release has no filter {', '.join(unknown)}")
        return cls(
            str(query["since"]),
            query.get("until"),
            tuple(query.get("types", ())),
            query.get("entity"),
            query.get("when"),
            tuple(query.get("topics", ())),
            bool(query.get("new_id", False)),
        )


class ReplaySelection:
    """Decides which events are sent: what the endpoint's filter and the replay's query both select."""

    def __init__(self, query: ReplayQuery, *conditions: Condition) -> None:
        """``conditions``: the filter of the endpoint, if it has one, and that of the replay."""
        self._types = query.types
        self._entity = query.entity
        self._conditions = conditions

    def matches(self, event: Event) -> bool:
        """Return True if the event is replayed. Raises ``FilterError`` and ``DecodeError``."""
        if self._types and not any(fnmatchcase(event.type, pattern) for pattern in self._types):
            return False
        if self._entity is not None and event.entity != self._entity:
            return False
        return all(condition.matches(event) for condition in self._conditions)


Stretches = Mapping[Partition, Stretch]
"""What a replay reads of each partition, by offset."""


def to_position(stretches: Stretches, topic_ids: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the ``position`` of a job: its offsets, and the ids of the topics that have one."""
    rows = [[*partition, *stretch] for partition, stretch in sorted(stretches.items())]
    topics = {partition.topic for partition in stretches}
    known = {topic: topic_id for topic in sorted(topics) if (topic_id := topic_ids.get(topic)) is not None}
    return {"stretches": rows, "topic_ids": known}


def stretches_of(job: Job) -> dict[Partition, Stretch]:
    """Return what the job reads of each partition."""
    rows = job.position.get("stretches", ())
    return {Partition(topic, number): Stretch(start, end) for topic, number, start, end in rows}


def check_replay(job: Job) -> None:
    """Raise ``DamagedJobError`` for a job whose fields are not what a replay has."""
    texts = (job.endpoint, job.created, job.changed, job.by)
    rate = job.rate_per_s
    sound = all(isinstance(text, str) for text in texts) and isinstance(job.position, dict)
    if not sound or not (rate is None or (isinstance(rate, int | float) and rate > 0)):
        raise DamagedJobError("it is no replay of this release")
    try:
        for (topic, number), (start, end) in stretches_of(job).items():
            if not isinstance(topic, str) or not number >= 0 or not 0 <= int(start) < int(end):
                raise DamagedJobError("its offsets are none of a replay")
        recreated_topic(job, {})
    except (TypeError, ValueError, AttributeError) as exc:
        raise DamagedJobError("its offsets are none of a replay") from exc


def recreated_topic(job: Job, topic_ids: Mapping[str, str | None]) -> str | None:
    """Return a topic that was deleted and created again since the job was created; None if none was."""
    for topic, known in job.position.get("topic_ids", {}).items():
        current = topic_ids.get(topic)
        if topic in topic_ids and current not in (None, known):
            return str(topic)
    return None


def group_of(group: str, job: Job) -> str:
    """Return the consumer group that has the cursors of a replay."""
    return f"{group}.{job.endpoint}.{MARK}{job.id}"


def mark_of(job: Job) -> str:
    """Return the name of a replay in the history and in dead letters."""
    return f"{MARK}{job.id}"


def runs(job: Job) -> bool:
    """Return True if the bridges carry this job out now."""
    return job.kind is JobKind.REPLAY and job.state is JobState.RUNNING and bool(job.position)


class ReplayProgress(NamedTuple):
    """How far a replay is, in offsets: not each one holds an event that it selects."""

    settled: int
    total: int
    open_partitions: tuple[Partition, ...]

    @property
    def done(self) -> bool:
        """Return True if nothing is left."""
        return not self.open_partitions

    def seconds_left(self, settled_before: int, elapsed_s: float) -> float | None:
        """Return an estimate from what was settled in ``elapsed_s``; None if nothing was."""
        settled = self.settled - settled_before
        return (self.total - self.settled) * elapsed_s / settled if settled > 0 and elapsed_s > 0 else None


def progress_of(stretches: Stretches, committed: Mapping[Partition, Committed]) -> ReplayProgress:
    """Return how far a replay is, by the commits of its group."""
    settled = 0
    still_open = []
    for partition, (start, end) in stretches.items():
        at = committed.get(partition)
        if at is None or at.offset < end:
            still_open.append(partition)
        if at is not None:
            settled += min(max(_settled_below(at, end) - start, 0), end - start)
    total = sum(end - start for start, end in stretches.values())
    return ReplayProgress(settled, total, tuple(still_open))


def _settled_below(at: Committed, end: int) -> int:
    """Return the committed offset, and what is settled beyond it counted as if it followed at once."""
    try:
        done = completion_map.decode(*at)
    except completion_map.DamagedMapError:
        return at.offset
    reached = min(done.end, end)
    return reached - sum(offset < reached for offset in done.open_offsets)


def as_new(events: Iterable[Event], job_id: str) -> None:
    """Give events a webhook-id that depends on the job: the same after a restart, another in each replay."""
    for event in events:
        text = f"{job_id} {event.webhook_id}"
        event.webhook_id = f"{MARK}{job_id}-{blake2b(text.encode(), digest_size=16).hexdigest()}"
