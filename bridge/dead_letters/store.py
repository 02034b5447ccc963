"""Parked events at the broker: found, fetched, sent again through ``<group>.again``, and marked as settled.

For the command, not on the path. A marker is written after what it tells has happened: a crash in
between leaves the letter waiting, and its next redrive has the same id, which the bridge knows as a
duplicate within its dedupe window. Edge floor.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.hold_topic import HoldReader
from bridge.dead_letters.letter import (
    Address,
    Errand,
    Fate,
    Letter,
    Settlement,
    Wanted,
    in_turns,
    runs,
    to_letter,
    to_settlement,
)
from bridge.errors import HookferryError, KafkaUnavailable, RecordsDeleted
from bridge.formats.resent import MARK_VALUE, packed, packed_mark
from bridge.kafka.client import KafkaOptions
from bridge.kafka.client_health import close_in_time
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import PARKED_MAX_BYTES, topic_sizes
from bridge.model import Header, Partition, Record, RedriveMark, Resend

_NEAR = 1000
"""Offsets between two letters that are cheaper to read over than to seek over."""

_LONG_POLL_MS = 20


class RedriveError(HookferryError):
    """The broker did not take everything; what it took is settled, the rest waits as before."""


class DeadLetters:
    """The dead-letter topic of a group, as an asynchronous context manager.

    Invariant: a letter is marked as redriven only after the broker has acknowledged, with all
    replicas, the record that asks for it.
    """

    def __init__(
        self, options: KafkaOptions, parked_topic: str, again_topic: str, control_topic: str
    ) -> None:
        self._options = options
        self._control = control_topic
        self._hold_reader: HoldReader | None = None
        self._parked = parked_topic
        self._again = again_topic
        self._stack = AsyncExitStack()
        self._producer: AIOKafkaProducer | None = None
        self._sizes: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``."""
        try:
            admin = AIOKafkaAdminClient(**self._options.arguments())
            self._stack.push_async_callback(close_in_time, admin.close, "close a client")
            await _start(admin.start(), self._options)
            self._sizes = await topic_sizes(admin, (self._parked, self._again, self._control))
            self._reader = await self._stack.enter_async_context(
                SideReader(self._options, long_poll_ms=_LONG_POLL_MS)
            )
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def again_partitions(self) -> int:
        """How many partitions the topic for what is sent again has; 0 when there is none."""
        return self._sizes.get(self._again, 0)

    async def find(self, wanted: Wanted) -> list[Letter]:
        """All letters that are asked for, without their values, oldest first. Raises ``KafkaUnavailable``."""
        found: dict[Address, Letter] = {}
        partitions = [Partition(self._parked, number) for number in range(self._sizes.get(self._parked, 0))]
        if not partitions:
            return []
        begins, ends = await self._reader.begins(partitions), await self._reader.ends(partitions)
        for partition in partitions:
            async for records in self._read(partition, begins[partition], ends[partition]):
                for record in records:
                    _note(record, wanted, found)
        return sorted(found.values(), key=lambda letter: (letter.parked_at_ms, letter.address))

    async def fetch(self, addresses: Collection[Address]) -> dict[Address, Letter]:
        """These letters with their values; what is not there (any more) is left out.

        Raises ``KafkaUnavailable``.
        """
        offsets: defaultdict[int, set[int]] = defaultdict(set)
        for number, offset in addresses:
            if number < self._sizes.get(self._parked, 0):
                offsets[number].add(offset)
        found: dict[Address, Letter] = {}
        for number, of_partition in offsets.items():
            partition = Partition(self._parked, number)
            begin = (await self._reader.begins([partition]))[partition]
            end = (await self._reader.ends([partition]))[partition]
            there = sorted(offset for offset in of_partition if begin <= offset < end)
            for start, stop in runs(there, _NEAR):
                async for records in self._read(partition, start, stop):
                    for record in records:
                        letter = to_letter(record) if record.offset in of_partition else None
                        if letter is not None:
                            found[letter.address] = letter
        return found

    async def redrive(self, errands: Sequence[Errand], by: str) -> int:
        """Send these again and mark their letters; how many letters that settled.

        Returns when the broker has acknowledged both. Raises ``KafkaUnavailable``, and
        ``RedriveError`` when it did not take some: those letters are waiting as before.
        """
        fetched = await self.fetch([errand.letter.address for errand in errands])
        gone = [str(one.letter.address) for one in errands if one.letter.address not in fetched]
        if gone:
            raise RedriveError(f"no longer in topic {self._parked!r}: {', '.join(gone[:10])}; run it again")
        producer = await self._producing()
        now_ms, done, refused = int(time.time() * 1000), list[tuple[Letter, Settlement]](), None
        for turn in in_turns(errands):
            outcomes = await asyncio.gather(
                *(self._resend(producer, errand, fetched[errand.letter.address]) for errand in turn),
                return_exceptions=True,
            )
            for errand, outcome in zip(turn, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    refused = refused or outcome
                    continue
                again_id = errand.letter.again_id
                done += [
                    (one, Settlement(one.address, Fate.REDRIVEN, now_ms, by, again_id=again_id))
                    for one in errand.settles
                ]
            if refused is not None:
                break  # what follows in its lane must not overtake it
        await self._mark(producer, done)
        if refused is not None:
            raise RedriveError(
                f"{len(done)} settled, then topic {self._again!r} refused: {refused}; the others still wait"
            ) from refused
        return len(done)

    async def _resend(self, producer: AIOKafkaProducer, errand: Errand, letter: Letter) -> None:
        """Return when the request to send a record again is acknowledged."""
        origin = letter.origin
        headers = packed(Resend(origin, letter.endpoint, errand.letter.again_id, letter.index, errand.round))
        await (await self._send(producer, self._again, origin.partition.number, origin, headers))

    async def end_round(self, marks: Sequence[RedriveMark]) -> None:
        """Send the marks that end a redrive of held lanes; return when they are acknowledged.

        Raises ``KafkaUnavailable``, ``RedriveError``.
        """
        producer = await self._producing()
        sent = []
        for mark in marks:
            place = Partition(mark.lane.topic, mark.lane.number)
            key = mark.lane.key if isinstance(mark.lane.key, bytes) else None
            record = Record(place, 0, 0, key, MARK_VALUE)
            sent.append(await self._send(producer, self._again, place.number, record, packed_mark(mark)))
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise RedriveError(
                    f"topic {self._again!r} did not take the end of a redrive: {outcome!r}; its lanes stay"
                    " held: run it again"
                ) from outcome

    async def holds(self) -> Mapping[HoldKey, Hold]:
        """Every held lane of the group as of now. Raises ``KafkaUnavailable``."""
        if self._control not in self._sizes:
            return {}
        if self._hold_reader is None:
            self._hold_reader = await self._stack.enter_async_context(
                HoldReader(SideReader(self._options), self._control)
            )
        await self._hold_reader.read_to_end()
        return dict(self._hold_reader.holds)

    async def news(self, timeout_s: float) -> Mapping[HoldKey, Hold]:
        """Every held lane after the next change, or after this time. Raises ``KafkaUnavailable``."""
        assert self._hold_reader is not None, "they were read before"
        await self._hold_reader.read_on(timeout_s)
        return dict(self._hold_reader.holds)

    async def forget_holds(self, keys: Collection[HoldKey]) -> None:
        """Hold these lanes no more. Raises ``KafkaUnavailable``, ``RedriveError``."""
        producer = await self._producing()
        try:
            for key in keys:
                await producer.send_and_wait(self._control, None, key=key.to_bytes(), partition=0)
        except (KafkaError, OSError) as exc:
            raise RedriveError(f"topic {self._control!r} did not take it: {exc!r}; run it again") from exc

    async def discard(self, found: Sequence[Letter], by: str, reason: str) -> int:
        """Mark letters as never to be sent; how many. Raises ``KafkaUnavailable``, ``RedriveError``."""
        now_ms = int(time.time() * 1000)
        marks = [(one, Settlement(one.address, Fate.DISCARDED, now_ms, by, reason)) for one in found]
        await self._mark(await self._producing(), marks)
        return len(marks)

    async def _mark(self, producer: AIOKafkaProducer, marks: Sequence[tuple[Letter, Settlement]]) -> None:
        """Write markers beside their letters: the same partition, the same key."""
        sent = [
            await self._send(
                producer, self._parked, one.address.number, one.origin._replace(value=None), mark.headers()
            )
            for one, mark in marks
        ]
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise RedriveError(
                    f"topic {self._parked!r} did not take a marker: {outcome!r}; the letter still shows as "
                    "waiting, and sending it again now is known as a duplicate"
                ) from outcome

    async def _send(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        number: int,
        record: Record,
        headers: Sequence[Header],
    ) -> Awaitable[object]:
        try:
            sending: Awaitable[object] = await producer.send(
                topic, record.value, record.key, partition=number, headers=list(headers)
            )
        except (KafkaError, OSError) as exc:
            raise RedriveError(f"topic {topic!r} did not take {record.place}: {exc!r}") from exc
        return sending

    async def _producing(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                **self._options.arguments(),
                acks="all",
                enable_idempotence=True,
                max_request_size=PARKED_MAX_BYTES,
            )
            self._stack.push_async_callback(close_in_time, self._producer.stop, "close a producer", 15.0)
            await _start(self._producer.start(), self._options)
        return self._producer

    async def _read(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        try:
            async for records in self._reader.stretch(partition, start, end):
                yield records
        except RecordsDeleted as exc:
            raise KafkaUnavailable(
                f"{partition}: retention deleted records while they were read; run it again"
            ) from exc


async def _start(starting: Awaitable[None], options: KafkaOptions) -> None:
    try:
        await starting
    except (KafkaError, OSError) as exc:
        servers = ",".join(options.bootstrap_servers)
        raise KafkaUnavailable(f"no broker at {servers} ({exc}); check kafka.bootstrap_servers") from exc


def _note(record: Record, wanted: Wanted, found: dict[Address, Letter]) -> None:
    """Take a record of the dead-letter topic in: a letter that is asked for, or a marker of one."""
    mark = to_settlement(record)
    if mark is not None:
        settled = found.get(mark.address)
        if settled is not None:
            settled.settlements.append(mark)
        return
    letter = to_letter(record)
    if letter is not None and wanted.matches(letter):
        letter.origin = letter.origin._replace(value=None)
        found[letter.address] = letter
