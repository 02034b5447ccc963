"""How many records a reader asks for follows the size of the records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.batch_size import BatchSize


def test_small_records_lead_to_full_batches_after_a_few_reads() -> None:
    size = BatchSize(1000, 4 << 20)
    for _ in range(4):
        size.note([700] * size.records)
    assert size.records == 1000


def test_large_records_are_read_a_few_at_a_time() -> None:
    size = BatchSize(1000, 4 << 20)
    size.note([1 << 20] * size.records)
    assert size.records == 4


def test_a_record_larger_than_a_batch_is_read_alone() -> None:
    size = BatchSize(1000, 4 << 20)
    size.note([18 << 20])
    assert size.records == 1


def test_an_empty_read_changes_nothing() -> None:
    size = BatchSize(1000, 4 << 20)
    size.note([])
    assert size.records == 64


@given(st.lists(st.lists(st.integers(0, 1 << 24), max_size=50), max_size=20))
def test_the_number_is_never_below_one_and_at_most_doubles(batches: list[list[int]]) -> None:
    size = BatchSize(1000, 1 << 20)
    for batch in batches:
        before = size.records
        size.note(batch)
        assert 1 <= size.records <= min(1000, max(before * 2, 1))
