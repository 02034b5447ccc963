"""Fakes of everything around the path: the log and its events, dead letters, holds, a receiver.

``Log``, ``FakeParking``, ``FakeRegister`` and ``FakeReceiver`` outlive a process; the rest is
created by ``tests.support.path.Process``.
"""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.core.dedupe import Claim, claims_of
from bridge.core.verdict import Judgement
from bridge.dead_letters.hold import Hold, HoldKey, read_hold
from bridge.dead_letters.topic import Reason
from bridge.errors import DecodeError, KafkaUnavailable, ParkError
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.formats.resent import MARK_VALUE, packed, packed_mark
from bridge.history.attempt import Attempt
from bridge.history.pool import size_of
from bridge.history.row import Row
from bridge.model import Damage, Event, Header, Partition, Record, RedriveMark, Request, Resend, Response
from bridge.pipeline.ports import RecordDecoder
from tests.support.attempts import attempt_of
from tests.support.simulated import BEGAN_S

TOPIC = "orders"
AGAIN = Partition("g.again", 0)
P0 = Partition(TOPIC, 0)
P1 = Partition(TOPIC, 1)


class SplittingDecoder:
    """One event per record, or the events of ``{"several": [...]}``, each in the lane of its entity."""

    def __init__(self) -> None:
        self._one = PlainJsonDecoder("orders", id="id", type="type", entity="entity", max_value_bytes=10_000)

    def decode(self, record: Record) -> tuple[Event, ...]:
        if not (record.value or b"").startswith(SEVERAL):
            return self._one.decode(record)
        found = []
        for index, document in enumerate(json.loads(record.value or b"")["several"], start=1):
            part = record._replace(value=json.dumps(document).encode(), key=document["entity"].encode())
            (event,) = self._one.decode(part)
            event.record, event.index, event.first = record, index, found[0] if found else None
            found.append(event)
        return tuple(found)


SEVERAL = b'{"several": '
DECODER = SplittingDecoder()


def value(id: str, type: str = "Created", entity: str | None = "e1") -> bytes:
    return json.dumps({"id": id, "type": type, "entity": entity}).encode()


def record(
    id: str, offset: int = 0, *, partition: Partition = P0, type: str = "Created", entity: str = "e1"
) -> Record:
    return Record(partition, offset, int(BEGAN_S * 1000), entity.encode(), value(id, type, entity))


def event(id: str, offset: int = 0, *, entity: str = "e1", type: str = "Created") -> Event:
    return DECODER.decode(record(id, offset, entity=entity, type=type))[0]


class Log:
    """The records of every partition; ``first`` moves when retention deletes.

    A transaction may be open in a partition; one producer writes each partition, so its records follow.
    """

    def __init__(self, *partitions: Partition) -> None:
        self.records: dict[Partition, list[Record]] = {one: [] for one in partitions or (P0,)}
        self.first: dict[Partition, int] = defaultdict(int)
        self._next: dict[Partition, int] = defaultdict(int)
        self._stable: dict[Partition, int] = {}
        self.has_topic_ids = True
        self._incarnations: dict[str, int] = defaultdict(int)

    async def look(self, topics: Collection[str]) -> dict[str, str | None] | None:
        """Return the ids of those of these topics that exist (``topic_watch.Look``)."""
        if not self.has_topic_ids:
            return None
        existing = {partition.topic for partition in self.records}
        return {topic: self.topic_id(topic) for topic in topics if topic in existing}

    def topic_id(self, topic: str) -> str:
        """Return the id of a topic as it is now."""
        number = self._incarnations[topic] + 1
        return urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")

    def add(
        self,
        id: str,
        *,
        entity: str = "e1",
        type: str = "Created",
        partition: Partition = P0,
        raw: bytes | None = b"",
        gap: int = 0,
    ) -> Record:
        """Append an event, or ``raw`` bytes (None: a tombstone), ``gap`` offsets further on."""
        offset = self._next[partition] + gap
        made = record(id, offset, partition=partition, type=type, entity=entity)
        if raw != b"":
            made = made._replace(value=raw)
        self.records[partition].append(made)
        self._next[partition] = offset + 1
        return made

    def add_damaged(self, offsets: int = 1, *, partition: Partition = P0) -> Record:
        """Append what takes the place of a batch with so many offsets that no client can read."""
        first = self._next[partition]
        damage = Damage("no record", "write it again", first + offsets, "batch")
        made = Record(partition, first, int(BEGAN_S * 1000), None, b"raw", (), damage)
        self.records[partition].append(made)
        self._next[partition] = made.end
        return made

    def add_several(self, *events: tuple[str, str, str], partition: Partition = P0) -> Record:
        """Append one record of several events (id, type, entity)."""
        documents = [{"id": id, "type": type, "entity": entity} for id, type, entity in events]
        return self.add("", partition=partition, raw=SEVERAL + json.dumps(documents).encode() + b"}")

    def resend(self, origin: Record, endpoint: str | None, again_id: str, index: int = 0) -> Record:
        """Append a request to send a record again."""
        return self.ask(origin, packed(Resend(origin, endpoint, again_id, index)))

    def mark(self, mark: RedriveMark) -> Record:
        """Append the mark that ends a redrive."""
        key = mark.lane.key if isinstance(mark.lane.key, bytes) else None
        place = Partition(mark.lane.topic, mark.lane.number)
        return self.ask(Record(place, 0, 0, key, MARK_VALUE), packed_mark(mark))

    def ask(self, origin: Record, headers: tuple[Header, ...]) -> Record:
        """Append to ``<group>.again``, in the partition of the original."""
        partition = Partition(AGAIN.topic, origin.partition.number)
        offset = self._next[partition]
        made = Record(partition, offset, int(BEGAN_S * 1000), origin.key, origin.value, headers)
        self.records.setdefault(partition, []).append(made)
        self._next[partition] = offset + 1
        return made

    def add_unreadable(self, offsets: int = 1, partition: Partition = P0) -> None:
        """Append offsets without a readable record: markers and aborted records of transactions."""
        self._next[partition] += offsets

    def begin_transaction(self, partition: Partition = P0) -> None:
        """Make nothing readable from here on: the last stable offset stays until ``end_transaction``."""
        self._stable[partition] = self._next[partition]

    def end_transaction(self, partition: Partition = P0, *, commit: bool) -> None:
        """Make the records since ``begin_transaction`` readable, or remove them; append the marker."""
        began = self._stable.pop(partition)
        if not commit:
            self.records[partition] = [one for one in self.records[partition] if one.offset < began]
        self.add_unreadable(partition=partition)

    def readable(self, partition: Partition, position: int) -> list[Record]:
        """Return the records from a position to the last stable offset."""
        end = self.bounds(partition)[1]
        return [one for one in self.records[partition] if position <= one.offset < end]

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset and the last stable offset, as a client that reads committed records."""
        return self.first[partition], self._stable.get(partition, self._next[partition])

    def recreate(self, partition: Partition) -> None:
        """Delete the topic and create it again."""
        self.records[partition] = []
        self._next[partition] = self.first[partition] = 0
        self._incarnations[partition.topic] += 1

    def delete_below(self, partition: Partition, offset: int) -> None:
        self.first[partition] = offset
        self.records[partition] = [one for one in self.records[partition] if one.offset >= offset]


class FakeParking:
    """The dead-letter topic; it refuses the next ``refusals`` records.

    ``pause_s`` returns how long a write takes, and then its acknowledgment as well.
    """

    def __init__(self) -> None:
        self.parked: list[tuple[Record, Reason]] = []
        self.refusals = 0
        self.pause_s: Callable[[], float] = float

    async def park(self, record: Record, reason: Reason) -> None:
        await asyncio.sleep(self.pause_s())
        if self.refusals:
            self.refusals -= 1
            raise ParkError("the dead-letter topic is away")
        self.parked.append((record, reason))
        await asyncio.sleep(self.pause_s())


class FakeParkedRecords:
    """What ``ParkedBefore`` reads from the dead-letter topic; these letters are never redriven."""

    def __init__(self, parking: FakeParking) -> None:
        self._parking = parking

    async def contains(self, record: Record) -> bool:
        await asyncio.sleep(0)
        return any(one.place == record.place for one, reason in self._parking.parked if not reason.endpoint)

    def add(self, record: Record) -> None:
        return

    def forget(self) -> None:
        return


class FakeRegister:
    """The holds in the control topic (``Register`` of lane_holds), which outlive every process."""

    def __init__(self) -> None:
        self.written: list[tuple[HoldKey, bytes | None]] = []
        self.refusals = 0
        self.pause_s: Callable[[], float] = float

    async def write(self, key: HoldKey, hold: Hold | None) -> None:
        await asyncio.sleep(self.pause_s())
        if self.refusals:
            self.refusals -= 1
            raise KafkaUnavailable("the control topic is away")
        self.written.append((key, hold.to_bytes() if hold else None))
        await asyncio.sleep(self.pause_s())

    async def read(self) -> dict[HoldKey, Hold]:
        await asyncio.sleep(self.pause_s())
        return self.now

    @property
    def now(self) -> dict[HoldKey, Hold]:
        """The holds in the topic."""
        last = dict(self.written)
        return {key: hold for key, value in last.items() if (hold := read_hold(value)) is not None}


class FakeHistory:
    """Keeps the attempts; replaces ``History`` and its streams where nothing is written."""

    def __init__(self) -> None:
        self.rows: list[Attempt] = []

    def stream(self, endpoint: str) -> FakeHistory:
        return self

    def add(self, attempt: Row) -> None:
        named = attempt_of(attempt)
        assert attempt[-1] == size_of(named)
        self.rows.append(named)

    def add_all(self, attempts: Sequence[Row]) -> None:
        for attempt in attempts:
            self.add(attempt)


@dataclass
class Sent:
    """One request as the receiver got it, and the status it answered (None: not yet, or never)."""

    event_id: str
    entity: str
    request: Request
    answered: int | None = None


Answer = Callable[[Sent], Awaitable[int | Exception]]


async def _ok(_: Sent) -> int:
    return 200


@dataclass
class FakeReceiver:
    """A transport and its receiver. ``answer`` may be replaced at any time."""

    answer: Answer = _ok
    sent: list[Sent] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    in_flight: list[Sent] = field(default_factory=list)
    on_send: Callable[[Sent], None] = lambda sent: None

    async def send(self, request: Request, timeout_s: float) -> Response:
        body = json.loads(request.body)
        data: dict[str, Any] = body["data"] or {"id": body["type"], "entity": body.get("entity", "")}
        sent = Sent(data["id"], data["entity"], request)
        self.on_send(sent)
        self.sent.append(sent)
        self.in_flight.append(sent)
        try:
            found = await self.answer(sent)
        finally:
            self.in_flight.remove(sent)
        if isinstance(found, Exception):
            raise found
        sent.answered = found
        if 200 <= found < 300:
            self.delivered.append(sent.event_id)
        return Response(found, (), b"")

    async def close(self) -> None:
        return

    @property
    def ids(self) -> list[str]:
        return [sent.event_id for sent in self.sent]


class HeldAnswers:
    """Answers that wait for the test: ``open`` answers the request of an event with a status."""

    def __init__(self, *held: str) -> None:
        self._held: dict[str, asyncio.Future[int]] = {}
        self._ids = set(held)

    async def __call__(self, sent: Sent) -> int:
        if sent.event_id not in self._ids:
            return 200
        self._held[sent.event_id] = asyncio.get_running_loop().create_future()
        return await self._held[sent.event_id]

    def open(self, event_id: str, status: int = 200) -> None:
        self._ids.discard(event_id)
        self._held.pop(event_id).set_result(status)


class FakeWindow:
    """A dedupe index over the log; it must cover a partition before it is used."""

    def __init__(self, log: Log, decoders: Mapping[str, RecordDecoder]) -> None:
        self._log = log
        self._decoders = decoders
        self._firsts: dict[Partition, dict[tuple[int, int], Claim]] = {}
        self._topic_ids: dict[Partition, str] = {}
        self.trouble: deque[Exception] = deque()
        self.asked_at_ms: list[int] = []
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    async def cover(self, partition: Partition, reader_at: int, at_ms: int) -> None:
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble.popleft()
        known = self._firsts.setdefault(partition, {})
        for one in self._log.records[partition]:
            if one.offset < reader_at:
                try:
                    claims = claims_of([(one, self._decoders[partition.topic].decode(one))])
                except DecodeError:
                    continue
                for found in claims:
                    known.setdefault((found.key_high, found.key_low), found)

    def cut(self, partition: Partition, end: int, topic_id: str | None) -> None:
        if topic_id is not None and self._topic_ids.setdefault(partition, topic_id) != topic_id:
            self._topic_ids[partition] = topic_id
            self._firsts.pop(partition, None)
        if max((first.offset for first in self._firsts.get(partition, {}).values()), default=-1) >= end:
            self._firsts[partition].clear()

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[Claim]:
        self.asked_at_ms.append(at_ms)
        known = self._firsts[partition]  # KeyError: used before it covered the partition
        for one in claims:
            key = (one.key_high, one.key_low)
            if key not in known or known[key].offset > one.offset:
                known[key] = one
        return [known[one.key_high, one.key_low] for one in claims]


def as_judged(delivery: object, judgement: Judgement) -> Judgement:
    """Plan a retry for every failed attempt (``bridge.pipeline.attempt.PlanRetry``)."""
    return judgement
