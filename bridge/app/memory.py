"""Read how much memory the process may use, and what it uses at rest.

The limit is that of the control group (version 2 or 1), which a container's limit sets, or the machine's
memory. Invariant: a file that cannot be read is no limit, and never an error.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from bridge.app.control_group import group_folders
from bridge.core.memory_budget import MemoryPlan, divide
from bridge.settings.models.values import memory_bytes
from bridge.telemetry import events

_log = structlog.get_logger()
_LIMIT_FILES = ("memory.max", "memory.high", "memory.limit_in_bytes")
"""Version 2: the limit, and where the kernel slows the process down. Version 1: the limit."""
_LEAST_BYTES = 32 * 1024 * 1024
_MIB = 1024 * 1024


class Limit(NamedTuple):
    """The memory that the process may use, in bytes, and the place of the limit."""

    bytes: int
    source: str


def read_limit(root: Path = Path("/")) -> Limit:
    """Return the lowest limit of the process: of its control group, of a group above it, or the machine's."""
    limits = [Limit(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the machine")]
    for folder in group_folders(root, "memory"):
        for name in _LIMIT_FILES:
            with suppress(OSError, ValueError):  # "max" is no limit
                limits.append(Limit(int((folder / name).read_text()), str(folder / name)))
    return min(limits, key=lambda limit: limit.bytes)


def resident_bytes() -> int:
    """Return the resident memory of the process; 0 where the system does not report it."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def plan_memory(setting: str, endpoints: int) -> MemoryPlan:
    """Divide the budget that ``memory_budget`` sets, and log it. Call it when all modules are loaded.

    ``endpoints``: their number.
    """
    limit, at_rest = read_limit(), resident_bytes()
    beyond_rest = memory_bytes(setting, limit.bytes) - at_rest
    plan = divide(max(beyond_rest, _LEAST_BYTES), endpoints)
    if beyond_rest < _LEAST_BYTES:
        _log.warning(
            events.MEMORY_LIMIT_LOW,
            memory_budget=setting,
            limit_bytes=limit.bytes,
            limit_source=limit.source,
            at_rest_bytes=at_rest,
            cause=f"less than {_LEAST_BYTES // _MIB} MiB are left beyond what the process uses at rest",
            remedy="raise the memory limit of the process, or memory_budget",
        )
    _log.info(
        events.MEMORY_PLANNED,
        memory_budget=setting,
        limit_bytes=limit.bytes,
        limit_source=limit.source,
        at_rest_bytes=at_rest,
        budget_bytes=plan.total,
        waiting_bytes=plan.windows,
        fetched_bytes=plan.fetch,
        history_bytes=plan.history,
    )
    return plan
