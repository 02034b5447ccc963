"""What an attempt that waits costs, measured with tracemalloc, against what the memory budget counts for it.

To print the figures: ``python -m pytest tests/unit/history/test_cost_of_an_attempt.py -s``.
"""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from bridge.history.attempt import Attempt, Later
from bridge.history.pool import size_of
from tests.support.attempts import attempt_of, entry_of

ATTEMPTS = 300


def make(number: int, body_bytes: int) -> Attempt:
    """Return an attempt none of whose texts is shared with another one."""
    text = f"{number:08x}"
    return Attempt(
        1.7e9 + number, 1.7e9 + number + 0.5, f"id-{text}" * 4, f"msg_{text}" * 4, f"Type{text}",
        f"entity-{text}", f"tenant-{text}", f"topic-{text}", 1000 + number, 100_000 + number, 0,
        f"2026-06-29T08:15:30.{text}Z", 1_700_000_000_000 + number, f"again-{text}", 1, "POST",
        f"https://crm.test:443/{text}", 503, "again", f"status 503: {text * 20}", body_bytes, None,
        False, 1, f"{number}:{number}:0", f"topic-{text}-1@{text}", 1_700_000_000_000 + number,
        Later(1.7e9 + number + 0.7), (f"topic-{text}", 1000 + number, text.encode(), f"tenant-{text}"),
        bytes(f"x: {text}" * 40, "ascii"), bytes(body_bytes),
        bytes(f"x: {text}" * 40, "ascii"), bytes(f"{text}", "ascii") * 4,
    )  # fmt: skip


@pytest.mark.parametrize("body_bytes", [0, 800, 20_000])
def test_an_attempt_costs_no_more_than_is_counted(body_bytes: int) -> None:
    make(0, body_bytes)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [(*entry_of(make(number, body_bytes)),) for number in range(ATTEMPTS)]
        used = (tracemalloc.get_traced_memory()[0] - before) / ATTEMPTS
    finally:
        tracemalloc.stop()
    counted = size_of(attempt_of(kept[0]))
    print(f"\n{body_bytes} bytes of body: {used:.0f} bytes used, {counted} counted")
    assert 0.5 * counted < used <= counted
