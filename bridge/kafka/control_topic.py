"""Follow and write ``<group>.control``: the switches and beginnings, for every pod and restart.

The topic is compacted. It has one record per endpoint or event type that was ever switched, and one per
endpoint that has begun. Every pod follows it, so a change reaches all of them within a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

import structlog

from bridge.core import beginning
from bridge.core.beginning import Beginning, Beginnings
from bridge.core.instant import precise_instant
from bridge.core.switches import (
    EventTypes,
    Subject,
    Switch,
    Switches,
    key_of,
)
from bridge.errors import BrokerError, KafkaUnavailable, RecordsDeleted
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_reader import FOLLOW_S, ControlReader
from bridge.kafka.control_records import ControlRecords
from bridge.kafka.producer import DurableProducer, NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.model import Record
from bridge.telemetry import events
from bridge.telemetry.scrub import scrub

_log = structlog.get_logger()
_RETRY_S = 1.0
_WRITE_S = 20.0
"""Limit for one write, with the connection of its producer."""


class ControlTopic:
    """Keeps the switches and the beginnings as they are in the topic, and writes changes.

    A producer is opened for each write, because writes are rare.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topic: str,
        switches: Switches[str],
        event_types: Switches[EventTypes],
        who: str,
        beginnings: Beginnings | None = None,
        others: Mapping[bytes, Callable[[Record], None]] | None = None,
    ) -> None:
        """``who`` is recorded as the author of each switch that is written.

        ``others`` are called with the records of other kinds, in order; they are by the prefix of the key.
        """
        self._options = options
        self._topic = topic
        self._switches = switches
        self._who = who
        self._beginnings = Beginnings() if beginnings is None else beginnings
        self._records = ControlRecords(
            switches, event_types, self._beginnings, others or {}, self._write_again
        )
        self._remembered: set[str] = set()
        """The endpoints whose beginnings this process writes."""
        self._position: int | None = None
        self._unwritten: dict[str, Switch] = {}
        self._write_requested = asyncio.Event()
        self._failing = False

    async def load_with_retry(self) -> None:
        """Call ``load`` until it succeeds: a topic that was just created may have no leader yet."""
        while True:
            try:
                await self.load()
            except KafkaUnavailable as exc:
                self._log_failure(exc, "none needed: deliveries begin once the switches have been read")
                await asyncio.sleep(_RETRY_S)
            else:
                self._log_recovery()
                return

    async def load(self) -> None:
        """Read the topic up to now; apply the last state of each subject. Raises ``KafkaUnavailable``."""
        loaded: dict[Subject, Switch] = {}
        async with self._reader(SideReader(self._options), loaded.__setitem__, None) as reader:
            while True:
                try:
                    await reader.read_to_end()
                    break
                except RecordsDeleted:  # the start of the log moved meanwhile
                    await reader.rewind()
            self._position = reader.position
        for subject, switch in loaded.items():
            self._records.put(subject, switch)

    async def follow(self) -> None:
        """Apply every later change; runs until it is cancelled."""
        while True:
            try:
                following = SideReader(self._options, long_poll_ms=int(FOLLOW_S * 1000))
                async with self._reader(following, self._records.put, self._position) as reader:
                    while True:
                        await self._read_on(reader)
                        self._log_recovery()
            except KafkaUnavailable as exc:
                self._log_failure(exc, "none needed: changes are applied once the broker answers")
                await asyncio.sleep(_RETRY_S)

    async def _read_on(self, reader: ControlReader) -> None:
        try:
            await reader.read_on(FOLLOW_S)
        except RecordsDeleted:
            await reader.rewind()
        self._position = reader.position

    def _reader(
        self, reader: SideReader, put: Callable[[Subject, Switch], None], start: int | None
    ) -> ControlReader:
        return ControlReader(reader, self._topic, lambda record: self._records.apply(record, put), start)

    def _write_again(self, endpoint: str) -> None:
        """Write the beginning of an endpoint again: another pod's record lacks something of ours."""
        if endpoint in self._remembered:
            self._write_requested.set()

    async def remember(self, beginnings: Mapping[str, Beginning]) -> None:
        """Add to what is known of these endpoints, and return once the topic has it.

        Raises ``KafkaUnavailable``; the next call writes what this one did not.
        """
        for endpoint, added in beginnings.items():
            self._beginnings.note(endpoint, added)
        self._remembered.update(beginnings)
        await self._write_beginnings()

    async def _write_beginnings(self) -> None:
        unwritten = self._beginnings.unwritten(self._remembered)
        await self.write_all(
            {beginning.key_of(endpoint): known.to_bytes() for endpoint, known in unwritten.items()}
        )
        self._beginnings.written(unwritten)

    async def forget_beginnings(self, endpoints: Collection[str]) -> None:
        """Delete the records of these endpoints: they are new if they return. Raises ``KafkaUnavailable``."""
        await self.write_all({beginning.key_of(endpoint): None for endpoint in endpoints})

    async def stop(self, endpoint: str, reason: str) -> None:
        """Turn an endpoint off, and return once the topic has it. Raises ``KafkaUnavailable``."""
        if self._switches[endpoint].on:
            switch = self.switch(False, reason)
            await self.write(endpoint, switch)
            self._switches.put(endpoint, switch)

    def turn_off(self, endpoint: str, reason: str) -> None:
        """Turn an endpoint off: in this pod now, in all pods once ``write_pending`` has written it."""
        switch = self.switch(False, reason)
        self._switches.put(endpoint, switch)
        self._unwritten[endpoint] = switch
        self._write_requested.set()

    async def write_pending(self) -> None:
        """Write what ``turn_off`` changed, and what other pods' records lack; runs until it is cancelled."""
        while True:
            await self._write_requested.wait()
            self._write_requested.clear()
            try:
                await self._write_beginnings()
            except KafkaUnavailable as exc:
                self._log_failure(exc, "none needed: the write is retried")
                self._write_requested.set()
                await asyncio.sleep(_RETRY_S)
            for endpoint, switch in list(self._unwritten.items()):
                try:
                    await self.write(endpoint, switch)
                except KafkaUnavailable as exc:
                    self._log_failure(
                        exc, "none needed: the endpoint is off in this pod; the write is retried"
                    )
                    self._write_requested.set()
                else:
                    self._log_recovery()
                    self._unwritten.pop(endpoint)
            if self._unwritten:
                await asyncio.sleep(_RETRY_S)

    def switch(self, on: bool, reason: str) -> Switch:
        """Return a switch that this process sets now. Its reason contains no secret."""
        return Switch(on, precise_instant(int(time.time() * 1000)), self._who, scrub(reason))

    async def write(self, subject: Subject, switch: Switch | None) -> None:
        """Write the state of a subject, or delete it (None). Raises ``KafkaUnavailable``."""
        await self.write_all({key_of(subject): switch.to_bytes() if switch else None})

    async def write_all(self, values: Mapping[bytes, bytes | None]) -> None:
        """Write these values by key, and return once the topic has them. Raises ``KafkaUnavailable``."""
        if not values:
            return
        records = [NewRecord(self._topic, value, key, 0) for key, value in values.items()]
        producer = DurableProducer(self._options, "the control topic")
        try:
            async with broker_call(f"write to topic {self._topic!r}", timeout_s=_WRITE_S), producer:
                for error in await producer.write_all(records):
                    if error is not None:
                        raise error
        except BrokerError as exc:
            keys = ", ".join(key.decode() for key in values)
            raise KafkaUnavailable(f"cannot write {keys}: {exc}") from exc

    def _log_failure(self, exc: KafkaUnavailable, remedy: str) -> None:
        if not self._failing:
            self._failing = True
            _log.error(events.CONTROL_FAILED, topic=self._topic, cause=str(exc), remedy=remedy)

    def _log_recovery(self) -> None:
        if self._failing:
            self._failing = False
            _log.info(events.CONTROL_RECOVERED, topic=self._topic)
