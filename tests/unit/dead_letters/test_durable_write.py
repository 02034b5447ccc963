"""A write that must be safe: tried until it is, said once, and given up only when nobody may wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from bridge.dead_letters.durable_write import tries_until_safe
from bridge.errors import KafkaUnavailable, ParkError
from bridge.telemetry import events
from tests.support.simulated import simulated


def refused(times: int) -> Callable[[], Awaitable[None]]:
    left = [KafkaUnavailable("away")] * times

    async def write() -> None:
        if left:
            raise left.pop()

    return write


@simulated
async def test_a_refused_write_is_tried_until_it_works_and_said_once() -> None:
    with capture_logs() as logs:
        tries = await tries_until_safe(
            refused(5), KafkaUnavailable, lambda: True, events.HOLD_FAILED, endpoint="crm"
        )
    assert tries == 6
    assert [(one["event"], one["endpoint"], one["cause"]) for one in logs] == [("hold.failed", "crm", "away")]
    assert asyncio.get_running_loop().time() == pytest.approx(0.2 + 1 + 5 + 5 + 5)


@simulated
async def test_a_refused_write_is_given_up_when_nobody_may_wait() -> None:
    answers = iter([True, True, False])
    tries = await tries_until_safe(refused(5), KafkaUnavailable, lambda: next(answers), events.HOLD_FAILED)
    assert tries == 0
    assert next(answers, None) is None


@simulated
async def test_another_error_is_not_waited_for() -> None:
    with pytest.raises(KafkaUnavailable):
        await tries_until_safe(refused(1), ParkError, lambda: True, events.PARKING_FAILED)
