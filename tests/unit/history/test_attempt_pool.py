"""Attempts that wait use bounded memory: the oldest ones are dropped, and counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.history.pool import ATTEMPT_BYTES, Pool, size_of
from tests.support.attempts import attempt_at, entry_of

SIZE = size_of(attempt_at(0))


def add(pool: Pool, queue, attempt) -> None:
    """Add an attempt as a stream does."""
    queue.append(entry_of(attempt))
    pool.bytes += size_of(attempt)
    if pool.bytes > pool.press_at:
        pool.press()


def test_the_size_is_that_of_the_bytes_and_a_constant() -> None:
    attempt = attempt_at(0, headers=b"12", body=None, answer_headers=None, answer_body=b"123")
    assert size_of(attempt) == ATTEMPT_BYTES + 5


def test_the_oldest_attempts_of_all_endpoints_are_dropped_first() -> None:
    dropped: list[int] = []
    pool = Pool(8 * SIZE, dropped.append)
    stalled, working = pool.join(lambda: None), pool.join(lambda: None)
    for second in range(5):
        add(pool, stalled, attempt_at(second))
    for second in range(5, 8):
        add(pool, working, attempt_at(second))
    assert not dropped
    add(pool, working, attempt_at(8))
    assert dropped == [2]
    assert [attempt.event_id for attempt in stalled] == ["id-2", "id-3", "id-4"]
    assert len(working) == 4


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20_000)), max_size=200))
def test_the_bound_holds_for_any_sizes_and_every_attempt_is_counted(adds: list[tuple[bool, int]]) -> None:
    dropped: list[int] = []
    pool = Pool(40_000, dropped.append)
    queues = pool.join(lambda: None), pool.join(lambda: None)
    for second, (which, body_bytes) in enumerate(adds):
        add(pool, queues[which], attempt_at(second, body=b"x" * body_bytes))
        assert pool.bytes <= pool.most_bytes
        assert pool.bytes == sum(entry.size_bytes for queue in queues for entry in queue)
    assert sum(dropped) + sum(map(len, queues)) == len(adds)


def test_writers_are_woken_at_a_quarter_of_the_bound_and_again_once_it_was_relieved() -> None:
    woken: list[str] = []
    pool = Pool(8 * SIZE)
    queue = pool.join(lambda: woken.append("crm"))
    for second in range(3):
        add(pool, queue, attempt_at(second))
    assert woken == ["crm"]
    add(pool, queue, attempt_at(3))
    assert woken == ["crm"], "they are awake"
    pool.release(3 * SIZE)
    queue.clear()
    for second in range(2):
        add(pool, queue, attempt_at(second))
    assert woken == ["crm"] * 2


def test_what_is_being_written_counts_and_cannot_be_dropped() -> None:
    dropped: list[int] = []
    pool = Pool(4 * SIZE, dropped.append)
    queue = pool.join(lambda: None)
    for second in range(4):
        add(pool, queue, attempt_at(second))
    queue.clear()  # taken, not released
    add(pool, queue, attempt_at(4))
    assert (dropped, len(queue)) == ([1], 0)
    pool.release(4 * SIZE)
    assert pool.bytes == 0
