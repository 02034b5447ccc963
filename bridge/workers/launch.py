"""Start a worker: the same program as a fresh process, with a folder, a name and a part of the memory.

Invariant: no signal is lost between the start of a process and the moment when it handles signals, because
it begins with them blocked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bridge.app.memory import read_limit, resident_bytes
from bridge.app.stop import HANDLED
from bridge.app.worker_link import WorkerPlace
from bridge.app.worker_status import Question
from bridge.settings import Settings
from bridge.settings.models.values import memory_bytes
from bridge.storage.worker_folders import is_in_use, worker_folder
from bridge.workers.lines import LineCopier
from bridge.workers.questions import QuestionSocket

_JOIN_S = 2.0
_MIB = 1 << 20
_LEAST_MIB = 64
"""The least that ``memory_budget`` accepts. A worker that needs more at rest logs ``memory.limit_low``."""


class FolderInUse(Exception):
    """A worker of an earlier supervisor still works in the folder."""


class Plan(NamedTuple):
    """What all workers share. ``command`` lacks the place of the worker; ``memory_mib`` is for each one."""

    command: Sequence[str]
    state_dir: Path
    instance_id: str | None
    memory_mib: int
    is_terminal: bool

    def environment(self, number: int) -> Mapping[str, str]:
        """Return the variables of one worker. They override the file, also when it is read again."""
        own = {
            "HOOKFERRY_STATE_DIR": str(worker_folder(self.state_dir, number)),
            "HOOKFERRY_MEMORY_BUDGET": f"{self.memory_mib}MiB",
        }
        if self.instance_id is not None:
            own["HOOKFERRY_KAFKA__GROUP_INSTANCE_ID"] = f"{self.instance_id}.worker-{number}"
        if self.is_terminal:
            own["HOOKFERRY_LOG__FORMAT"] = "console"  # a worker writes to a pipe, and would write JSON
        return os.environ | own


def plan_workers(settings: Settings, path: Path, workers: int) -> Plan:
    """Divide what a single process would have among the workers, less what the supervisor uses."""
    budget = memory_bytes(settings.memory_budget, read_limit().bytes) - resident_bytes()
    return Plan(
        [*_own_command(), "run", "--config", str(path), "--as-worker"],
        settings.state_dir.absolute(),
        settings.kafka.group_instance_id,
        max(budget // workers // _MIB, _LEAST_MIB),
        settings.log.format == "auto" and sys.stdout.isatty(),
    )


def _own_command() -> list[str]:
    """Return the words that started this program, without its arguments: the script, or ``-m bridge``."""
    words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]
    return [sys.executable, *words[1:]]


class WorkerProcess:
    """One process of a worker, until it has ended."""

    def __init__(
        self, process: asyncio.subprocess.Process, questions: QuestionSocket, copiers: Sequence[LineCopier]
    ) -> None:
        self._process = process
        self._questions = questions
        self._copiers = copiers

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def ask(self, question: Question, timeout_s: float) -> Any:
        """Return the answer to a question; None if there is none in time."""
        return await self._questions.ask(question, timeout_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def wait_for_end(self) -> int:
        """Return the exit code once the process has ended and its last lines are written."""
        code = await self._process.wait()
        await self._questions.close()
        for copier in self._copiers:
            await asyncio.to_thread(copier.join, _JOIN_S)
        return code


async def start_process(plan: Plan, number: int) -> WorkerProcess:
    """Start the process of a worker. Raises ``FolderInUse`` and ``OSError``."""
    if is_in_use(folder := worker_folder(plan.state_dir, number)):
        raise FolderInUse(f"a worker of an earlier supervisor has not ended, and still works in {folder}")
    questions = QuestionSocket()
    copiers: list[LineCopier] = []
    try:
        for stream in (sys.stdout, sys.stderr):
            copiers.append(LineCopier(stream.buffer))
        process = await _spawn(plan, WorkerPlace(number, questions.other.fileno()), copiers)
    except OSError:
        for copier in copiers:
            copier.discard()
        await questions.close()
        raise
    finally:
        questions.other.close()
    for copier in copiers:
        copier.start()
    await questions.open()
    return WorkerProcess(process, questions, copiers)


async def _spawn(plan: Plan, place: WorkerPlace, copiers: Sequence[LineCopier]) -> asyncio.subprocess.Process:
    """Start the process with the signals blocked that it handles later. Raises ``OSError``."""
    out, errors = (copier.descriptor for copier in copiers)
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        return await asyncio.create_subprocess_exec(
            *plan.command,
            str(place),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            env=plan.environment(place.number),
            pass_fds=[place.descriptor],
        )
    finally:
        # not what was blocked before: another start that is under way had blocked it. asyncio starts the
        # process before it waits for anything, so this unblocks nothing too early for that one
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
