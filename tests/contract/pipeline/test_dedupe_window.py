"""The dedupe window with a real index: records that the index lacks are read again from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.core.dedupe import Stretch
from bridge.errors import SchemaNeeded
from bridge.model import Event, Partition, Record
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.storage.dedupe_index import IndexLostError, KeyIndex
from tests.support.fakes import DECODER, P0, TOPIC, Log

OpenIndex = Callable[[], KeyIndex]


@pytest.fixture
def open_index(tmp_path: Path) -> Iterator[OpenIndex]:
    """Open the same file several times, as successive processes do."""
    opened: list[KeyIndex] = []

    def open_it() -> KeyIndex:
        opened.append(KeyIndex(tmp_path / "dedupe.sqlite", window_s=3600, max_keys=1000))
        return opened[-1]

    yield open_it
    for index in opened:
        index.close()


STAGE: dict[str, Rereads] = {}


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
        found = [one.offset for one in self._log.records[partition] if one.timestamp_ms >= timestamp_ms]
        return min(found, default=None)

    async def stretch(self, partition: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        self.asked.append(Stretch(start, end))
        inside = [one for one in self._log.records[partition] if start <= one.offset < end]
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
    batch = [one for one in log.records[P0] if start <= one.offset < end]
    await window.cover(P0, batch[0])
    claims = window._claims(P0, batch)
    firsts = window.claim(P0, claims, end, batch[0].timestamp_ms)
    return [one.offset for one, first in zip(claims, firsts, strict=True) if first < one.offset]


async def test_a_lost_index_file_is_rebuilt_from_the_log(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, "a", "b", "c", "a", "d", "c", every_s=60)
    log.add("x", raw=b"{")
    log.add("gone", raw=None)
    rereads = Rereads(log, monkeypatch)
    assert await take(new_window(open_index()), log, 3, 6) == [3, 5]
    assert rereads.asked == [Stretch(0, 3)]


async def test_a_recreated_topic_has_no_duplicates_of_deleted_records(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, "a", "b", "c", "d", "e", every_s=60)
    rereads = Rereads(log, monkeypatch)
    window = new_window(open_index())
    await take(window, log, 0, 5)
    window.cut(P0, 5)
    assert await take(window, log, 2, 5) == []
    assert rereads.asked == [], "the index belongs to this log"
    log.recreate(P0)
    hourly(log, "x", "a", "b", "x", every_s=60)
    window.cut(P0, 4)
    assert await take(window, log, 1, 4) == [3]
    assert rereads.asked == [Stretch(0, 1)]


async def test_a_restart_reads_only_what_the_index_lacks(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcdefabcdef", every_s=60)
    rereads = Rereads(log, monkeypatch)
    index = open_index()
    await take(new_window(index), log, 0, 4)
    index.flush()
    rereads.asked.clear()
    index = open_index()
    assert await take(new_window(index), log, 4, 8) == [6, 7]
    assert rereads.asked == []
    index.flush()
    assert await take(new_window(open_index()), log, 9, 12) == [9, 10, 11]
    assert rereads.asked == [Stretch(8, 9)], "another pod owned the partition in between"


async def test_an_unknown_schema_interrupts_the_cover_and_leaves_no_gap(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second attempt continues at the record without a schema, and finally every key is in the index."""
    log, known = Log(), set[str]()
    hourly(log, *"abcdefab", every_s=60)
    rereads = Rereads(log, monkeypatch)

    class Learns:
        def decode(self, record: Record) -> tuple[Event, ...]:
            (event,) = DECODER.decode(record)
            if event.id == "e" and "e" not in known:
                raise SchemaNeeded("orders", "e")
            return (event,)

    window = DedupeWindow(
        open_index(),
        {TOPIC: Learns()},
        lambda: STAGE["reader"],
        window_s=3600,
        max_keys=1000,  # type: ignore[arg-type,return-value]
    )
    with pytest.raises(SchemaNeeded):
        await take(window, log, 6, 8)
    known.add("e")
    assert await take(window, log, 6, 8) == [6, 7]
    assert rereads.asked == [Stretch(0, 6), Stretch(3, 6)]


async def test_records_before_the_window_are_not_read_again(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcdefab", every_s=1000)
    rereads = Rereads(log, monkeypatch)
    assert await take(new_window(open_index()), log, 6, 8) == []
    assert rereads.asked == [Stretch(3, 6)]


async def test_after_a_jump_of_the_reader_the_index_does_not_cover_the_gap(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    names = [f"n{number}" for number in range(30)]
    names[12] = names[10]
    hourly(log, *names, every_s=60)
    rereads = Rereads(log, monkeypatch)
    index = open_index()
    for start, end in ((0, 3), (20, 23)):
        await take(new_window(index, window_s=300), log, start, end)
    assert await take(new_window(index, window_s=300), log, 12, 14) == [12], "a rewind to the skipped records"
    assert rereads.asked == [Stretch(15, 20), Stretch(7, 12)]


async def test_an_interrupted_cover_continues_where_it_stopped(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcdefghab", every_s=60)
    rereads = Rereads(log, monkeypatch)
    whole = rereads.stretch

    async def breaks(*asked: object) -> AsyncIterator[list[Record]]:
        async for records in whole(*asked):  # type: ignore[arg-type]
            yield records
            raise ConnectionError

    monkeypatch.setattr(rereads, "stretch", breaks)
    window = new_window(open_index())
    with pytest.raises(ConnectionError):
        await take(window, log, 8, 10)
    monkeypatch.setattr(rereads, "stretch", whole)
    assert await take(window, log, 8, 10) == [8, 9]
    assert rereads.asked == [Stretch(0, 8), Stretch(3, 8)]


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=30),
    jumps=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 6), st.booleans()), min_size=1, max_size=6),
)
async def test_duplicates_are_those_of_the_log_wherever_reading_begins(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], jumps: list[tuple[int, int, bool]]
) -> None:
    """After any restarts, rewinds and jumps, the duplicates within the window are those of the log."""
    log = Log()
    hourly(log, *names, every_s=60)
    path = tmp_path_factory.mktemp("index") / "dedupe.sqlite"
    with pytest.MonkeyPatch.context() as monkeypatch, capture_logs():
        Rereads(log, monkeypatch)
        index = KeyIndex(path, window_s=3600, max_keys=1000)
        for start, length, flushed in jumps:
            if start >= len(names):
                continue
            if flushed:
                index.flush()
            index._db.rollback()
            index._db.close()
            index = KeyIndex(path, window_s=3600, max_keys=1000)
            end = min(start + length, len(names))
            expected = [at for at in range(start, end) if names.index(names[at]) < at]
            assert await take(new_window(index), log, start, end) == expected
        index.close()


@pytest.fixture
def side_index() -> Iterator[KeyIndex]:
    index = KeyIndex(None, window_s=3600, max_keys=1000)
    yield index
    index.close()


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
    assert side.claim(P0, claims, 10, 10 * 60_000) == [5, 0, 7, 0, 1], "two keys are past the main reader"
    assert await take(side, log, 3, 4) == [3]
    assert rereads.asked == []
    assert await take(new_window(main), log, 8, 12) == [8, 9, 10], "the main reader is not affected"
    assert rereads.asked == []


async def test_a_window_that_the_main_index_has_forgotten_is_read_from_the_log(
    open_index: OpenIndex, side_index: KeyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    hourly(log, *"abcdeabcdefghij", every_s=1200)
    rereads = Rereads(log, monkeypatch)
    main, side = open_index(), new_window(side_index, lender=None)
    for start in range(0, 15, 3):
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
    await side.cover(P0, log.records[P0][2])
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
