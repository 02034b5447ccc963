"""A batch is accepted with the dedupe index covering its window, also after the index was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from bridge.model import Partition, Record
from bridge.pipeline.acceptance import Acceptance
from bridge.pipeline.intake import Feed
from bridge.pipeline.outage import OutageBackoff
from bridge.storage.dedupe_index import IndexLostError

P0, P1 = Partition("orders", 0), Partition("orders", 1)
RECORDS = [Record(P0, 7, 1_700_000_000_000, b"k", b"{}")]


class Window:
    """Notes what it is asked to cover; the first ``losses`` times, the index is lost meanwhile."""

    def __init__(self, losses: int = 0) -> None:
        self.asked: list[tuple[Partition, int]] = []
        self._losses = losses

    async def cover(self, partition: Partition, offset: int, at_ms: int) -> None:
        self.asked.append((partition, offset))
        if len(self.asked) <= self._losses:
            raise IndexLostError


class Intake:
    """Accepts a batch; the first ``losses`` times, the index turns out to be lost."""

    def __init__(self, losses: int = 0) -> None:
        self.accepted = 0
        self._losses = losses

    def accept(self, *_: object) -> None:
        if self._losses:
            self._losses -= 1
            raise IndexLostError
        self.accepted += 1


def accept(window: Window, intake: Intake, *covered: Partition, ending: bool = False) -> tuple[bool, Feed]:
    """Return whether the batch was accepted, and the feed as it is then."""
    feed = Feed(cast("Any", window), set(covered))
    acceptance = Acceptance(
        cast("Any", intake),
        cast("Any", SimpleNamespace(ending=ending)),
        cast("Any", SimpleNamespace(cursors={P0: {}, P1: {}})),
        OutageBackoff(),
    )

    def cursors() -> Sequence[Any]:
        return [SimpleNamespace(live=True)]

    async def run() -> bool:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            return await acceptance.accept(tasks, feed, P0, RECORDS, cursors)
        raise AssertionError("it neither accepted nor refused the batch")

    return asyncio.run(run()), feed


def test_the_window_is_covered_once_before_the_first_batch() -> None:
    window, intake = Window(), Intake()
    assert accept(window, intake)[0]
    assert (window.asked, intake.accepted) == ([(P0, 7)], 1)
    assert accept(window, intake, P0)[0]
    assert (window.asked, intake.accepted) == ([(P0, 7)], 2)


def test_a_lost_index_is_read_again_for_every_partition_before_the_batch_is_accepted() -> None:
    window, intake = Window(), Intake(losses=1)
    accepted, feed = accept(window, intake, P0, P1)
    assert (accepted, intake.accepted, window.asked) == (True, 1, [(P0, 7)])
    assert feed.covered == {P0}, "the other partition is covered again before its next batch"


def test_an_index_that_is_lost_while_it_is_read_is_read_again() -> None:
    window, intake = Window(losses=1), Intake()
    assert accept(window, intake)[0]
    assert (window.asked, intake.accepted) == ([(P0, 7), (P0, 7)], 1)


def test_a_batch_is_not_accepted_once_the_assignment_ends() -> None:
    window, intake = Window(), Intake()
    assert accept(window, intake, ending=True)[0] is False
    assert intake.accepted == 0
