"""Read how many CPUs the process may use: by its affinity, and by the quota of its control group."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bridge.app.control_group import group_folders


def usable_cpus(root: Path = Path("/")) -> int:
    """Return the number of whole CPUs that the process may use, at least 1.

    A quota of one and a half CPUs is one: a second worker would be stopped by the kernel half of the time.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in group_folders(root, "cpu") if (quota := _quota(folder)) is not None]
    return max(1, int(min([affinity, *quotas])))


def _quota(folder: Path) -> float | None:
    """Return the CPUs that a group may use; None without a limit ("max", or -1 with version 1)."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        return quota_us / int((folder / "cpu.cfs_period_us").read_text()) if quota_us > 0 else None
    return None
