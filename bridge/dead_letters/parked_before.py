"""Which undecodable records are in the dead-letter topic already: they are not parked twice.

The topic itself is the memory: it is kept for longer than the sources, and it has the decisions of operators.
It is read once per assignment, from the time of the record on, and only if a record cannot be decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bridge.dead_letters.letter import EVERYONE, Fate, Letter, LetterFilter
from bridge.errors import KafkaUnavailable
from bridge.model import Record

_MARGIN_MS = 24 * 3600 * 1000
"""A record is parked after it was written. Clocks differ, so older dead letters are read as well."""
_RETRY_DELAYS_S = (1.0, 5.0)

_Spot = tuple[str, int, int, int]


class Letters(Protocol):
    """The dead letters of the group (``bridge.dead_letters.store.DeadLetterStore``)."""

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        """Return all letters that match, without their values. Raises ``KafkaUnavailable``."""
        ...


class ParkedBefore:
    """Remembers the records that are parked for all endpoints, and not redriven since.

    A record is recognized by its place and its timestamp: a topic that was recreated has other records.
    If the dead letters cannot be read, no record is recognized: it is parked again, and never lost.
    """

    def __init__(self, open_letters: Callable[[], AbstractAsyncContextManager[Letters]]) -> None:
        """``open_letters`` connects to the dead-letter topic."""
        self._open_letters = open_letters
        self._parked: set[_Spot] = set()
        self._read_since_ms: int | None = None
        self._reading = asyncio.Lock()

    async def contains(self, record: Record) -> bool:
        """Return True if the record is parked, or was discarded."""
        since_ms = max(0, record.timestamp_ms - _MARGIN_MS)
        async with self._reading:
            if self._read_since_ms is None or since_ms < self._read_since_ms:
                self._parked |= {
                    _spot(letter.origin) for letter in await self._find(since_ms) if _kept(letter)
                }
                self._read_since_ms = since_ms
        return _spot(record) in self._parked

    def add(self, record: Record) -> None:
        """Remember a record that was just parked."""
        self._parked.add(_spot(record))

    def forget(self) -> None:
        """Read the topic again next time: another process may park from now on."""
        self._parked.clear()
        self._read_since_ms = None

    async def _find(self, since_ms: int) -> Sequence[Letter]:
        for delay_s in (*_RETRY_DELAYS_S, None):
            try:
                async with self._open_letters() as letters:
                    return await letters.find(LetterFilter(endpoint=EVERYONE, since_ms=since_ms))
            except KafkaUnavailable:
                if delay_s is not None:
                    await asyncio.sleep(delay_s)
        return ()


def _kept(letter: Letter) -> bool:
    return not letter.index and letter.fate is not Fate.REDRIVEN


def _spot(record: Record) -> _Spot:
    topic, number = record.partition
    return topic, number, record.offset, record.timestamp_ms
