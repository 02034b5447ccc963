"""A dedupe window over a log, and the stretches of the log that it reads again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.core.dedupe import Stretch, earliest_ms
from bridge.model import Partition, Record
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.storage.dedupe_index import KeyIndex
from tests.support.fakes import DECODER, P0, TOPIC, Log

STAGE: dict[str, Rereads] = {}
"""The ``Rereads`` of the running test, which the windows read from."""


class Rereads:
    """The log as a ``SideReader`` reads it again; records the requested stretches."""

    def __init__(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Stretch] = []
        self._log = log
        monkeypatch.setitem(STAGE, "reader", self)

    async def __aenter__(self) -> Rereads:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> int | None:
        offsets = [
            record.offset for record in self._log.records[partition] if record.timestamp_ms >= timestamp_ms
        ]
        return min(offsets, default=None)

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        self.asked.append(Stretch(start, end))
        inside = [record for record in self._log.records[partition] if start <= record.offset < end]
        for at in range(0, len(inside), 3):
            yield inside[at : at + 3]


def hourly(log: Log, *names: str, every_s: float) -> None:
    """Append events at equal intervals."""
    for name in names:
        log.add(name)
        last = log.records[P0][-1]
        log.records[P0][-1] = last._replace(timestamp_ms=int(len(log.records[P0]) * every_s * 1000))


def new_window(
    index: KeyIndex, window_s: float = 3600, max_keys: int = 1000, lender: KeyIndex | None = None
) -> DedupeWindow:
    return DedupeWindow(
        index,
        {TOPIC: DECODER},
        lambda: STAGE["reader"],  # type: ignore[arg-type,return-value]
        window_s=window_s,
        max_keys=max_keys,
        lender=lender,
    )


async def take(window: DedupeWindow, log: Log, start: int, end: int) -> list[int]:
    """Cover and claim [start, end) as the pipeline does; return the offsets of duplicates."""
    batch = [record for record in log.records[P0] if start <= record.offset < end]
    await window.cover(P0, batch[0].offset, earliest_ms(batch))
    claims = window._claims(P0, batch)
    firsts = window.claim(P0, claims, end, earliest_ms(batch))
    return [claim.offset for claim, first in zip(claims, firsts, strict=True) if first.offset < claim.offset]
