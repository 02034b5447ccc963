"""The dedupe window begins by the bridge's clock, whatever timestamps the records have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.core.dedupe import Stretch
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.storage.dedupe_index import KeyIndex
from tests.support.fakes import DECODER, P0, TOPIC, Log
from tests.support.reread_log import STAGE, Rereads, take

NOW_MS = 1_800_000_000_000
MINUTE_MS, DAY_MS = 60_000, 24 * 3_600_000
OpenIndex = Callable[[], KeyIndex]


def timed(log: Log, name: str, at_ms: int) -> None:
    """Append an event with this timestamp."""
    log.add(name)
    log.records[P0][-1] = log.records[P0][-1]._replace(timestamp_ms=at_ms)


def windows(path: Path, window_s: float = 3600) -> tuple[KeyIndex, DedupeWindow]:
    """Return an index and its window, at the instant ``NOW_MS``."""
    now = (NOW_MS / 1000).__float__
    index = KeyIndex(path, window_s=window_s, max_keys=1000, now=now)
    reader = lambda: STAGE["reader"]  # noqa: E731
    window = DedupeWindow(
        index,
        {TOPIC: DECODER},
        reader,  # type: ignore[arg-type]
        window_s=window_s,
        max_keys=1000,
        now=now,
    )
    return index, window


async def restarted(log: Log, path: Path, start: int, end: int) -> list[int]:
    """Return the duplicates that a process with an empty disk finds."""
    path.unlink(missing_ok=True)
    index, window = windows(path)
    try:
        return await take(window, log, start, end)
    finally:
        index.close()


@pytest.mark.parametrize("ahead_ms", [DAY_MS, 400 * DAY_MS, 10**18])
async def test_a_restart_at_a_record_far_ahead_reads_the_window_before_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    """A window that began before that timestamp would begin after the reader, and nothing would be read."""
    log = Log()
    for number, name in enumerate("abcde"):
        timed(log, name, NOW_MS - (10 - number) * MINUTE_MS)
    for _ in range(3):
        timed(log, "far", NOW_MS + ahead_ms)
    for name in "abcde":
        timed(log, name, NOW_MS)
    Rereads(log, monkeypatch)
    index, window = windows(tmp_path / "dedupe.sqlite")
    assert await take(window, log, 5, 6) == []
    claims = window._claims(P0, log.records[P0][6:])
    firsts = window.claim(P0, claims, 13, NOW_MS)
    assert [first.offset for first in firsts] == [5, 5, 0, 1, 2, 3, 4]
    index.close()


@pytest.mark.parametrize("at_ms", [-1, 0])
async def test_records_without_timestamps_are_bounded_by_their_number_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_ms: int
) -> None:
    log = Log()
    for name in "abcabc":
        timed(log, name, at_ms)
    rereads = Rereads(log, monkeypatch)
    assert await restarted(log, tmp_path / "dedupe.sqlite", 3, 6) == [3, 4, 5]
    assert rereads.asked == [Stretch(0, 3)]


async def test_a_batch_begins_its_window_before_its_earliest_timestamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old stretch is caught up with; its first record lies, and the others are hours before now."""
    old_ms = NOW_MS - DAY_MS
    log = Log()
    for number, name in enumerate("abc"):
        timed(log, name, old_ms + number)
    timed(log, "far", NOW_MS + DAY_MS)
    for number, name in enumerate("abc"):
        timed(log, name, old_ms + 10 + number)
    Rereads(log, monkeypatch)
    assert await restarted(log, tmp_path / "dedupe.sqlite", 3, 7) == [4, 5, 6]


TIMES = st.sampled_from([None, None, None, -1, 0, NOW_MS + 1, NOW_MS + DAY_MS, NOW_MS + 900 * DAY_MS, 10**18])


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(st.tuples(st.sampled_from("abcdefgh"), TIMES), min_size=4, max_size=60),
    cuts=st.lists(st.tuples(st.integers(1, 7), st.booleans()), min_size=20, max_size=60),
    behind_ms=st.sampled_from([0, 10 * DAY_MS]),
)
async def test_every_duplicate_within_the_window_is_found_whatever_clock_the_producer_has(
    tmp_path_factory: pytest.TempPathFactory,
    records: Sequence[tuple[str, int | None]],
    cuts: Sequence[tuple[int, bool]],
    behind_ms: int,
) -> None:
    """The true times are a minute apart, and all within one window; a record may have any other timestamp.

    The log is read in batches of any size, with restarts on the same disk between them.
    """
    log = Log()
    for number, (name, lie) in enumerate(records):
        true_ms = NOW_MS - behind_ms - (len(records) - number) * MINUTE_MS
        timed(log, name, true_ms if lie is None else lie)
    path = tmp_path_factory.mktemp("index") / "dedupe.sqlite"
    names = [name for name, _ in records]
    with pytest.MonkeyPatch.context() as monkeypatch, capture_logs():
        Rereads(log, monkeypatch)
        index, window = windows(path, window_s=2 * 3600)
        at = 0
        for size, restarts in cuts:
            if at == len(names):
                break
            if restarts:
                index.close()
                index, window = windows(path, window_s=2 * 3600)
            end = min(at + size, len(names))
            expected = [offset for offset in range(at, end) if names.index(names[offset]) < offset]
            assert await take(window, log, at, end) == expected
            at = end
        index.close()
