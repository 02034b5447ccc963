"""Writes to the log what every task of the process waits for, one line per task, on ``SIGUSR1``.

It shows where a process hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import FrameType
from typing import Any

import structlog

from bridge.telemetry import events

_log = structlog.get_logger()
_DEEPEST = 40


def write_tasks() -> None:
    """Log all tasks of the running loop, in the order of their names, each with where it waits."""
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        _log.warning(
            events.TASK_SEEN, task=task.get_name(), cancelling=task.cancelling(), waits_in=waits_in(task)
        )


def waits_in(task: asyncio.Task[Any]) -> list[str]:
    """Return the calls a task is in, outermost first, as ``function (file:line)``.

    ``Task.get_stack`` returns only the outermost call while a task waits, so this follows the chain of
    awaited coroutines.
    """
    return [name_of(frame) for frame in _frames(task.get_coro())]


def name_of(frame: FrameType) -> str:
    """Return a call as ``function (file:line)``."""
    file = "/".join(frame.f_code.co_filename.split("/")[-2:])
    return f"{frame.f_code.co_qualname} ({file}:{frame.f_lineno})"


def _frames(awaited: Any) -> Iterator[FrameType]:
    for _ in range(_DEEPEST):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        frame = frame or getattr(awaited, "gi_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
        if awaited is None:
            return
