"""A record of the history takes the oldest attempts, as many as its size allows and at least one."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from bridge.history.pool import Pool
from bridge.history.stream import BATCH_BYTES, AttemptStream
from tests.support.attempts import attempt_at, entry_of

_sizes = st.lists(
    st.one_of(
        st.integers(1, 5000), st.integers(BATCH_BYTES - 2, BATCH_BYTES + 2), st.integers(1, 2 * BATCH_BYTES)
    )
)


@given(_sizes, st.integers(1, 40))
def test_a_record_ends_with_the_attempt_that_fills_it(sizes: list[int], most: int) -> None:
    nothing = cast("Any", None)
    stream = AttemptStream("crm", "p", "g.attempts", Pool(1 << 40), nothing, nothing)
    rows = [entry_of(attempt_at(place))._replace(size_bytes=size) for place, size in enumerate(sizes)]
    for row in rows:
        stream.add(row)
    taken, size_bytes = stream._take(most)
    assert taken == rows[: len(taken)]
    assert size_bytes == sum(sizes[: len(taken)])
    assert stream.waiting == len(rows) - len(taken)
    assert len(taken) <= most
    if rows:
        assert taken
        assert sum(sizes[: len(taken) - 1]) < BATCH_BYTES, "it was not full before the last one"
    if len(taken) < min(most, len(rows)):
        assert size_bytes >= BATCH_BYTES, "it has no room left"
