"""The workers of one endpoint: tasks that each send one event after the other.

Invariant: there are never fewer than the concurrency that was asked for last. More than that may remain
after a reload: the gate limits the requests as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class Workers:
    """Tasks named after an endpoint. ``work`` is the task of a worker, and never returns."""

    def __init__(self, endpoint: str, work: Work) -> None:
        self._endpoint = endpoint
        self._work = work
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []
        self._number = 0

    def start(self, tasks: asyncio.TaskGroup, number: int, release_due: Work) -> list[asyncio.Task[None]]:
        """Start this number of workers and ``release_due``, which wakes lanes whose retry is due.

        Cancel what is returned to stop. The list gets the workers that ``raise_to`` starts later.
        """
        self._tasks = tasks
        self._running.append(tasks.create_task(release_due(), name=f"{self._endpoint}-retries"))
        self.raise_to(number)
        return self._running

    def raise_to(self, number: int) -> None:
        """Start the workers that this number lacks; none before ``start``."""
        if self._tasks is None:
            return
        for index in range(self._number, number):
            self._running.append(self._tasks.create_task(self._work(), name=f"{self._endpoint}-{index}"))
            self._number = index + 1
