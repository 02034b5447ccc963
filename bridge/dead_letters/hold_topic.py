"""The holds at the broker: one record per held lane in ``<group>.control``.

They are read from the first offset at each assignment. The owner of a partition is the only one
that writes the holds of its lanes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

import structlog

from bridge.dead_letters.hold import DamagedHoldError, Hold, HoldKey, Holds, read_hold, read_key
from bridge.dead_letters.topic import RecordWriter
from bridge.errors import BrokerError, KafkaUnavailable, RecordsDeleted, RecordTooLarge
from bridge.kafka.control_reader import ControlReader
from bridge.kafka.producer import NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog

_log = structlog.get_logger()


class HoldReader:
    """The held lanes according to the control topic, up to the position that was read.

    An asynchronous context manager, which opens and closes ``reader``.
    """

    def __init__(self, reader: SideReader, topic: str) -> None:
        self._topic = topic
        self._control = ControlReader(reader, topic, self._apply, None)
        self.holds: dict[HoldKey, Hold] = {}
        self._sparse_log = SparseLog()

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``."""
        await self._control.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._control.__aexit__(kind, exc, trace)

    async def read_to_end(self) -> None:
        """Read every hold that is in the topic now. Raises ``KafkaUnavailable``."""
        try:
            await self._control.read_to_end()
        except RecordsDeleted as exc:
            raise self._deleted() from exc

    async def read_on(self, timeout_s: float) -> None:
        """Read the next records, if any come within this time. Raises ``KafkaUnavailable``."""
        try:
            await self._control.read_on(timeout_s)
        except RecordsDeleted as exc:
            raise self._deleted() from exc

    def _deleted(self) -> KafkaUnavailable:
        return KafkaUnavailable(
            f"cannot read the holds: records of topic {self._topic!r} were deleted meanwhile; try again"
        )

    def _apply(self, record: Record) -> None:
        key = read_key(record.key)
        if key is None:
            return
        try:
            hold = read_hold(record.value)
        except DamagedHoldError as exc:
            self._sparse_log.error(
                events.HOLD_IGNORED,
                place=record.place,
                endpoint=key.endpoint,
                cause=str(exc),
                remedy="the lane is not held; see `hookferry parked list` for its parked events",
            )
            hold = None
        if hold is None:
            self.holds.pop(key, None)
        else:
            self.holds[key] = hold


class HoldRegister:
    """Loads the holds of an assignment into ``holds``, and writes changes to the topic.

    ``holding`` are the endpoints with ``on_park: hold``, ``endpoints`` all that are configured. A hold
    of a configured endpoint that no longer holds lanes is lifted when its partition is assigned.
    """

    def __init__(
        self,
        topic: str,
        holds: Holds,
        producer: RecordWriter,
        open_reader: Callable[[], HoldReader],
        *,
        holding: Collection[str],
        endpoints: Collection[str],
    ) -> None:
        self._topic = topic
        self._holds = holds
        self._producer = producer
        self._open_reader = open_reader
        self._holding = self._not_holding = frozenset[str]()
        self.adopt(holding, endpoints)

    def adopt(self, holding: Collection[str], endpoints: Collection[str]) -> None:
        """Read the holds of these endpoints from now on; ``load_for`` those that are added."""
        self._holding = frozenset(holding)
        self._not_holding = frozenset(endpoints) - self._holding

    async def load_for(self, endpoints: Collection[str], partitions: Collection[Partition]) -> None:
        """Add the holds of endpoints that deliver nothing yet. Raises ``KafkaUnavailable``.

        The other endpoints keep theirs: they may change while this reads.
        """
        async with self._open_reader() as reader:
            await reader.read_to_end()
        for key, hold in reader.holds.items():
            if key.endpoint in endpoints and hold.partition in partitions:
                self._holds.put(key.endpoint, hold.lane, hold)

    async def load(self, partitions: Collection[Partition]) -> None:
        """Replace ``holds`` by those of these partitions, as of now. Raises ``KafkaUnavailable``.

        Call it after the cursors were read, and before the first delivery. The owner before wrote a
        hold first and then committed the offset that relies on it, so every cursor's holds are found.
        """
        async with self._open_reader() as reader:
            await reader.read_to_end()
            loaded = {key: hold for key, hold in reader.holds.items() if hold.partition in partitions}
        lifted = [key for key in loaded if key.endpoint in self._not_holding]
        for key in lifted:
            await self.write(key, None)
        for endpoint, number in Counter(key.endpoint for key in lifted).items():
            _log.warning(
                events.HOLDS_LIFTED,
                endpoint=endpoint,
                lanes=number,
                cause="on_park is no longer hold",
                remedy="parked events stay parked; `hookferry parked redrive` sends them, after newer ones",
            )
        self._holds.begin(
            partitions, {key: hold for key, hold in loaded.items() if key.endpoint in self._holding}
        )

    async def write(self, key: HoldKey, hold: Hold | None) -> None:
        """Return once all replicas have the hold, or its deletion (None). Raises ``KafkaUnavailable``."""
        value = hold.to_bytes() if hold is not None else None
        try:
            await self._producer.write(NewRecord(self._topic, value, key.to_bytes(), 0))
        except RecordTooLarge:
            raise  # it names the limit of the topic and how to raise it
        except BrokerError as exc:
            raise KafkaUnavailable(f"cannot write a held lane of {key.endpoint!r}: {exc}") from exc
