"""How often the console reads the cursors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import yaml

from bridge.console.lags import LagWatch
from bridge.core.jobs import Job
from bridge.core.lag import Backlog
from bridge.core.switches import EventTypes, Switches
from bridge.errors import KafkaUnavailable
from bridge.settings import Settings
from tests.support.settings_example import VALID
from tests.support.simulated import simulated


async def no_types() -> Switches[EventTypes]:
    return Switches()


async def no_jobs() -> Sequence[Job]:
    return ()


class Looks(LagWatch):
    """Notes when it looks. The first ``without`` looks find no cursor, or fail."""

    def __init__(self, without: int, error: KafkaUnavailable | None = None) -> None:
        settings = Settings(**yaml.safe_load(VALID))
        super().__init__(settings, None, no_types, no_jobs)
        self._without = without
        self._error = error
        self._names = settings.endpoints
        self.at_s: list[float] = []

    async def look(self) -> None:
        self.at_s.append(asyncio.get_running_loop().time())
        if len(self.at_s) > self._without:
            self.by_endpoint = dict.fromkeys(self._names, Backlog(0))
        elif self._error is not None:
            raise self._error


async def gaps(looks: Looks) -> list[float]:
    """Return the seconds between the looks of the first minute."""
    task = asyncio.create_task(looks.run())
    await asyncio.sleep(60)
    task.cancel()
    return [round(after - before) for before, after in zip(looks.at_s, looks.at_s[1:], strict=False)]


@pytest.mark.parametrize(
    ("without", "wanted"),
    [(0, [10] * 5), (1, [1, *[10] * 5]), (3, [1, 2, 4, *[10] * 5]), (99, [1, 2, 4, 8, 10, 10, 10, 10])],
)
@simulated
async def test_a_lag_that_is_unknown_is_read_again_soon_and_then_less_often(
    without: int, wanted: list[float]
) -> None:
    assert await gaps(Looks(without)) == wanted


@simulated
async def test_a_broker_that_does_not_answer_is_tried_again() -> None:
    assert await gaps(Looks(2, KafkaUnavailable("down"))) == [1, 2, *[10] * 5]
