"""A receiver and a proxy that repeat each request in their error pages, in every encoding.

``EchoThread`` runs one next to a test that waits for processes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from itertools import count

from tests.support.canaries import ENCODERS
from tests.support.scripted_http import Peer, Received, ScriptedServer

STATUSES = (400, 401, 403, 404, 407, 410, 413, 422, 429, 500, 503)
PADDINGS = (0, 60, 120, 150, 170, 180, 186, 192, 196)
"""Characters before the request: a reason shows 200 bytes, and cuts what follows these anywhere."""
_REASONS = {407: "Proxy Authentication Required"}
_NOT_SECRET = {"host", "content-length", "content-type", "user-agent", "webhook-id", "webhook-timestamp"}


class Echo:
    """The script of a ``ScriptedServer``: a page per request, the next encoding and status with each one.

    ``statuses`` by path override the default. ``pages`` are the pages that were sent.
    """

    def __init__(self, statuses: Sequence[int] = STATUSES) -> None:
        self.statuses = statuses
        self.by_path: dict[str, int] = {}
        self.pages: list[bytes] = []
        self._numbers = count()

    async def __call__(self, peer: Peer, received: Received) -> None:
        number = next(self._numbers)
        names = [*ENCODERS]
        encode = ENCODERS[names[number % len(names)]]
        padding = PADDINGS[number // len(names) % len(PADDINGS)]
        parts = _parts(received)
        first = number // (len(names) * len(PADDINGS)) + number
        turned = [*parts[first % len(parts) :], *parts[: first % len(parts)]]
        page = ("-" * padding + encode(" ".join(turned))).encode("utf-8", "surrogatepass")
        self.pages.append(page)
        path = received.line.split()[1].partition("?")[0]
        status = next((known for prefix, known in self.by_path.items() if path.endswith(prefix)), None)
        status = status or self.statuses[number % len(self.statuses)]
        await peer.answer(f"{status} {_REASONS.get(status, 'Refused')}", page)


def _parts(received: Received) -> list[str]:
    headers = [f"{name}: {value}" for name, value in received.headers.items() if name not in _NOT_SECRET]
    return [received.line, *headers, received.body.decode("utf-8", "replace")]


class EchoThread:
    """An echo server on loopback in a thread of its own."""

    def __init__(self, echo: Echo) -> None:
        self._server = ScriptedServer(echo)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> int:
        """Start to listen; return the port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result(10)
        return self._server.port

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.__aexit__(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
