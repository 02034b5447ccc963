"""Decide what follows when a worker has ended: what an operator reads, and when it is started again. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bridge.app.exit_codes import ExitCode
from bridge.core.backoff import RetrySchedule

_STEADY_S = 60.0
"""A worker that ran for so long starts again as if it were the first time."""
_BASE_S, _CAP_S = 1.0, 30.0
LOOK_AGAIN_S = 1.0
"""Before the next try after an end that passes."""


class End(NamedTuple):
    """Why a worker ended, or was not started.

    ``fatal``: it would end again, so the whole run ends, unless this worker has been ready: then the mistake
    came later, and the other workers go on without it. ``passes``: nothing failed, so the next try is soon.
    """

    cause: str
    remedy: str
    fatal: bool = False
    passes: bool = False


_ENDS: Final[Mapping[int, End]] = {
    ExitCode.SUCCESS: End(
        "a signal to this worker alone stopped it", "send signals to the supervisor instead of a worker"
    ),
    ExitCode.FAILURE: End("an error ended it", "read the lines of this worker above: they name the error"),
    ExitCode.USAGE: End(
        "its configuration has a mistake, which it printed above",
        "correct it: `hookferry check FILE` lists every mistake",
        fatal=True,
    ),
    ExitCode.ABANDONED: End(
        "it was stopped by a signal to it alone, and did not end in time",
        "report it with its task.seen lines; they show what each task waits for",
    ),
    -signal.SIGKILL: End(
        "it was killed with SIGKILL",
        "if the kernel did it because memory ran out, raise the memory limit or lower memory_budget",
    ),
}


_LATE: Final = "report it with its task.seen lines, or send SIGUSR1 to it during the next stop to get them"
_ENDS_OF_STOP: Final[Mapping[int, End]] = {
    ExitCode.ABANDONED: End("it did not end in time during the stop, and gave up its tasks", _LATE),
    -signal.SIGKILL: End(
        "it was killed during the stop, by the supervisor if it had not ended in time", _LATE
    ),
}


def explain_end(code: int, *, stopping: bool = False) -> End:
    """Return why a process ended. ``code`` is negative for a signal.

    ``stopping``: the supervisor had asked it to stop.
    """
    remedy = "read the lines of this worker above; report it if it repeats"
    return (
        (_ENDS_OF_STOP.get(code) if stopping else None)
        or _ENDS.get(code)
        or End(f"{_signal_name(-code)} ended it" if code < 0 else f"it ended with exit code {code}", remedy)
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class RestartDelay:
    """The growing delay before a worker that keeps ending is started again."""

    def __init__(self) -> None:
        self._schedule = RetrySchedule(base_s=_BASE_S, cap_s=_CAP_S, max_attempts=1, max_age_s=0)
        self._ends = 0

    def after_end(self, ran_s: float) -> float:
        """Return the seconds until the next start. ``ran_s``: how long the process had run."""
        self._ends = 1 if ran_s >= _STEADY_S else self._ends + 1
        return self._schedule.delay_s(self._ends)


def exit_code_of_all(codes: Iterable[int]) -> ExitCode:
    """Return the exit code of the supervisor for those of its workers; it sends SIGKILL at the deadline."""
    ends = set(codes)
    if ends <= {ExitCode.SUCCESS}:
        return ExitCode.SUCCESS
    if ExitCode.USAGE in ends:
        return ExitCode.USAGE
    if ends & {ExitCode.ABANDONED, -signal.SIGKILL}:
        return ExitCode.ABANDONED
    return ExitCode.FAILURE
