"""The control topic: which endpoints and event types are on or off, for every pod and over every restart.

``<group>.control`` is compacted and holds one record per one that was ever switched. Every pod
follows it, so a change made anywhere reaches all of them within a second. Edge floor: a consumer
without a group, and a producer that is opened for a write alone, since writes are rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bridge.core.switches import (
    DamagedSwitchError,
    EventTypes,
    Subject,
    Switch,
    Switches,
    key_of,
    read_switch,
    subject_of,
)
from bridge.errors import KafkaUnavailable, RecordsDeleted
from bridge.kafka.client import KafkaOptions
from bridge.kafka.client_health import close_in_time
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record
from bridge.telemetry import events

_log = structlog.get_logger()
_POLL_S = 0.5
_TROUBLE_S = 1.0
_WRITE_MS = 10_000


class Control:
    """Keeps the switches of endpoints and of event types as the topic says, and writes what is to be changed.

    All records are in partition 0, whatever else the topic has, so that they have one order: the
    last one written holds, for all pods alike.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topic: str,
        switches: Switches[str],
        event_types: Switches[EventTypes],
        who: str,
    ) -> None:
        self._options = options
        self._partition = Partition(topic, 0)
        self._switches = switches
        self._event_types = event_types
        self._who = who
        self._next = 0
        self._unwritten: dict[str, Switch] = {}
        self._to_write = asyncio.Event()
        self._failing = False

    async def load_when_there(self) -> None:
        """``load``, tried until it worked: a topic just made may have no leader yet."""
        while True:
            try:
                await self.load()
            except KafkaUnavailable as exc:
                self._fails(exc, "waiting for it: deliveries begin when it is known which endpoints are off")
                await asyncio.sleep(_TROUBLE_S)
            else:
                self._works()
                return

    async def load(self) -> None:
        """Read what the topic holds up to now; only the last state of each counts.

        Raises ``KafkaUnavailable``.
        """
        found: dict[Subject, Switch] = {}
        async with SideReader(self._options) as reader:
            self._next = (await reader.begins([self._partition]))[self._partition]
            end = (await reader.ends([self._partition]))[self._partition]
            while self._next < end:
                await self._read(reader, found.__setitem__)
        for subject, switch in found.items():
            self._put(subject, switch)

    def _put(self, subject: Subject, switch: Switch) -> None:
        if isinstance(subject, EventTypes):
            self._event_types.put(subject, switch)
        else:
            self._switches.put(subject, switch)

    async def follow(self) -> None:
        """Take in every change from there on, for as long as the bridge lives."""
        while True:
            try:
                async with SideReader(self._options) as reader:
                    while True:
                        await self._read(reader, self._put)
                        self._works()
            except KafkaUnavailable as exc:
                self._fails(exc, "none needed: a change is seen once the broker answers")
                await asyncio.sleep(_TROUBLE_S)

    async def _read(self, reader: SideReader, put: Callable[[Subject, Switch], None]) -> None:
        try:
            batches, reached = await reader.read_from({self._partition: self._next}, _POLL_S)
        except RecordsDeleted:
            self._next = (await reader.begins([self._partition]))[self._partition]
            return
        for _, records in batches:
            for record in records:
                self._take(record, put)
        self._next = reached[self._partition]

    def _take(self, record: Record, put: Callable[[Subject, Switch], None]) -> None:
        subject = subject_of(record.key)
        if subject is None:
            return  # a newer release's
        try:
            put(subject, read_switch(record.value))
        except DamagedSwitchError as exc:
            is_types = isinstance(subject, EventTypes)
            what, command = ("event_types", "events") if is_types else ("endpoint", "endpoints")
            _log.error(
                events.CONTROL_IGNORED,
                place=record.place,
                **{what: str(subject)},
                cause=str(exc),
                remedy=f"it stays as it was; say it again with `hookferry {command} on` or `off`",
            )

    def turn_off(self, endpoint: str, reason: str) -> None:
        """Turn an endpoint off: here at once, everywhere as soon as ``write_down`` has written it."""
        switch = self.switch(False, reason)
        self._switches.put(endpoint, switch)
        self._unwritten[endpoint] = switch
        self._to_write.set()

    async def write_down(self) -> None:
        """Write what ``turn_off`` was told, for as long as the bridge lives; tried until it worked."""
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            for endpoint, switch in list(self._unwritten.items()):
                try:
                    await self.write(endpoint, switch)
                except KafkaUnavailable as exc:
                    self._fails(exc, "this pod keeps the endpoint off; tried again until the topic has it")
                    self._to_write.set()
                else:
                    self._works()
                    self._unwritten.pop(endpoint)
            if self._unwritten:
                await asyncio.sleep(_TROUBLE_S)

    def switch(self, on: bool, reason: str) -> Switch:
        """A switch set now, by us."""
        since = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        return Switch(on, since, self._who, reason)

    async def write(self, subject: Subject, switch: Switch | None) -> None:
        """Write a subject's state, or forget it (None). Raises ``KafkaUnavailable``."""
        producer = AIOKafkaProducer(
            **self._options.arguments(), acks="all", enable_idempotence=True, request_timeout_ms=_WRITE_MS
        )
        topic, number = self._partition
        value = switch.to_bytes() if switch else None
        try:
            async with asyncio.timeout(_WRITE_MS / 1000 * 2):
                await producer.start()
                await producer.send_and_wait(topic, value, key=key_of(subject), partition=number)
        except (KafkaError, OSError) as exc:
            raise KafkaUnavailable(
                f"topic {topic!r} did not take the state of {str(subject)!r}: {exc!r}"
            ) from exc
        finally:
            await close_in_time(producer.stop, "close a producer")

    def _fails(self, exc: KafkaUnavailable, remedy: str) -> None:
        if not self._failing:
            self._failing = True
            _log.error(events.CONTROL_FAILED, topic=self._partition.topic, cause=str(exc), remedy=remedy)

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            _log.info(events.CONTROL_RECOVERED, topic=self._partition.topic)
