"""Retry a write until the broker acknowledges it. The offset must not be committed before that.

``park.py`` uses it for dead letters, ``lane_holds.py`` for holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bridge.errors import HookferryError
from bridge.telemetry.sparse_log import SparseLog

_DELAYS_S = (0.2, 1.0, 5.0)
_SLOW_DELAYS_S = (1.0, 5.0, 15.0)
"""For a record that is too large until an operator acts: each try sends all of it."""
_REMEDY = "fix the cause; the write is retried, and the offset waits for it"


async def write_durably(
    write: Callable[[], Awaitable[None]],
    refusal: type[HookferryError],
    keep_trying: Callable[[], bool],
    sparse_log: SparseLog,
    failed_event: str,
    **fields: str,
) -> bool:
    """Return True once ``write`` succeeded, False if ``keep_trying()`` returned False first.

    Only a ``refusal`` is retried. The first one is logged as ``failed_event`` with ``fields``, and each
    later one that has another remedy; ``sparse_log`` leaves some out.
    """
    failures, logged = 0, ""
    while True:
        try:
            await write()
        except refusal as exc:
            remedy = exc.remedy or _REMEDY
            if remedy != logged:
                logged = remedy
                sparse_log.error(failed_event, **fields, cause=str(exc), remedy=remedy)
            delays_s = _SLOW_DELAYS_S if exc.remedy else _DELAYS_S
            await asyncio.sleep(delays_s[min(failures, len(delays_s) - 1)])
            failures += 1
            if not keep_trying():
                return False
        else:
            return True
