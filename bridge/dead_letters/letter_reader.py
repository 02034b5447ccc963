"""Read the letters of the dead-letter topic: all that match a filter, or some with their values."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence

from bridge.dead_letters import stub
from bridge.dead_letters.letter import Address, Letter, LetterFilter, to_letter, to_settlement
from bridge.errors import HookferryError
from bridge.kafka.side_reader import SideReader, read_stretch
from bridge.model import Damage, Partition, Record

_NEAR = 1000
"""Offsets between two letters that are cheaper to read through than to seek over."""

_CLOCKS_DIFFER_MS = 600_000
"""``parked-at-ms`` and the timestamp of a letter are both of the pod that parked it, but not read at once."""


class StubError(HookferryError):
    """A stub whose record cannot be had any more: its ``cause`` and ``remedy``."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


class LetterReader:
    """Reads letters through ``reader``; methods raise ``KafkaUnavailable``.

    ``unreadable`` are the records that the last ``find`` could not read, by address.
    """

    def __init__(self, reader: SideReader, topic: str, partitions: int) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions = partitions
        self.unreadable: dict[Address, Damage] = {}

    async def find(self, wanted: LetterFilter) -> list[Letter]:
        """Return all letters that match, without their values, oldest first."""
        letters: dict[Address, Letter] = {}
        self.unreadable = {}
        partitions = [Partition(self._topic, number) for number in range(self._partitions)]
        if not partitions:
            return []
        begins, ends = await self._reader.begins(partitions), await self._reader.ends(partitions)
        for partition in partitions:
            begin = await self._first_since(partition, wanted.since_ms, begins[partition], ends[partition])
            async for records in read_stretch(self._reader, partition, begin, ends[partition]):
                for record in records:
                    if record.damage is not None and record.damage.raw_of:
                        self.unreadable[Address(record.partition.number, record.offset)] = record.damage
                    else:
                        _collect(record, wanted, letters)
        return sorted(letters.values(), key=lambda letter: (letter.parked_at_ms, letter.address))

    async def _first_since(self, partition: Partition, since_ms: int | None, begin: int, end: int) -> int:
        """Return the first offset that a letter parked since then may have."""
        if since_ms is None or begin == end:
            return begin
        offset = await self._reader.offset_at(partition, since_ms - _CLOCKS_DIFFER_MS)
        return end if offset is None else max(begin, offset)

    async def fetch(self, addresses: Collection[Address]) -> dict[Address, Letter]:
        """Return these letters with their values; those that no longer exist are left out."""
        offsets: defaultdict[int, set[int]] = defaultdict(set)
        for number, offset in addresses:
            if number < self._partitions:
                offsets[number].add(offset)
        letters: dict[Address, Letter] = {}
        for number, wanted in offsets.items():
            partition = Partition(self._topic, number)
            begin = (await self._reader.begins([partition]))[partition]
            end = (await self._reader.ends([partition]))[partition]
            existing = sorted(offset for offset in wanted if begin <= offset < end)
            for start, stop in runs(existing, _NEAR):
                async for records in read_stretch(self._reader, partition, start, stop):
                    for record in records:
                        letter = to_letter(record) if record.offset in wanted else None
                        if letter is not None:
                            letters[letter.address] = letter
        return letters

    async def whole(self, letter: Letter) -> Record:
        """Return the whole record of a stub, from its own topic; raises ``StubError`` if it is not there."""
        partition, offset = letter.origin.partition, letter.origin.offset
        source: Record | None = None
        begin = (await self._reader.begins([partition]))[partition]
        end = (await self._reader.ends([partition]))[partition]
        if begin <= offset < end:
            async for records in read_stretch(self._reader, partition, offset, offset + 1):
                source = records[0]
        problem = await asyncio.to_thread(stub.mismatch, letter.facts, source)
        if problem is not None or source is None:
            raise StubError(*(problem or ("", "")))
        return source


def _collect(record: Record, wanted: LetterFilter, letters: dict[Address, Letter]) -> None:
    """Add the letter in a record if it matches, or add a marker to its letter."""
    settlement = to_settlement(record)
    if settlement is not None:
        settled = letters.get(settlement.address)
        if settled is not None:
            settled.settlements.append(settlement)
        return
    letter = to_letter(record)
    if letter is not None and wanted.matches(letter):
        letter.origin = letter.origin._replace(value=None)
        letters[letter.address] = letter


def runs(offsets: Sequence[int], gap: int) -> list[tuple[int, int]]:
    """Return ranges [start, end) that contain these ascending offsets, split where a gap is longer."""
    ranges: list[tuple[int, int]] = []
    for offset in offsets:
        if ranges and offset - ranges[-1][1] <= gap:
            ranges[-1] = (ranges[-1][0], offset + 1)
        else:
            ranges.append((offset, offset + 1))
    return ranges
