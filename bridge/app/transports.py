"""The connections of the endpoints, and those that give way to others when a configuration changes.

Invariant: a transport that is replaced is closed only when no request of it can be in flight any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bridge.http import Transport
from bridge.settings import Settings

_MARGIN_S = 1.0


class Transports:
    """The transport of each endpoint."""

    def __init__(self, by_name: Mapping[str, Transport]) -> None:
        self._in_use = dict(by_name)
        self._retired: dict[asyncio.Task[None], Transport] = {}

    def adopt(self, others: Mapping[str, Transport], before: Settings) -> None:
        """Use these from now on. ``before``: the settings that were in force."""
        for name, transport in others.items():
            if name in self._in_use and name in before.endpoints:
                self.retire(name, before.endpoints[name].timeout_s)
            self._in_use[name] = transport

    def retire(self, name: str, after_s: float) -> None:
        """Close the transport of an endpoint after so many seconds: its requests have ended by then."""
        transport = self._in_use.pop(name, None)
        if transport is None:
            return
        task = asyncio.get_running_loop().create_task(
            self._close_later(transport, after_s + _MARGIN_S), name=f"{name}-retired"
        )
        self._retired[task] = transport
        task.add_done_callback(lambda task: self._retired.pop(task, None))

    async def close(self) -> None:
        """Close all, at the end of the process."""
        retired = dict(self._retired)
        for task in retired:
            task.cancel()
        for transport in (*self._in_use.values(), *retired.values()):
            await transport.close()

    async def _close_later(self, transport: Transport, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await transport.close()
