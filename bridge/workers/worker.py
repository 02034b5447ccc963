"""One worker: its process, and the next one when that has ended by itself.

Invariant: at most one process of a worker runs, and none is started after ``stop``.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog

from bridge.app.exit_codes import ExitCode
from bridge.app.worker_status import Question, WorkerStatus
from bridge.telemetry import events
from bridge.telemetry.families import Family, read_document
from bridge.workers.ends import LOOK_AGAIN_S, End, RestartDelay, explain_end
from bridge.workers.launch import FolderInUse
from bridge.workers.summary import Condition
from bridge.workers.sums import totals

_log = structlog.get_logger()
_ANSWER_S = 2.0
_MOST_SILENT = 12
"""Checks without an answer, after which a process that answered before is killed. Its event loop hangs: it
has lost its place in the group, and only a new process delivers again."""
_NOT_STARTED = -1000
"""An exit code that no process has."""


class Process(Protocol):
    """What a worker needs of its process: ``launch.WorkerProcess``."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    async def ask(self, question: Question, timeout_s: float) -> Any:
        """Return the answer; None if there is none."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        ...

    async def wait_for_end(self) -> int:
        """Return the exit code."""
        ...


class Worker:
    """Runs the process of one worker until it is stopped, or until a new one would fail as well.

    A worker that has been ready is started again after every end. Its configuration was valid: if the file no
    longer is, the other workers still deliver with what they read.
    """

    def __init__(
        self, number: int, start: Callable[[int], Awaitable[Process]], restarted: Callable[[], None]
    ) -> None:
        """``start`` starts a process; it may raise ``FolderInUse`` or ``OSError``.

        ``restarted`` is called when a process is started after another one that ended by itself.
        """
        self.number = number
        self._start = start
        self._restarted = restarted
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self._delay = RestartDelay()
        self._words = "starting: its process is being started"
        self._status: WorkerStatus | None = None
        self._silent = 0
        self._has_answered = False
        self._has_been_ready = False
        self._ended: list[Family] = []
        self._last: list[Family] = []
        self._keys: dict[str, Any] = {"keys": []}

    async def run(self) -> int:
        """Return the exit code of the last process: after ``stop``, or if a new one would fail as well.

        Return 0 if no process ran when it was stopped.
        """
        loop, before = asyncio.get_running_loop(), None
        while not self._stopping.is_set():
            began = loop.time()
            code, end = await self._run_once()
            if self._stopping.is_set():
                if code in (ExitCode.SUCCESS, _NOT_STARTED):
                    return ExitCode.SUCCESS
                self._report(end, None)
                return code
            if end.fatal and not self._has_been_ready:
                self._report(end, None)
                return code
            delay_s = LOOK_AGAIN_S if end.passes else self._delay.after_end(loop.time() - began)
            if not (end.passes and end == before):
                self._report(end, round(delay_s, 1))
            before = end
            self._words = f"stopped: {end.cause}; it starts again in at most {delay_s:.0f} s"
            await self._pause(delay_s)
            if code != _NOT_STARTED and not self._stopping.is_set():
                self._restarted()
        return 0

    async def _run_once(self) -> tuple[int, End]:
        """Start a process, and return how it ended."""
        try:
            process = self._process = await self._start(self.number)
        except FolderInUse as exc:
            remedy = "none needed: it ends when its requests in flight have"
            return _NOT_STARTED, End(str(exc), remedy, passes=True)
        except OSError as exc:
            remedy = "free memory, processes or descriptors of this machine or container"
            return _NOT_STARTED, End(f"no process can be started ({exc.strerror})", remedy)
        _log.info(events.WORKER_STARTED, worker=self.number, pid=process.pid)
        self._words = "starting: its process has not answered yet"
        self._silent, self._has_answered = 0, False
        if self._stopping.is_set():
            process.send(signal.SIGTERM)
        code = await process.wait_for_end()
        self._process = self._status = None
        self._ended, self._last = totals(self._ended, self._last), []
        return code, explain_end(code, stopping=self._stopping.is_set())

    def _report(self, end: End, restart_in_s: float | None) -> None:
        _log.error(
            events.WORKER_ENDED,
            worker=self.number,
            cause=end.cause,
            remedy=end.remedy,
            restart_in_s=restart_in_s,
        )

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process in order, and start no other."""
        self._stopping.set()
        self._words = "stopping: its process has not answered yet"
        self.send(number)

    def send(self, number: signal.Signals) -> None:
        """Pass a signal on."""
        if self._process is not None:
            self._process.send(number)

    async def refresh_status(self) -> None:
        """Ask the process for its status."""
        answer = await self._ask("status")
        self._status = None if answer is None else WorkerStatus(*answer)
        if self._status is not None:
            self._has_been_ready = self._has_been_ready or self._status.ready
            self._keys = dict(self._status.public_keys)
            self._words = "its process does not answer"

    async def check(self) -> None:
        """Ask for the status, and kill a process that has stopped answering. Call it every five seconds."""
        await self.refresh_status()
        if self._status is not None:
            self._silent, self._has_answered = 0, True
        elif self._has_answered and self._process is not None and not self._stopping.is_set():
            self._silent += 1
            if self._silent == _MOST_SILENT:
                _log.error(
                    events.WORKER_HUNG,
                    worker=self.number,
                    cause=f"its process has not answered {_MOST_SILENT} times in a row",
                    remedy="none needed, it is killed and started again; look for a blocked disk or output",
                )
                self.send(signal.SIGKILL)

    async def refresh_metrics(self) -> bool:
        """Ask the process for its metrics. Return False if there is no answer: the last ones stay."""
        answer = await self._ask("metrics")
        if answer is None:
            return False
        self._last = read_document(answer)
        return True

    async def _ask(self, question: Question) -> Any:
        """Return the answer of the process that runs now; None if it ends meanwhile."""
        process = self._process
        answer = None if process is None else await process.ask(question, _ANSWER_S)
        return answer if process is self._process else None

    @property
    def condition(self) -> Condition:
        """What is known of this worker."""
        return Condition(self.number, self._words, self._status)

    @property
    def public_keys(self) -> dict[str, Any]:
        """The last key set that a process of this worker reported."""
        return self._keys

    def metrics(self, *, answered: bool) -> Sequence[Family]:
        """Return the last metrics; only what is added up, if the process did not answer."""
        return self._last if answered else totals(self._last)

    @property
    def ended(self) -> Sequence[Family]:
        """The totals of the processes that have ended."""
        return self._ended
