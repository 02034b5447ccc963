"""The start of a worker's process: blocked signals, and descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from bridge.app.stop import HANDLED
from bridge.workers.launch import Plan, start_process

_PRINTS_BLOCKED = "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)"


async def test_signals_are_blocked_in_the_processes_and_not_in_the_supervisor_that_starts_several(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Otherwise a console that the supervisor starts later ignores SIGTERM, and so does the supervisor."""
    plan = Plan([sys.executable, "-c", _PRINTS_BLOCKED], tmp_path, None, 64, is_terminal=False)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        started = await asyncio.gather(*(start_process(plan, number) for number in (1, 2, 3)))
        now = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert [await process.wait_for_end() for process in started] == [0, 0, 0]
    assert not now & HANDLED
    blocked = " ".join(str(int(number)) for number in sorted(HANDLED))
    assert capfd.readouterr().out.splitlines() == [blocked] * 3


async def test_a_start_without_descriptors_keeps_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again and again: each try would take some of the few that are left."""
    plan = Plan(["none"], tmp_path, None, 64, is_terminal=False)
    pipes, make_pipe = [], os.pipe

    def make_one_pipe() -> tuple[int, int]:
        if pipes:
            raise OSError(errno.EMFILE, "Too many open files")
        pipes.extend(make_pipe())
        return pipes[0], pipes[1]

    monkeypatch.setattr("bridge.workers.lines.os.pipe", make_one_pipe)
    with pytest.raises(OSError, match="Too many"):
        await start_process(plan, 1)
    monkeypatch.undo()
    for descriptor in pipes:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
