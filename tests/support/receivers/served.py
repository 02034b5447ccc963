"""Serve a simulated receiver on a loopback port, in its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from bridge.demo.receivers import Simulator
from tests.support.receivers.__main__ import app_of


@contextmanager
def served(simulator: Simulator) -> Iterator[str]:
    """Yield the origin at which the simulator answers."""
    loop, started, origin = asyncio.new_event_loop(), threading.Event(), list[str]()
    runner = web.AppRunner(app_of(simulator), handle_signals=False)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        origin.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        started.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert started.wait(10)
        yield origin[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
