"""A memory limit of the kernel for one process, as a container has it, where this machine allows one.

A control group is made below that of the tests. Version 1 allows that to root; version 2 only in a group
without processes, which tests rarely have. Elsewhere a test measures the resident memory instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_MOUNTED = Path("/sys/fs/cgroup/memory")


class MemoryLimit:
    """The limit of a control group, or none."""

    def __init__(self, limit_bytes: int, group: Path | None) -> None:
        self.limit_bytes = limit_bytes
        self._group = group

    @property
    def is_real(self) -> bool:
        """Return True if the kernel kills a process that exceeds it."""
        return self._group is not None

    @property
    def launcher(self) -> Sequence[str]:
        """The words in front of a command that run it under the limit from its first byte on."""
        if self._group is None:
            return ()
        return ("sh", "-c", f'echo $$ > {self._group}/cgroup.procs && exec "$@"', "sh")

    def settings(self) -> dict[str, str]:
        """Return what the configuration needs: without a real limit, the budget that would follow from it."""
        return {} if self.is_real else {"memory_budget": f"{self.limit_bytes * 7 // 10 >> 20}MiB"}


@contextmanager
def memory_limit(limit_bytes: int) -> Iterator[MemoryLimit]:
    """Make a group with this limit; without the right to, yield a limit that is not real."""
    group = _make(limit_bytes)
    try:
        yield MemoryLimit(limit_bytes, group)
    finally:
        if group is not None:
            _remove(group)


def _make(limit_bytes: int) -> Path | None:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        (path,) = (line.split(":", 2)[2] for line in lines if line.split(":")[1] == "memory")
        group = _MOUNTED / path.strip("/") / f"hookferry-test-{os.getpid()}-{time.monotonic_ns()}"
        group.mkdir()
    except (OSError, ValueError):
        return None
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
    except OSError:
        _remove(group)
        return None
    return group


def _remove(group: Path) -> None:
    """Remove a group, a moment after its last process has ended."""
    for _ in range(50):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
