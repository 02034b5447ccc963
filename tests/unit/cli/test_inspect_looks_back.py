"""The last records of a partition whose last offsets hold none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.cli.inspect_records import _last_of
from bridge.model import Record
from tests.support.fakes import P0, Log


class Stretches:
    """A reader of a log that notes the stretches it is asked for."""

    def __init__(self, log: Log) -> None:
        self.read: list[tuple[int, int]] = []
        self._log = log

    async def stretch(
        self, partition: Any, start: int, end: int, stalled_s: float
    ) -> AsyncIterator[list[Record]]:
        self.read.append((start, end))
        if records := [one for one in self._log.readable(partition, start) if one.offset < end]:
            yield records


async def last_ids(reader: Any, log: Log, count: int) -> list[int]:
    begin, end = log.bounds(P0)
    return [record.offset for record in await _last_of(reader, P0, begin, end, count)]


@pytest.mark.parametrize("unreadable", [0, 1, 7, 3_000])
async def test_records_before_markers_and_aborted_records_are_found(unreadable: int) -> None:
    log = Log(P0)
    for name in "abcdef":
        log.add(name)
    log.add_unreadable(unreadable)
    reader = Stretches(log)
    assert await last_ids(reader, log, 2) == [4, 5]
    ends = [end for _, end in reader.read]
    assert ends == [log.bounds(P0)[1], *(start for start, _ in reader.read[:-1])], "no offset is read twice"


async def test_each_record_of_a_transaction_of_one_counts() -> None:
    log = Log(P0)
    for name in "abcd":
        log.add(name)
        log.add_unreadable()
    assert await last_ids(Stretches(log), log, 3) == [2, 4, 6]


async def test_the_search_ends_at_the_first_offset_and_after_ten_thousand() -> None:
    log = Log(P0)
    log.add_unreadable(20)
    log.delete_below(P0, 5)
    reader = Stretches(log)
    assert await last_ids(reader, log, 5) == []
    assert reader.read[-1][0] == 5
    log.add_unreadable(1_000_000)
    assert await last_ids(reader, log, 5) == []
    assert reader.read[-1][0] == log.bounds(P0)[1] - 10_000
