"""Run name lookups in threads of their own, which never keep the process from ending.

The system's resolver only exists as a blocking call, ``getaddrinfo``, which cannot be cancelled. The
threads of ``concurrent.futures`` and of libuv are joined at exit, so one stuck lookup in them delays it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class LookupThreads:
    """Daemon threads that start when a job needs one, and end after ``idle_s`` without a job.

    There are at most as many threads as there were unfinished jobs at once: the caller sets the bound.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` in a thread. ``job`` must not raise. Raises ``RuntimeError`` if no thread can start."""
        with self._changed:
            if self._idle <= len(self._jobs):
                threading.Thread(target=self._work, name="name-lookup", daemon=True).start()
            self._jobs.append(job)
            self._changed.notify()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs, self._idle_s)
            self._idle -= 1
            return self._jobs.popleft() if self._jobs else None
