"""Serve one simulated receiver on loopback and print what it shows or refuses.

``python -m tests.support.receivers slack [--port 9000]``; Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import time

from aiohttp import web

from bridge.demo.receivers import Simulator
from tests.support.receivers import SIMULATORS

QUERIES = {"teams": "?sig=demo"}


def app_of(simulator: Simulator) -> web.Application:
    """Return an application that passes every path to the simulator, which checks its own path."""

    async def post(request: web.Request) -> web.Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        before = len(simulator.shown)
        reply = simulator.answer(request.path_qs, headers, await request.read(), time.monotonic())
        shown = simulator.shown[-1] if len(simulator.shown) > before else "refused"
        print(f"{reply.status} {reply.body}\n{shown}\n", flush=True)
        return web.Response(status=reply.status, text=reply.body, headers=reply.headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", post)
    return app


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="a simulated receiver on the loopback")
    parser.add_argument("name", choices=sorted(SIMULATORS))
    parser.add_argument("--port", type=int, default=9000)
    chosen = parser.parse_args()
    simulator = SIMULATORS[chosen.name]()
    url = f"http://127.0.0.1:{chosen.port}{simulator.path}{QUERIES.get(chosen.name, '')}"

    def say_url(_: str) -> None:
        print(f"url: {url}", flush=True)

    try:
        web.run_app(app_of(simulator), host="127.0.0.1", port=chosen.port, print=say_url)
    except OSError as exc:
        parser.exit(2, f"cannot listen at port {chosen.port} ({exc.strerror}); give another with --port\n")


if __name__ == "__main__":
    main()
