"""The shelf of a partition answers as two dictionaries would, whatever is claimed and in which order."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.dedupe import Claim
from bridge.model import Partition
from bridge.storage.dedupe_index.file import connect
from bridge.storage.dedupe_index.shelf import Shelf

KEYS = st.integers(0, 12)
BATCH = st.tuples(st.integers(0, 60), st.lists(KEYS, max_size=9))
"""The first offset of a batch, which may lie before that of the last one, and its keys."""
STEPS = st.lists(BATCH | st.sampled_from(["turn", "reopen"]), max_size=12)


def opened(db: sqlite3.Connection) -> Shelf:
    return Shelf.of(db, Partition("orders", 0))


@given(STEPS)
def test_the_first_event_of_each_key_is_the_earliest_that_was_claimed_and_not_forgotten(
    steps: list[tuple[int, list[int]] | str],
) -> None:
    db = connect(":memory:")
    shelf = opened(db)
    current: dict[int, int] = {}
    older: dict[int, int] = {}
    for step in steps:
        if step == "turn":
            shelf.turn(1, 0)
            current, older = {}, current
        elif isinstance(step, str):
            shelf.save()
            shelf = opened(db)
        else:
            offset, keys = step
            claims = [Claim(key, 7 * key, at) for at, key in enumerate(keys, offset)]
            firsts = shelf.firsts(claims)
            assert firsts == [
                Claim(claim[0], claim[1], first.offset) for claim, first in zip(claims, firsts, strict=True)
            ]
            for at, (key, first) in enumerate(zip(keys, firsts, strict=True), offset):
                current[key] = min(at, current.get(key, at), older.get(key, at))
                assert first.offset == current[key]
    assert {
        key[0]: claim.offset for key, claim in shelf.known([Claim(key, 0, 0) for key in range(13)]).items()
    } == {key: min(current.get(key, 99), older.get(key, 99)) for key in {*current, *older}}
    db.close()
