"""``hookferry console``: serve the API and the pages over what the topics contain."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli.run import file_or_option


@click.command(short_help="Serve the pages and the API: find, send again, switch.")
@file_or_option
def console(path: Path) -> None:
    """Serve pages and an API with every attempt, parked events, jobs, switches and lag, until Ctrl-C.

    FILE is the configuration of the bridges, the same as --config; its section `console` has the address, the
    store and the logins. The store is built from the topics: it can be deleted at any time.
    """
    import asyncio
    import os
    import signal

    import uvloop

    from bridge.console.console import Console
    from bridge.console.pages.app import pages
    from bridge.http.event_loop import EventLoop
    from bridge.settings import load_for, uses
    from bridge.telemetry import logs

    settings = load_for(path, os.environ, uses.CONSOLE)
    logs.set_up(settings.log.level, settings.log.format)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await Console(settings, path, pages).run(stop)

    uvloop.run(serve(), loop_factory=EventLoop)
