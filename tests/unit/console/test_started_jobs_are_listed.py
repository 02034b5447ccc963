"""A job that the console has started is known to it when the answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import yaml

from bridge.console import job_actions
from bridge.console.job_actions import JobActions
from bridge.console.ports import Who
from bridge.console.query import AttemptQuery
from bridge.core.jobs import Job
from bridge.settings import Settings
from tests.support.settings_example import VALID


class LateControl:
    """The control topic as the console has read it: the job comes after some looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    async def all_jobs(self) -> Sequence[Any]:
        self.left -= 1
        await asyncio.sleep(0)
        return [] if self.left > 0 else [type("Listed", (), {"id": "a1"})]


class Resends:
    """Starts job a1."""

    async def start(self, *_: Any, also: Callable[[Any], object]) -> Job:
        job = cast("Job", type("Started", (), {"id": "a1"}))
        also(job)
        return job


def build(control: LateControl) -> JobActions:
    settings = Settings(**yaml.safe_load(VALID))
    return JobActions(settings, control, Resends(), lambda _: None)  # type: ignore[arg-type]  # fakes


async def start(actions: JobActions) -> str | None:
    done = await actions.resend_all(
        AttemptQuery(), Who("ann", "why", ""), lambda _: [], render=False, new_id=False, rate_per_s=None
    )
    return done.job


async def test_the_answer_waits_until_the_job_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_actions, "_LOOK_S", 0)
    control = LateControl(looks=5)
    assert await start(build(control)) == "a1"
    assert control.left == 0


async def test_the_answer_comes_though_the_job_is_never_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_actions, "_LISTED_WITHIN_S", 0.05)
    assert await start(build(LateControl(looks=1 << 60))) == "a1"
