"""What settles together is journaled as what settles one by one, however small the segments are."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.storage.journal as module
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.model import Partition, Spot
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_loader import Loaded
from bridge.storage.journal import Journal

P0 = Partition("orders", 0)
Settled = tuple[int, int, int]


def settle(folder: Path, opened: list[int], groups: list[list[Settled]]) -> tuple[set[Spot], int]:
    """Settle each group at once; return what the journal has for the next process, and how many are open."""
    journal = Journal(folder)
    checkpoints = Checkpoints(["crm"], journal)
    cursor: Cursor[Failures] = Cursor(P0, 0, window=1000, window_bytes=1 << 20, endpoint="crm")
    checkpoints.install(Loaded({P0: {"crm": cursor}}, {cursor: None}, {}, {}))
    cursor.open_all([(offset, 1) for offset in opened])
    cursor.advance(1000)
    for group in groups:
        if len(group) > 1:
            checkpoints.settle_all(cursor, group)
        else:
            checkpoints.settle(cursor, *group[0])
    journal.close()
    return Journal(folder).read().settled("crm", P0, None), cursor.unsettled


RECORDS = st.lists(st.integers(1, 4), min_size=1, max_size=40)
"""How many events each record has."""


@given(RECORDS, st.randoms(), st.integers(200, 600), st.integers(1, 12))
def test_together_or_one_by_one_the_next_process_finds_the_same(
    sizes: list[int], random: object, segment_bytes: int, together: int
) -> None:
    events = [
        (offset, 1, part if size > 1 else 0)
        for offset, size in enumerate(sizes)
        for part in range(1, size + 1)
    ]
    opened = [offset for offset, _, _ in events]
    random.shuffle(events)  # type: ignore[attr-defined]  # hypothesis declares no type for it
    some = events[: max(1, len(events) * 3 // 4)]
    groups = [some[at : at + together] for at in range(0, len(some), together)]
    with TemporaryDirectory() as one, TemporaryDirectory() as many, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SEGMENT_BYTES", segment_bytes)
        alone = settle(Path(one), opened, [[event] for event in some])
        assert settle(Path(many), opened, groups) == alone
    assert alone[1] == len(events) - len(some)


def test_nothing_settles_at_a_cursor_of_an_earlier_assignment(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    checkpoints = Checkpoints(["crm"], journal)
    cursor: Cursor[Failures] = Cursor(P0, 0, window=1000, window_bytes=1 << 20, endpoint="crm")
    checkpoints.install(Loaded({P0: {"crm": cursor}}, {cursor: None}, {}, {}))
    cursor.open(0, 1)
    cursor.end()
    checkpoints.settle_all(cursor, [(0, 1, 0)])
    assert cursor.unsettled == 1
    assert not Journal(tmp_path).read().settled("crm", P0, None)
