"""Turn records of ``<group>.attempts`` into rows. Pure.

Each record is kept once, compressed, and its attempts refer to it: headers and bodies are not read at all.
Invariant: a record that was written twice, and one that was read before, adds nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import log2
from operator import itemgetter
from typing import Any, NamedTuple

import cramjam
import orjson

from bridge.console.store.database import Change, Insert, Run
from bridge.console.store.series import DELIVERED, NO_ANSWER, KnownSeries
from bridge.history.batch import UnreadableBatch, read_head
from bridge.model import Partition, Record

_COLUMNS = (
    "sent_s", "answered_s", "event_id", "webhook_id", "type", "entity", "tenant", "topic", "partition",
    "offset", "appended_ms", "again_id", "attempt", "status", "verdict", "reason", "next_s", "body_bytes",
)  # fmt: skip
_ROW = (
    "id", "sent_ms", "series", "batch", "entry", "took_ms", "event_id", "webhook_id", "entity", "attempt",
    "reason", "next_ms", "place", "appended_ms", "body_bytes", "again_id",
)  # fmt: skip
_BATCH = ("id", "part", "place", "endpoint", "first_ms", "last_ms", "first_id", "value")
_SERIES = ("id", "endpoint", "type", "tenant", "status", "verdict")
_MINUTES = (
    "INSERT INTO minutes VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, minute) DO UPDATE"
    " SET attempts = minutes.attempts + excluded.attempts, delivered = minutes.delivered + excluded.delivered"
)
_LATENCIES = (
    "INSERT INTO latencies VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, minute, bucket) DO UPDATE"
    " SET number = latencies.number + excluded.number"
)
_BUCKETS_PER_DOUBLE = 4
_MOST_WRITERS = 500
_MOST_TEXT = 1000


def bucket_of(latency_ms: float) -> int:
    """Return the bucket of a latency: each is 19 % wider than the one before."""
    return int(log2(max(1.0, latency_ms)) * _BUCKETS_PER_DOUBLE)


def latency_s(bucket: int) -> float:
    """Return the latency in the middle of a bucket, in seconds."""
    return float(2 ** ((bucket + 0.5) / _BUCKETS_PER_DOUBLE)) / 1000


class IntakeState(NamedTuple):
    """What the position of the topic has: next offsets, the next ids, and the last numbers of writers.

    Retries of a write follow each other, so the last number of each writer in a partition recognizes a
    repetition. Partitions are read in any order, and an endpoint moves to another if the topic gets more.
    """

    offsets: dict[int, int]
    next_id: int = 0
    next_batch: int = 0
    writers: Mapping[str, int] = {}

    def to_text(self) -> str:
        """Return it as JSON."""
        return orjson.dumps(self._asdict(), option=orjson.OPT_NON_STR_KEYS).decode()

    @classmethod
    def read(cls, text: str) -> IntakeState:
        """Return what ``to_text`` wrote."""
        document = orjson.loads(text)
        offsets = {int(number): offset for number, offset in document["offsets"].items()}
        return cls(offsets, document["next_id"], document["next_batch"], document["writers"])


class Intake(NamedTuple):
    """The changes of some records, the state after them, and the records that are no attempts."""

    changes: list[Change]
    state: IntakeState
    attempts: int
    unreadable: dict[str, str]


class _Rows:
    """The rows of one intake, as they grow."""

    def __init__(self, state: IntakeState, series: KnownSeries) -> None:
        self.series = series
        self.next_id, self.next_batch = state.next_id, state.next_batch
        self.batches: list[tuple[Any, ...]] = []
        self.attempts: list[tuple[Any, ...]] = []
        self.minutes: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        self.latencies: Counter[tuple[str, int, int]] = Counter()
        self._getters: dict[tuple[str, ...], itemgetter[Any]] = {}

    def add(
        self, record: Record, endpoint: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Add the attempts of a record. Raises ``UnreadableBatch``."""
        getter = self._getters.get(columns)
        if getter is None:
            try:
                getter = itemgetter(*(columns.index(name) for name in _COLUMNS))
            except ValueError as exc:
                raise UnreadableBatch("an attempt lacks a column") from exc
            self._getters[columns] = getter
        first_id, kept, batch = self.next_id, list[tuple[Any, ...]](), self.next_batch
        last_ms = first_ms = 0
        for entry, row in enumerate(rows):
            (
                sent_s, answered_s, event_id, webhook_id, type_, entity, tenant, topic, partition, offset,
                appended_ms, again_id, attempt, status, verdict, reason, next_s, body_bytes,
            ) = getter(row)  # fmt: skip
            sent_ms = int(sent_s * 1000)
            answered_ms = int(answered_s * 1000)
            last_ms = max(last_ms, answered_ms)
            first_ms = min(first_ms or sent_ms, sent_ms)
            series = self.series.id_of((endpoint, type_, tenant or "", status or NO_ANSWER, verdict))
            kept.append(
                (
                    first_id + entry, sent_ms, series, batch, entry, answered_ms - sent_ms, event_id,
                    webhook_id, entity, attempt, reason[:_MOST_TEXT],
                    None if next_s is None else int(next_s * 1000), f"{topic}-{partition}@{offset}",
                    int(appended_ms), body_bytes, again_id,
                )
            )  # fmt: skip
            minute = answered_ms // 60_000
            counts = self.minutes[endpoint, minute]
            counts[0] += 1
            if verdict == DELIVERED:
                counts[1] += 1
                self.latencies[endpoint, minute, bucket_of(answered_ms - appended_ms)] += 1
        value = bytes(cramjam.zstd.compress(record.value or b"", 1))
        self.batches.append(
            (batch, record.partition.number, record.offset, endpoint, first_ms, last_ms, first_id, value)
        )
        self.attempts += kept
        self.next_id += len(kept)
        self.next_batch += 1

    def changes(self) -> list[Change]:
        """Return what is to be written."""
        counted = [(*key, *counts) for key, counts in self.minutes.items()]
        latencies = [(*key, number) for key, number in self.latencies.items()]
        return [
            Insert("series", _SERIES, self.series.added),
            Insert("batches", _BATCH, self.batches),
            Insert("attempts", _ROW, self.attempts),
            Run(_MINUTES, sorted(counted)),
            Run(_LATENCIES, sorted(latencies)),
        ]


def take_in(records: Sequence[Record], state: IntakeState, series: KnownSeries) -> Intake:
    """Return the rows of records, in the order in which each partition has them.

    ``series`` gets the new combinations. Use it again only if the changes were applied.
    """
    rows, unreadable = _Rows(state, series), dict[str, str]()
    offsets, writers = dict(state.offsets), dict(state.writers)
    for record in records:
        number = record.partition.number
        if record.offset < offsets.get(number, 0):
            continue
        offsets[number] = record.offset + 1
        try:
            if record.damage is not None:
                raise UnreadableBatch(record.damage.cause)
            writer, _, columns, values, _ = read_head(record.value)
            name = f"{number}/{writer.process}/{writer.endpoint}"
            if writers.get(name, -1) >= writer.number:
                continue
            rows.add(record, writer.endpoint, columns, values)
        except UnreadableBatch as exc:
            unreadable[record.place] = str(exc)
            continue
        except (TypeError, ValueError, AttributeError) as exc:
            unreadable[record.place] = f"a value of it has another type ({exc})"
            continue
        writers.pop(name, None)
        writers[name] = writer.number  # the newest at the end
    for name in list(writers)[: max(0, len(writers) - _MOST_WRITERS)]:
        del writers[name]
    after = IntakeState(offsets, rows.next_id, rows.next_batch, writers)
    return Intake(rows.changes(), after, len(rows.attempts), unreadable)


def unpacked(value: bytes, topic: str, number: int, offset: int) -> Record:
    """Return the record that a row of ``batches`` has."""
    return Record(Partition(topic, number), offset, 0, None, bytes(cramjam.zstd.decompress(value)), ())
