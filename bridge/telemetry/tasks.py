"""What every task of the process waits for: where it hangs, when it does.

``SIGUSR1`` has it written to the log, one line per task. Telemetry floor.
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
    """Write all tasks of the running loop to the log, the oldest first, each with where it waits."""
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        _log.warning(
            events.TASK_SEEN, task=task.get_name(), cancelling=task.cancelling(), waits_in=waits_in(task)
        )


def waits_in(task: asyncio.Task[Any]) -> list[str]:
    """The calls a task is in, outermost first, as ``function (file:line)``.

    ``Task.get_stack`` shows the outermost one alone while a task waits, so the chain of what awaits
    what is followed here.
    """
    return [
        f"{frame.f_code.co_qualname} ({'/'.join(frame.f_code.co_filename.split('/')[-2:])}:{frame.f_lineno})"
        for frame in _frames(task.get_coro())
    ]


def _frames(awaited: Any) -> Iterator[FrameType]:
    for _ in range(_DEEPEST):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        frame = frame or getattr(awaited, "gi_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
        if awaited is None:
            return
