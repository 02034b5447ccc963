"""Become ``hookferry console`` as the child of a bridge: it ends when that bridge ends, however it ends.

Invariant: a bridge that is killed leaves no console that holds its port and its files.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of linux/prctl.h; it is kept through execve


def main(parent: int, arguments: list[str]) -> None:
    """Run ``python -m bridge`` with these arguments in place of this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_SIGNAL_OF_PARENTS_DEATH, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended before the line above
            return
    os.execv(sys.executable, [sys.executable, "-m", "bridge", *arguments])  # noqa: S606  # no shell: a list


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
