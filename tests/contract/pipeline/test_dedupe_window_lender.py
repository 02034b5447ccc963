"""A dedupe window that borrows from the index of the main reader, for a reader that catches up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.core.dedupe import Stretch
from bridge.storage.dedupe_index import IndexLostError, KeyIndex
from tests.support.fakes import P0, Log
from tests.support.reread_log import Rereads, hourly, new_window, take

OpenIndex = Callable[[], KeyIndex]


async def test_a_catch_up_reader_borrows_from_the_main_index(
    open_index: OpenIndex, side_index: KeyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that lags repeatedly reads no record twice, not even past the main reader."""
    log = Log()
    hourly(log, *"abcaefagabcd", every_s=60)
    rereads = Rereads(log, monkeypatch)
    main = open_index()
    await take(new_window(main), log, 0, 8)
    side = new_window(side_index, lender=main)
    assert await take(side, log, 2, 5) == [3]
    claims = side._claims(P0, log.records[P0][5:10])
    firsts = [first.offset for first in side.claim(P0, claims, 10, 10 * 60_000)]
    assert firsts == [5, 0, 7, 0, 1], "two keys are past the main reader"
    assert await take(side, log, 3, 4) == [3]
    assert rereads.asked == []
    assert await take(new_window(main), log, 8, 12) == [8, 9, 10], "the main reader is not affected"
    assert rereads.asked == []


async def test_a_window_that_the_main_index_has_forgotten_is_read_from_the_log(
    open_index: OpenIndex, side_index: KeyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcdeabcdefghij", *(f"n{number}" for number in range(30)), every_s=1200)
    rereads = Rereads(log, monkeypatch)
    main, side = open_index(), new_window(side_index, lender=None)
    for start in range(0, 45, 3):
        await take(new_window(main), log, start, start + 3)
    covered = main.covered(P0)
    assert covered is not None
    assert covered.start > 3, "the index keeps one to two windows"
    side = new_window(side_index, lender=main)
    rereads.asked.clear()
    assert await take(side, log, 5, 7) == []
    assert rereads.asked == [Stretch(2, 5)], "the window is three records long"


async def test_a_lender_that_forgets_meanwhile_is_no_longer_used(
    open_index: OpenIndex, side_index: KeyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcab", every_s=60)
    Rereads(log, monkeypatch)
    main = open_index()
    await take(new_window(main), log, 0, 5)
    side = new_window(side_index, lender=main)
    assert await take(side, log, 2, 3) == []
    main.reset(P0, 5)
    with pytest.raises(IndexLostError):
        side.claim(P0, side._claims(P0, log.records[P0][3:5]), 5, 1)
    assert await take(side, log, 3, 5) == [3, 4]


async def test_a_lender_whose_disk_fails_raises_for_the_main_reader_as_well(
    open_index: OpenIndex, side_index: KeyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcab", every_s=60)
    Rereads(log, monkeypatch)
    main = open_index()
    await take(new_window(main), log, 0, 4)
    side = new_window(side_index, lender=main)
    await side.cover(P0, 2, log.records[P0][2].timestamp_ms)
    main._db.close()  # every statement raises from here on
    with capture_logs(), pytest.raises(IndexLostError):
        side.claim(P0, side._claims(P0, log.records[P0][2:4]), 4, 1)
    with pytest.raises(IndexLostError):
        main.claim(P0, [], 5, 1)


@settings(max_examples=150, deadline=None)
@example(names=[*"aaaabaaaabaaa"], steps=[(True, number, 0) for number in (1, 1, 3, 2, 6)])
@given(
    names=st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=40),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 6), st.integers(0, 39)), min_size=1, max_size=20),
)
async def test_borrowed_first_offsets_are_those_of_the_log(
    names: list[str], steps: list[tuple[bool, int, int]]
) -> None:
    """The main reader and a lagging one alternate; both find the right duplicates in a window of five.

    A key that occurred earlier within the window is a duplicate; a new key is not. For a key that is older
    than one window and younger than two, both results are right.
    """
    log = Log()
    hourly(log, *names, every_s=60)
    with pytest.MonkeyPatch.context() as monkeypatch, capture_logs():
        Rereads(log, monkeypatch)
        main, own = (KeyIndex(None, window_s=300, max_keys=1000) for _ in range(2))
        ahead = new_window(main, window_s=300)
        behind = new_window(own, window_s=300, lender=main)
        at = 0
        for is_main, length, where in steps:
            start = at if is_main else min(where, at)
            end = min(start + length, len(names))
            if start >= end:
                continue
            found = await take(ahead if is_main else behind, log, start, end)
            for offset in range(start, end):
                before = [one for one in range(offset) if names[one] == names[offset]]
                if not before:
                    assert offset not in found
                elif offset - max(before) <= 5:
                    assert offset in found
            at = max(at, end) if is_main else at
        main.close()
        own.close()
