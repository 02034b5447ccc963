"""``tests.bench.calls --batch`` counts the path of events that share a request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
import structlog

from bridge.telemetry.logs import set_up
from tests.bench.calls import count, counting_calls

EVENTS = 800
MOST_CALLS = 31.0
"""Per event. Raise it only for what is worth it: at a backlog, every call costs each event."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere:
        set_up("info", "json", nowhere)
        yield
    structlog.reset_defaults()


def test_an_event_of_a_batch_takes_no_step_of_a_request_of_its_own() -> None:
    calls = asyncio.run(count(EVENTS, counting_calls, batches=True))
    by_name = {code.co_qualname: number for code, number in calls.items()}
    assert by_name["BatchClient.attempt_batch"] < 0.2
    for step in ("AttemptLog.record", "Checkpoints.settle", "Journal.record_settled", "AttemptStream.add"):
        assert by_name.get(step, 0) < 0.2, step
    assert sum(calls.values()) < MOST_CALLS
