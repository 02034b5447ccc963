"""Collect what the pods answer to a request of ``hookferry reload``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from bridge.core.reload_request import ANSWER_PREFIX, DamagedReloadError, ReloadAnswer, read_answer
from bridge.kafka.control_topic import ControlTopic
from bridge.model import Record


class ReloadAnswers:
    """The answers to one request, by pod. ``others`` goes to the reader of the control topic."""

    def __init__(self, request: str) -> None:
        self._request = request
        self._answers: dict[str, ReloadAnswer] = {}
        self._came = asyncio.Event()

    @property
    def others(self) -> Mapping[bytes, Callable[[Record], None]]:
        """What to call with the records of other kinds."""
        return {ANSWER_PREFIX: self._apply}

    def all(self) -> list[ReloadAnswer]:
        """Return the answers by the name of the pod."""
        return [answer for _, answer in sorted(self._answers.items())]

    async def wait(self, control: ControlTopic, expected: int, wait_s: float) -> None:
        """Return once so many pods have answered, or after ``wait_s``."""
        following = asyncio.ensure_future(control.follow())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while len(self._answers) < expected:
                        self._came.clear()
                        await self._came.wait()
        finally:
            following.cancel()
            await asyncio.wait([following])

    def _apply(self, record: Record) -> None:
        with suppress(DamagedReloadError):
            answer = read_answer(record.value)
            if answer.request == self._request:
                self._answers[answer.pod] = answer
                self._came.set()
