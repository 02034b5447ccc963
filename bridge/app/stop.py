"""Stop the process: by a signal or by a call, within a limited time.

A stop that takes longer than the drain deadline plus ``OVERTIME_S`` ends with unfinished tasks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from bridge.app.exit_codes import ExitCode
from bridge.telemetry import events
from bridge.telemetry.tasks import write_tasks

_log = structlog.get_logger()

OVERTIME_S = 8.0
"""Time that a stop may take after the drain deadline: the last commit, leaving the group, closing."""

HANDLED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP})
"""What ``StopRequest`` handles."""


class Stopped(Exception):
    """A stop was requested during the start: nothing was read, so there is nothing to drain."""


class StopRequest:
    """Whether the process was asked to stop."""

    def __init__(self, drain_timeout_s: float) -> None:
        self._drain_timeout_s = drain_timeout_s
        self._requested = asyncio.Event()

    def handle_signals(self, hang_up: Callable[[], object]) -> None:
        """Stop on SIGTERM and SIGINT; write the tasks to the log on SIGUSR1; call ``hang_up`` on SIGHUP.

        By default SIGHUP ends a process at once, without a drain. Operators send it to have a
        configuration read again, and a terminal sends it when it closes.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request_by_signal)
        loop.add_signal_handler(signal.SIGUSR1, write_tasks)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        # a supervisor starts its workers with these signals blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def request_by_signal(self) -> None:
        """Ask the process to stop, and end it if it takes too long."""
        if not self._requested.is_set():
            self._requested.set()
            asyncio.get_running_loop().call_later(self._drain_timeout_s + OVERTIME_S, self._abandon)

    async def wait(self) -> None:
        """Return when a stop is requested."""
        await self._requested.wait()

    async def unless_requested(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for ``work``. Raises ``Stopped`` when a stop comes first."""
        working, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._requested.wait())
        try:
            await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            working.cancel()
            await asyncio.wait({working, stop})
        if self._requested.is_set():
            raise Stopped
        working.result()

    def _abandon(self) -> None:
        """End the process with its tasks unfinished; the next owner of the partitions repeats that work."""
        write_tasks()
        _log.error(
            events.BRIDGE_ABANDONED,
            exit_code=int(ExitCode.ABANDONED),
            cause=f"the process had not ended {OVERTIME_S:g} s after the drain deadline",
            remedy="start it again, and report the task.seen lines above: they show what each task waits for",
        )
        sys.stdout.flush()
        os._exit(ExitCode.ABANDONED)
