"""A cursor that needs a whole batch is asked once for it, not once per event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.cursor import Cursor
from bridge.model import Partition

OFFSETS = st.integers(0, 12)


@given(
    position=OFFSETS,
    settled_to=st.none() | OFFSETS,
    left_open=st.frozensets(OFFSETS),
    parts=st.dictionaries(OFFSETS, st.frozensets(st.integers(1, 3))),
    begin=OFFSETS,
    part=st.integers(0, 3),
)
def test_a_cursor_that_needs_all_from_an_offset_needs_each_event_from_there_on(
    position: int,
    settled_to: int | None,
    left_open: frozenset[int],
    parts: dict[int, frozenset[int]],
    begin: int,
    part: int,
) -> None:
    cursor: Cursor[None] = Cursor(
        Partition("orders", 0), position, window=9, window_bytes=999,
        settled_to=settled_to, left_open=left_open, parts=parts,
    )  # fmt: skip
    if cursor.needs_all_from(begin):
        assert all(cursor.needs(offset, part) for offset in range(begin, 20))
    elif not parts:
        assert not all(cursor.needs(offset) for offset in range(begin, 20)) or left_open


def test_a_cursor_without_a_past_needs_all_from_its_position() -> None:
    cursor: Cursor[None] = Cursor(Partition("orders", 0), 5, window=9, window_bytes=999)
    assert [cursor.needs_all_from(offset) for offset in (4, 5, 6)] == [False, True, True]
