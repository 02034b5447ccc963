"""The names of the endpoints, for the lists to choose from.

Invariant: they are read at most every few seconds, because reading them reads the figures of all endpoints.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from bridge.console.ports import Reads

_KEPT_S = 10.0


class EndpointNames:
    """The names, kept for a moment."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._names: Sequence[str] = ()
        self._until_s = 0.0

    async def all(self) -> Sequence[str]:
        """Return the names of all endpoints, sorted."""
        if time.monotonic() >= self._until_s:
            self._names = [state.name for state in await self._reads.endpoints()]
            self._until_s = time.monotonic() + _KEPT_S
        return self._names
