"""The workers of one endpoint: tasks that each send one event after the other, started when there is one.

Invariant: there are never more than the largest concurrency that was asked for. More than the present one may
remain after a reload: the gate limits the requests as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.pipeline.lane_queue import LaneQueue

Work = Callable[[], Coroutine[Any, Any, None]]


class Workers:
    """Tasks named after an endpoint, which wait for lanes of its ``queue``.

    ``work`` is the task of a worker, and never returns.
    """

    def __init__(self, endpoint: str, work: Work, queue: LaneQueue) -> None:
        self._endpoint = endpoint
        self._work = work
        self._queue = queue
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []
        self._number = 0

    def start(self, tasks: asyncio.TaskGroup, number: int) -> list[asyncio.Task[None]]:
        """Let the queue start this number of workers. The list gets each of them; cancel them to stop."""
        self._tasks = tasks
        self.raise_to(number)
        return self._running

    def raise_to(self, number: int) -> None:
        """Let the queue start the workers that this number lacks; none before ``start``."""
        if self._tasks is not None and number > self._number:
            more, self._number = number - self._number, number
            self._queue.employ(self._start_one, more)

    def _start_one(self) -> None:
        assert self._tasks is not None, "start() comes first"
        name, work = f"{self._endpoint}-{len(self._running)}", self._work()
        try:
            self._running.append(self._tasks.create_task(work, name=name))
        except RuntimeError:  # the task group is ending, as after a failure of another task
            work.close()
