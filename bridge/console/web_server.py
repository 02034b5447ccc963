"""Serve an ASGI application on a socket, with bounds on clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from bridge.errors import ConfigError

_BACKLOG = 128
_MOST_REQUESTS = 200
"""Requests and connections at a time; above it, clients get a 503."""
_IDLE_S = 30
_STOP_S = 3


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises ``ConfigError`` if the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        cause = f"console.port {port}: cannot listen on {host} ({exc.strerror or exc})"
        raise ConfigError([f"{cause}; choose another port, or stop the process that has it"]) from exc


class _Server(uvicorn.Server):
    """A server that leaves the signals of the process to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_server(app: ASGIApp) -> uvicorn.Server:
    """Return the server of an application; it stops once ``should_exit`` is set."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_STOP_S,
    )
    return _Server(config)
