"""Fakes of everything around the path: the log, the group, the offsets, the dead letters, a receiver.

``Log``, ``FakeOffsets``, ``FakeParking`` and ``FakeReceiver`` outlive a process; what dies with
it is made anew by ``tests.support.path.Process``.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.decode import Decoder
from bridge.decode.again import MARK_VALUE, Mark, Resent, packed, packed_mark
from bridge.decode.plain_json import PlainJsonDecoder
from bridge.dedupe import Claim, claim
from bridge.errors import CommitError, DecodeError, KafkaUnavailable, ParkError, PlaceLostError
from bridge.history import AttemptRow
from bridge.holds import Hold, HoldKey, read_hold
from bridge.journal import Journaled, Recollection
from bridge.model import Event, Header, Partition, Record, Request, Response
from bridge.parked import Reason
from bridge.source.offsets import Committed
from bridge.source.reader import Batch, RecordsDeleted
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
            event.record, event.index = record, index
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
    """The records of every partition; ``first`` moves when retention deletes."""

    def __init__(self, *partitions: Partition) -> None:
        self.records: dict[Partition, list[Record]] = {one: [] for one in partitions or (P0,)}
        self.first: dict[Partition, int] = defaultdict(int)
        self._next: dict[Partition, int] = defaultdict(int)

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

    def add_several(self, *events: tuple[str, str, str], partition: Partition = P0) -> Record:
        """Append one record of several events (id, type, entity)."""
        documents = [{"id": id, "type": type, "entity": entity} for id, type, entity in events]
        return self.add("", partition=partition, raw=SEVERAL + json.dumps(documents).encode() + b"}")

    def resend(self, origin: Record, endpoint: str | None, again_id: str, index: int = 0) -> Record:
        """Append a record that asks for another one to be sent again."""
        return self.ask(origin, packed(Resent(origin, endpoint, again_id, index)))

    def mark(self, mark: Mark) -> Record:
        """Append the mark that ends a redrive."""
        key = mark.lane.key if isinstance(mark.lane.key, bytes) else None
        place = Partition(mark.lane.topic, mark.lane.number)
        return self.ask(Record(place, 0, 0, key, MARK_VALUE), packed_mark(mark))

    def ask(self, origin: Record, headers: tuple[Header, ...]) -> Record:
        """Append to the topic for what is sent again, beside the partition of the original."""
        partition = Partition(AGAIN.topic, origin.partition.number)
        offset = self._next[partition]
        made = Record(partition, offset, int(BEGAN_S * 1000), origin.key, origin.value, headers)
        self.records.setdefault(partition, []).append(made)
        self._next[partition] = offset + 1
        return made

    def bounds(self, partition: Partition) -> tuple[int, int]:
        return self.first[partition], self._next[partition]

    def make_anew(self, partition: Partition) -> None:
        """Delete the topic and create it again."""
        self.records[partition] = []
        self._next[partition] = self.first[partition] = 0

    def delete_below(self, partition: Partition, offset: int) -> None:
        self.first[partition] = offset
        self.records[partition] = [one for one in self.records[partition] if one.offset >= offset]


class FakeReader:
    """A member of the group (``pipeline.Reads`` and ``checkpoint.Fence``) over a ``Log``."""

    def __init__(self, log: Log, *, max_batch: int = 1000) -> None:
        self._log = log
        self._max_batch = max_batch
        self._positions: dict[Partition, int] = {}
        self.assigned: frozenset[Partition] = frozenset()
        self.epoch = 0
        self.trouble: deque[Exception] = deque()
        """Raised by the next calls, one each."""
        self.lost_place = False
        self.unanswered = 0
        """So many fences more get no answer."""
        self.fenced: list[dict[Partition, int]] = []
        self.reads_of_full: list[Collection[Partition]] = []

    def assign(self, *partitions: Partition) -> None:
        self.epoch += 1
        self.assigned = frozenset(partitions)

    async def revoke(self, drain: Callable[[], Awaitable[None]]) -> None:
        await drain()
        self.assigned = frozenset()
        self._positions.clear()

    @property
    def unprepared(self) -> frozenset[Partition]:
        return self.assigned - self._positions.keys()

    @property
    def share(self) -> float:
        return len(self.assigned) / len(self._log.records)

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        self._positions.update(positions)

    def begin_again(self) -> None:
        self._positions.clear()

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        self.reads_of_full.append(full)
        if self.trouble:
            raise self.trouble.popleft()
        batches: list[Batch] = []
        for partition, position in self._positions.items():
            if partition in full:
                continue
            first, following = self._log.bounds(partition)
            if not first <= position <= following:
                raise RecordsDeleted({partition: position})
            found = [one for one in self._log.records[partition] if one.offset >= position]
            if found:
                batches.append((partition, found[: self._max_batch]))
        await asyncio.sleep(0 if batches else timeout_s)
        mine = [(one, records) for one, records in batches if one in self._positions]
        self._positions.update({one: records[-1].offset + 1 for one, records in mine})
        return mine

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        if self.trouble:
            raise self.trouble.popleft()
        await asyncio.sleep(0)
        return {one: self._log.bounds(one) for one in partitions}

    def holds_lease(self) -> bool:
        return True

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        await asyncio.sleep(0)
        if self.lost_place:
            raise PlaceLostError("the group has moved on")
        if self.unanswered:
            self.unanswered -= 1
            raise CommitError("no answer")
        self.fenced.append(dict(lowest))


class FakeSideReader:
    """A reader beside the group (``catchup.SideReads``) over a ``Log``."""

    def __init__(self, log: Log, *, max_batch: int = 1000) -> None:
        self._log = log
        self._max_batch = max_batch
        self._positions: dict[Partition, int] = {}

    async def __aenter__(self) -> FakeSideReader:
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        self._positions = dict(positions)
        batches: list[Batch] = []
        for partition, position in self._positions.items():
            if position < self._log.first[partition]:
                self._positions = {}
                raise RecordsDeleted({partition: position})
            found = [one for one in self._log.records[partition] if one.offset >= position]
            if found:
                batches.append((partition, found[: self._max_batch]))
        await asyncio.sleep(0 if batches else timeout_s)
        self._positions.update({one: records[-1].offset + 1 for one, records in batches})
        return batches, dict(self._positions)

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        await asyncio.sleep(0)
        return {one: self._log.first[one] for one in partitions}


class FakeJournal:
    """A journal on a disk that outlives every process (``bridge.journal.Journal``)."""

    def __init__(self) -> None:
        self._segments: dict[int, list[tuple[Journaled, set[tuple[int, int]]]]] = {}
        self._number = 0

    def begin(self, cursors: Iterable[Journaled]) -> int:
        self._number += 1
        self._segments[self._number] = [(one, set()) for one in cursors]
        return self._number

    def settled(self, cursor: int, offset: int, part: int = 0) -> None:
        self._segments[self._number][cursor][1].add((offset, part))

    def forget_before(self, segment: int) -> None:
        ours = {(one.endpoint, one.partition) for one, _ in self._segments.get(segment, [])}
        for number in [number for number in self._segments if number < segment]:
            told = self._segments[number]
            self._segments[number] = [
                (one, offsets) for one, offsets in told if (one.endpoint, one.partition) not in ours
            ]

    def recall(self) -> Recollection:
        recollection = Recollection()
        for segment in self._segments.values():
            for one, spots in segment:
                recollection.add(one, spots)
        return recollection


class FakeOffsets:
    """The offsets at the broker, which outlive every process (``checkpoint.Offsets``)."""

    def __init__(self) -> None:
        self.committed: dict[tuple[str, Partition], Committed] = {}
        self.trouble: deque[str | None] = deque()
        """What happens to the next commits: None lets one through, a text refuses it."""
        self.on_commit: Callable[[str, Mapping[Partition, Committed]], None] = lambda group, offsets: None

    def at(self, endpoint: str, partition: Partition = P0) -> int | None:
        found = self.committed.get((f"g.{endpoint}", partition))
        return found.offset if found else None

    def map_of(self, endpoint: str, partition: Partition = P0) -> str:
        found = self.committed.get((f"g.{endpoint}", partition))
        return found.metadata if found else ""

    async def fetch(self, group: str, partitions: Collection[Partition]) -> dict[Partition, Committed]:
        await asyncio.sleep(0)
        return {one: self.committed[group, one] for one in partitions if (group, one) in self.committed}

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        await asyncio.sleep(0)
        why = self.trouble.popleft() if self.trouble else None
        if why is not None:
            raise CommitError(why)
        self.on_commit(group, offsets)
        self.committed.update({(group, one): committed for one, committed in offsets.items()})
        await asyncio.sleep(0)


class FakeParking:
    """The dead-letter topic; ``refusals`` is how many of the next records it does not take.

    ``pause_s`` says how long a record takes to get there, and as long its acknowledgement back.
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


class FakeRegister:
    """The holds in the control topic (``bridge.held.Register``), which outlive every process."""

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
        """What the topic says, read whole."""
        last = dict(self.written)
        return {key: hold for key, value in last.items() if (hold := read_hold(value)) is not None}


class FakeHistory:
    """Keeps the rows; stands in for ``History`` where only ``add`` is called."""

    def __init__(self) -> None:
        self.rows: list[AttemptRow] = []

    def add(self, row: AttemptRow) -> None:
        self.rows.append(row)


@dataclass
class Sent:
    """One request as the receiver saw it, and what it answered (None: not yet, or never)."""

    event_id: str
    entity: str
    request: Request
    answered: int | None = None


Answer = Callable[[Sent], Awaitable[int | Exception]]


async def _ok(_: Sent) -> int:
    return 200


@dataclass
class FakeReceiver:
    """A transport and the receiver behind it. ``answer`` may be swapped at any time."""

    answer: Answer = _ok
    sent: list[Sent] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    in_flight: list[Sent] = field(default_factory=list)
    on_send: Callable[[Sent], None] = lambda sent: None

    async def send(self, request: Request, timeout_s: float) -> Response:
        data: dict[str, Any] = json.loads(request.body)["data"]
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


class Gate:
    """Answers that wait for the test: ``open`` lets the request of an event finish with a status."""

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
    """A dedupe index that answers from the log, and only after it was made to cover the partition."""

    def __init__(self, log: Log, decoders: Mapping[str, Decoder]) -> None:
        self._log = log
        self._decoders = decoders
        self._firsts: dict[Partition, dict[tuple[int, int], int]] = {}
        self.trouble: deque[Exception] = deque()

    async def cover(self, partition: Partition, first: Record) -> None:
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble.popleft()
        known = self._firsts.setdefault(partition, {})
        for one in self._log.records[partition]:
            if one.offset < first.offset and one.value is not None:
                try:
                    claims = [claim(event) for event in self._decoders[partition.topic].decode(one)]
                except DecodeError:
                    continue
                for found in claims:
                    known.setdefault((found.key_high, found.key_low), found.offset)

    def cut(self, partition: Partition, end: int) -> None:
        if max(self._firsts.get(partition, {}).values(), default=-1) >= end:
            self._firsts[partition].clear()

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        known = self._firsts[partition]  # a KeyError: asked before it covered the partition
        for one in claims:
            key = (one.key_high, one.key_low)
            known[key] = min(one.offset, known.get(key, one.offset))
        return [known[one.key_high, one.key_low] for one in claims]
