"""A write that must succeed: retried until acknowledged, logged once, given up only when it may be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from bridge.dead_letters.durable_write import write_durably
from bridge.errors import KafkaUnavailable, ParkError
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog
from tests.support.simulated import simulated


def refused(times: int) -> Callable[[], Awaitable[None]]:
    left = [KafkaUnavailable("away")] * times

    async def write() -> None:
        if left:
            raise left.pop()

    return write


@simulated
async def test_a_refused_write_is_retried_until_it_succeeds_and_logged_once() -> None:
    with capture_logs() as logs:
        assert await write_durably(
            refused(5), KafkaUnavailable, lambda: True, SparseLog(), events.HOLD_FAILED, endpoint="crm"
        )
    assert [(line["event"], line["endpoint"], line["cause"]) for line in logs] == [
        ("hold.failed", "crm", "away")
    ]
    assert asyncio.get_running_loop().time() == pytest.approx(0.2 + 1 + 5 + 5 + 5)


@simulated
async def test_a_refused_write_is_given_up_when_it_may_not_be_retried() -> None:
    answers = iter([True, True, False])
    assert not await write_durably(
        refused(5), KafkaUnavailable, lambda: next(answers), SparseLog(), events.HOLD_FAILED
    )
    assert next(answers, None) is None


@simulated
async def test_another_error_is_not_retried() -> None:
    with pytest.raises(KafkaUnavailable):
        await write_durably(refused(1), ParkError, lambda: True, SparseLog(), events.PARKING_FAILED)
