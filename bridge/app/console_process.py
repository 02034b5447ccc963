"""Keep ``hookferry console`` running as a child process next to a bridge.

Invariant: nothing that happens to the console delays a delivery or ends the bridge. It is a process of its
own, and the bridge only waits for its end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

from bridge.app.exit_codes import ExitCode
from bridge.telemetry import events

_log = structlog.get_logger()
_FIRST_DELAY_S, _LONGEST_DELAY_S = 1.0, 60.0
_STEADY_S = 60.0
"""A console that ran for so long is restarted after the first delay again."""
_STOP_S = 5.0


def console_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs ``hookferry`` with these arguments as a child of this process."""
    return [sys.executable, "-m", "bridge.app.console_child", str(os.getpid()), *arguments]


class ConsoleProcess:
    """A console that is restarted when it ends, until the block ends.

    It gets the environment and the output of the bridge. Ctrl-C in a terminal reaches only the bridge, which
    then stops the console after it has drained.
    """

    def __init__(self, command: Sequence[str], first_delay_s: float = _FIRST_DELAY_S) -> None:
        self._command = command
        self._first_delay_s = first_delay_s
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(), name="console")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        await self._stop()

    async def _keep(self) -> None:
        """Start it again after each end, later and later. Return if a restart cannot help."""
        loop, delay_s = asyncio.get_running_loop(), self._first_delay_s
        while True:
            began_s = loop.time()
            code, why = await self._run()
            if code == ExitCode.USAGE:
                _log.error(events.CONSOLE_ENDED, exit_code=code, error=why, restart_in_s=None)
                return
            if loop.time() - began_s > _STEADY_S:
                delay_s = self._first_delay_s
            _log.warning(events.CONSOLE_ENDED, exit_code=code, error=why, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)

    async def _run(self) -> tuple[int | None, str | None]:
        """Run it until it ends; return its exit code, or why it cannot be started."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except OSError as exc:
            return None, str(exc)
        _log.info(events.CONSOLE_LAUNCHED, pid=self._process.pid)
        return await self._process.wait(), None

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
