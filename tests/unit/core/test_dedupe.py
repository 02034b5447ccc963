"""Duplicates: offsets decide, and the index always covers the window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.dedupe import (
    Claim,
    Stretch,
    claims_of,
    duplicates,
    earliest_ms,
    log_time_ms,
    stretch_to_read,
)
from bridge.model import Event
from tests.support.fakes import event


@pytest.mark.parametrize(
    ("covered", "window_start", "reader", "max_keys", "expected"),
    [
        pytest.param(None, 0, 0, 100, None, id="an empty log"),
        pytest.param(None, 40, 40, 100, None, id="an empty window"),
        pytest.param(None, 10, 50, 100, Stretch(10, 50), id="nothing known"),
        pytest.param(Stretch(0, 50), 10, 50, 100, None, id="all known"),
        pytest.param(Stretch(10, 60), 10, 50, 100, None, id="known beyond the reader"),
        pytest.param(Stretch(0, 30), 10, 50, 100, Stretch(30, 50), id="the end is lacking"),
        pytest.param(Stretch(0, 10), 10, 50, 100, Stretch(10, 50), id="known up to the window"),
        pytest.param(Stretch(0, 9), 10, 50, 100, Stretch(10, 50), id="a hole before the window"),
        pytest.param(Stretch(11, 60), 10, 50, 100, Stretch(10, 50), id="it begins one too late"),
        pytest.param(Stretch(70, 90), 10, 50, 100, Stretch(10, 50), id="rewound before the cover"),
        pytest.param(None, 0, 5000, 100, Stretch(4900, 5000), id="bounded in keys"),
        pytest.param(None, -5, 50, 100, Stretch(0, 50), id="never before the log"),
    ],
)
def test_the_index_reads_the_part_of_the_window_that_it_does_not_cover(
    covered: Stretch | None, window_start: int, reader: int, max_keys: int, expected: Stretch | None
) -> None:
    assert stretch_to_read(covered, window_start, reader, max_keys) == expected


@given(
    steps=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40), st.integers(0, 20)), min_size=1),
    max_keys=st.integers(1, 60),
)
def test_after_any_number_of_jumps_the_index_covers_the_window(
    steps: list[tuple[int, int, int]], max_keys: int
) -> None:
    """As in ``DedupeWindow``: read what is missing, then continue reading for a while."""
    covered: Stretch | None = None
    for reader, window, read_on in steps:
        lacking = stretch_to_read(covered, reader - window, reader, max_keys)
        if lacking is not None:
            grows = covered is not None and lacking.start == covered.end
            covered = Stretch(covered.start if grows and covered else lacking.start, lacking.end)
        elif covered is None or covered.end < reader:
            covered = Stretch(reader, reader)
        start = max(reader - window, reader - max_keys, 0)
        assert covered.start <= start or start >= reader
        assert covered.end >= reader
        covered = Stretch(covered.start, max(covered.end, reader + read_on))


def test_the_first_record_of_a_key_is_never_a_duplicate_even_when_it_is_read_again() -> None:
    claims = [Claim(1, 2, offset) for offset in (7, 8)]
    first = Claim(1, 2, 7, 99)
    assert duplicates(claims, [first, first]) == [None, first]


def test_the_time_of_a_batch_is_its_earliest_timestamp_and_never_ahead_of_the_clock() -> None:
    def earliest(*timestamps: int) -> int:
        return earliest_ms(event("a").record._replace(timestamp_ms=each) for each in timestamps)

    assert (earliest(7, 5, 9), earliest(-1, 0, 9), earliest(-1, 0), earliest()) == (5, 9, -1, -1)
    assert [log_time_ms(at_ms, 100) for at_ms in (-1, 0, 1, 99, 100, 101)] == [100, 100, 1, 99, 100, 100]


def claim(event: Event) -> Claim:
    """Return the claim of one event."""
    (claim,) = claims_of([(event.record, [event])])
    return claim


def test_the_same_key_of_two_tenants_makes_two_claims() -> None:
    one, other = event("a"), event("a")
    assert claim(one)[:2] == claim(other)[:2]
    other.tenant = "t"
    assert claim(one)[:2] != claim(other)[:2]


def test_a_claim_contains_the_offset_and_two_integers_that_sqlite_can_store() -> None:
    claimed = claim(event("a", 17))
    assert claimed.offset == 17
    assert -(2**63) <= min(claimed[:2]) <= max(claimed[:2]) < 2**63


def test_a_key_with_a_lone_surrogate_has_a_claim() -> None:
    odd = event("a")
    odd.id = "\ud800"
    assert claim(odd) != claim(event("a"))
