"""The dedupe window with a real index: records that the index lacks are read again from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.core.dedupe import Stretch
from bridge.errors import SchemaNeeded
from bridge.model import Event, Record
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.storage.dedupe_index import KeyIndex
from tests.support.fakes import DECODER, P0, TOPIC, Log
from tests.support.reread_log import STAGE, Rereads, hourly, new_window, take

OpenIndex = Callable[[], KeyIndex]


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
    window.cut(P0, 5, None)
    assert await take(window, log, 2, 5) == []
    assert rereads.asked == [], "the index belongs to this log"
    log.recreate(P0)
    hourly(log, "x", "a", "b", "x", every_s=60)
    window.cut(P0, 4, None)
    assert await take(window, log, 1, 4) == [3]
    assert rereads.asked == [Stretch(0, 1)]


async def test_a_recreated_topic_that_is_longer_than_before_is_known_by_its_id(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the next process on this disk."""
    log = Log()
    hourly(log, "a", "b", "c", every_s=60)
    rereads = Rereads(log, monkeypatch)
    index = open_index()
    window = new_window(index)
    window.cut(P0, 0, "id1")
    await take(window, log, 0, 3)
    log.recreate(P0)
    hourly(log, "x", "a", "b", "c", "x", every_s=60)
    next_window = new_window(index)
    next_window.cut(P0, 5, "id1")
    assert await take(next_window, log, 3, 4) == [3], "with the same id the keys count"
    next_window.cut(P0, 5, "id2")
    assert await take(next_window, log, 3, 5) == [4]
    assert rereads.asked == [Stretch(0, 3)]


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
