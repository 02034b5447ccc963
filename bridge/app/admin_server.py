"""The admin port: /metrics, /healthz for the process, /readyz for its place in the group, /limits, keys.

Health never depends on Kafka or on an endpoint: restarting a bridge fixes neither.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bridge.app.admin_connection import AdminConnection, AdminLimits
from bridge.app.admin_listener import AdminListener, limits_of_process
from bridge.app.admin_tls import AdminTls
from bridge.core.web_access import Refusal, WebAccess
from bridge.errors import ConfigError
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_MOST_BODY_BYTES = 64 * 1024
_STOP_S = 2.0
_ALIVE = "/healthz"
"""Answers to every host: load balancers choose their own, and the answer contains nothing."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminServer:
    """Serves the admin port.

    ``ready`` returns whether the process is ready, and one line for a person. ``limits`` returns the document
    of /limits, ``public_keys`` the JSON Web Key Set of the endpoints' Ed25519 keys. ``hosts``: names by which
    clients reach the port. ``tls``: None for plain HTTP.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Callable[[], tuple[bool, str]],
        limits: Callable[[], Mapping[str, object]],
        public_keys: Callable[[], Mapping[str, object]] = lambda: {"keys": []},
        *,
        hosts: Sequence[str] = (),
        tls: AdminTls | None = None,
        client_limits: AdminLimits | None = None,
        prepare: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """``client_limits``: None for those that the process's limit of descriptors allows.

        ``prepare`` is awaited with the path of an accepted request, before it is answered; not for /healthz.
        """
        self._host = host
        self._port = port
        self._registry = registry
        self._ready = ready
        self._limits = limits
        self._public_keys = public_keys
        self._tls = tls
        self._prepare = prepare
        self._client_limits = client_limits or limits_of_process()
        self._access = WebAccess([*hosts, host, socket.gethostname()], "admin.hosts")
        self._throttle = Throttle()
        app = web.Application(client_max_size=_MOST_BODY_BYTES, middlewares=[self._mark_busy, self._guard])
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/limits", self._show_limits)
        app.router.add_get("/.well-known/jwks.json", self._show_public_keys)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_STOP_S)
        self._listener: AdminListener | None = None

    async def start(self) -> None:
        """Start to listen. Raises ``ConfigError`` if the port is in use."""
        await self._runner.setup()
        assert self._runner.server is not None
        tls = None if self._tls is None else self._tls.context
        self._listener = AdminListener(self._runner.server, self._client_limits, tls)
        try:
            await self._listener.listen(self._host, self._port)
        except OSError as exc:
            await self._runner.cleanup()
            raise ConfigError(
                [f"admin.port {self._port}: cannot listen on {self._host} ({exc.strerror}); choose another"]
            ) from exc

    async def stop(self) -> None:
        """Close the port."""
        if self._listener is not None:
            await self._listener.close()
        await self._runner.cleanup()

    @web.middleware
    async def _mark_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, AdminConnection)
        connection.begin()
        try:
            return await handler(request)
        finally:
            connection.end()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what a web page in an operator's browser could have sent."""
        headers = request.headers
        host = headers.get(hdrs.HOST)
        refusal = None if request.path == _ALIVE else self._access.check_host(host)
        refusal = refusal or self._access.check_change(
            request.method, host, headers.get(hdrs.ORIGIN), headers.get("Sec-Fetch-Site")
        )
        if refusal is not None:
            return self._refuse(refusal)
        if self._prepare is not None and request.path != _ALIVE:
            await self._prepare(request.path)
        return await handler(request)

    def _refuse(self, refusal: Refusal) -> web.Response:
        if self._throttle.allows(refusal.status):
            _log.warning(events.ADMIN_REFUSED, reason=refusal.text)
        return web.Response(status=refusal.status, text=f"{refusal.text}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        ready, what = self._ready()
        return web.Response(status=200 if ready else 503, text=f"{what}\n")

    async def _show_limits(self, _: web.Request) -> web.Response:
        return web.json_response(dict(self._limits()))

    async def _show_public_keys(self, _: web.Request) -> web.Response:
        return web.json_response(dict(self._public_keys()), content_type="application/jwk-set+json")


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Name the product without its version, and let browsers interpret nothing."""
    response.headers[hdrs.SERVER] = "hookferry"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
