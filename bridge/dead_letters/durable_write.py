"""Writing with patience: what must be at the broker before an offset moves, however long that takes.

Between the path and the edges that write: ``park.py`` uses it for dead letters, ``lane_holds.py`` for holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bridge.errors import HookferryError

_log = structlog.get_logger()
_WAITS_S = (0.2, 1.0, 5.0)


async def tries_until_safe(
    write: Callable[[], Awaitable[None]],
    refusal: type[HookferryError],
    keep_trying: Callable[[], bool],
    failed: str,
    **about: str,
) -> int:
    """Write, and again after every ``refusal``, until it worked: on which try, counted from 1.

    0 when it did not work and ``keep_trying`` says no. The first failure is logged as ``failed``.
    """
    tries = 1
    while True:
        try:
            await write()
        except refusal as exc:
            if tries == 1:
                _log.error(failed, **about, cause=str(exc), remedy="the offset is held until it works")
            await asyncio.sleep(_WAITS_S[min(tries, len(_WAITS_S)) - 1])
            if not keep_trying():
                return 0
            tries += 1
        else:
            return tries
