"""The holds at the broker: records of the control topic, one per held lane.

Read whole at the beginning of an assignment, since the owner of a partition is the only one who
writes the holds of its lanes. All in partition 0, as everything in that topic. Edge floor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bridge.dead_letters.hold import DamagedHoldError, Hold, HoldKey, Holds, read_hold, read_key
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.kafka.client import PARK_TIMEOUT_MS
from bridge.kafka.client_health import Lasting
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record
from bridge.telemetry import events

_log = structlog.get_logger()
_POLL_S = 0.5


class HoldReader:
    """What the control topic says of held lanes, as far as it was read.

    An asynchronous context manager, which opens and closes ``reader``.
    """

    def __init__(self, reader: SideReader, topic: str) -> None:
        self._partition = Partition(topic, 0)
        self._reader = reader
        self._next: int | None = None
        self.holds: dict[HoldKey, Hold] = {}

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``."""
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.__aexit__(kind, exc, trace)

    async def read_to_end(self) -> None:
        """Read what the topic has up to now. Raises ``KafkaUnavailable``."""
        end = (await self._reader.ends([self._partition]))[self._partition]
        if self._next is None:
            self._next = (await self._reader.begins([self._partition]))[self._partition]
        while self._next < end:
            await self.read_on(_POLL_S)

    async def read_on(self, timeout_s: float) -> None:
        """Read what comes next, or nothing in this time. Raises ``KafkaUnavailable``."""
        assert self._next is not None, "the whole is read first"
        try:
            batches, reached = await self._reader.read_from({self._partition: self._next}, timeout_s)
        except RecordsDeleted as exc:
            raise KafkaUnavailable(f"{self._partition}: records were deleted while they were read") from exc
        for _, records in batches:
            for record in records:
                self._take(record)
        self._next = reached[self._partition]

    def _take(self, record: Record) -> None:
        key = read_key(record.key)
        if key is None:
            return
        try:
            hold = read_hold(record.value)
        except DamagedHoldError as exc:
            _log.error(
                events.HOLD_IGNORED,
                place=record.place,
                endpoint=key.endpoint,
                cause=str(exc),
                remedy="that lane is not held: see `hookferry parked list` for what of it is parked",
            )
            hold = None
        if hold is None:
            self.holds.pop(key, None)
        else:
            self.holds[key] = hold


class HoldRegister:
    """Reads the holds of an assignment into ``holds``, and writes them.

    ``endpoints`` are those that hold lanes. What an earlier configuration held for another one that
    is configured is lifted when its partition is assigned: nothing of it waits for anything any more.
    """

    def __init__(
        self,
        topic: str,
        holds: Holds,
        producer: Lasting[AIOKafkaProducer],
        open_reader: Callable[[], HoldReader],
        *,
        holding: Collection[str],
        endpoints: Collection[str],
    ) -> None:
        self._topic = topic
        self._holds = holds
        self._producer = producer
        self._open_reader = open_reader
        self._holding = frozenset(holding)
        self._continuing = frozenset(endpoints) - self._holding

    async def load(self, partitions: Collection[Partition]) -> None:
        """Make ``holds`` those of these partitions, as of now. Raises ``KafkaUnavailable``.

        After the cursors were read: a hold is written before the commit that relies on it.
        """
        async with self._open_reader() as reader:
            await reader.read_to_end()
            found = reader.holds
        ours = {key: hold for key, hold in found.items() if hold.partition in partitions}
        lifted = [key for key in ours if key.endpoint in self._continuing]
        for key in lifted:
            await self.write(key, None)
        for endpoint, number in Counter(key.endpoint for key in lifted).items():
            _log.warning(
                events.HOLDS_LIFTED,
                endpoint=endpoint,
                lanes=number,
                cause="on_park is no longer hold",
                remedy="what is parked stays so: `hookferry parked redrive` sends it, after what came since",
            )
        self._holds.begin(
            partitions, {key: one for key, one in ours.items() if key.endpoint in self._holding}
        )

    async def write(self, key: HoldKey, hold: Hold | None) -> None:
        """Return when all replicas have it. Raises ``KafkaUnavailable``."""
        value = hold.to_bytes() if hold is not None else None
        try:
            async with asyncio.timeout(PARK_TIMEOUT_MS / 1000 * 2):
                producer = await self._producer.working()
                await producer.send_and_wait(self._topic, value, key=key.to_bytes(), partition=0)
        except (KafkaError, OSError) as exc:
            raise KafkaUnavailable(
                f"topic {self._topic!r} did not take a held lane of {key.endpoint!r}: {exc!r}"
            ) from exc
