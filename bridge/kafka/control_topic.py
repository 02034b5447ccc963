"""The switches in ``<group>.control``: which endpoints and event types are off, for every pod and restart.

The topic is compacted and has one record per endpoint or event type that was ever switched. Every pod
follows it, so a change reaches all of them within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

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
from bridge.errors import BrokerError, KafkaUnavailable, RecordsDeleted
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_reader import POLL_S, ControlReader
from bridge.kafka.producer import DurableProducer, NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.model import Record
from bridge.telemetry import events

_log = structlog.get_logger()
_RETRY_S = 1.0
_WRITE_S = 20.0
"""Limit for one write, with the connection of its producer."""


class ControlTopic:
    """Keeps the switches of endpoints and event types as they are in the topic, and writes changes.

    A producer is opened for each write, because writes are rare.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topic: str,
        switches: Switches[str],
        event_types: Switches[EventTypes],
        who: str,
    ) -> None:
        """``who`` is recorded as the author of each switch that is written."""
        self._options = options
        self._topic = topic
        self._switches = switches
        self._event_types = event_types
        self._who = who
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
        async with self._reader(loaded.__setitem__, None) as reader:
            while True:
                try:
                    await reader.read_to_end()
                    break
                except RecordsDeleted:  # the start of the log moved meanwhile
                    await reader.rewind()
            self._position = reader.position
        for subject, switch in loaded.items():
            self._put(subject, switch)

    async def follow(self) -> None:
        """Apply every later change; runs until it is cancelled."""
        while True:
            try:
                async with self._reader(self._put, self._position) as reader:
                    while True:
                        await self._read_on(reader)
                        self._log_recovery()
            except KafkaUnavailable as exc:
                self._log_failure(exc, "none needed: changes are applied once the broker answers")
                await asyncio.sleep(_RETRY_S)

    async def _read_on(self, reader: ControlReader) -> None:
        try:
            await reader.read_on(POLL_S)
        except RecordsDeleted:
            await reader.rewind()
        self._position = reader.position

    def _reader(self, put: Callable[[Subject, Switch], None], start: int | None) -> ControlReader:
        return ControlReader(
            SideReader(self._options), self._topic, lambda record: self._apply(record, put), start
        )

    def _put(self, subject: Subject, switch: Switch) -> None:
        if isinstance(subject, EventTypes):
            self._event_types.put(subject, switch)
        else:
            self._switches.put(subject, switch)

    def _apply(self, record: Record, put: Callable[[Subject, Switch], None]) -> None:
        subject = subject_of(record.key)
        if subject is None:
            return  # a hold, or the key of a newer release
        try:
            put(subject, read_switch(record.value))
        except DamagedSwitchError as exc:
            is_types = isinstance(subject, EventTypes)
            field, command = ("event_types", "events") if is_types else ("endpoint", "endpoints")
            _log.error(
                events.CONTROL_IGNORED,
                place=record.place,
                **{field: str(subject)},
                cause=str(exc),
                remedy=f"its state is unchanged; set it again with `hookferry {command} on` or `off`",
            )

    def turn_off(self, endpoint: str, reason: str) -> None:
        """Turn an endpoint off: in this pod now, in all pods once ``write_pending`` has written it."""
        switch = self.switch(False, reason)
        self._switches.put(endpoint, switch)
        self._unwritten[endpoint] = switch
        self._write_requested.set()

    async def write_pending(self) -> None:
        """Write what ``turn_off`` changed, and retry until it is written; runs until it is cancelled."""
        while True:
            await self._write_requested.wait()
            self._write_requested.clear()
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
        """Return a switch that this process sets now."""
        since = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        return Switch(on, since, self._who, reason)

    async def write(self, subject: Subject, switch: Switch | None) -> None:
        """Write the state of a subject, or delete it (None). Raises ``KafkaUnavailable``."""
        value = switch.to_bytes() if switch else None
        producer = DurableProducer(self._options, "switches")
        try:
            async with broker_call(f"write to topic {self._topic!r}", timeout_s=_WRITE_S), producer:
                await producer.write(NewRecord(self._topic, value, key_of(subject), 0))
        except BrokerError as exc:
            raise KafkaUnavailable(f"cannot write the state of {str(subject)!r}: {exc}") from exc

    def _log_failure(self, exc: KafkaUnavailable, remedy: str) -> None:
        if not self._failing:
            self._failing = True
            _log.error(events.CONTROL_FAILED, topic=self._topic, cause=str(exc), remedy=remedy)

    def _log_recovery(self) -> None:
        if self._failing:
            self._failing = False
            _log.info(events.CONTROL_RECOVERED, topic=self._topic)
