"""The admin port: /metrics, /healthz for the process, /readyz for its place in the group, /limits, keys.

Health never depends on Kafka or on an endpoint: restarting a bridge fixes neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bridge.errors import ConfigError


class AdminServer:
    """Serves the admin port.

    ``ready`` returns whether the process is ready, and one line for a person. ``limits`` returns the document
    of /limits. ``public_keys`` returns the JSON Web Key Set of the endpoints' Ed25519 keys.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Callable[[], tuple[bool, str]],
        limits: Callable[[], Mapping[str, object]],
        public_keys: Callable[[], Mapping[str, object]] = lambda: {"keys": []},
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._ready = ready
        self._limits = limits
        self._public_keys = public_keys
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/limits", self._show_limits)
        app.router.add_get("/.well-known/jwks.json", self._show_public_keys)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        """Start to listen. Raises ``ConfigError`` if the port is in use."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as exc:
            await self._runner.cleanup()
            raise ConfigError(
                [f"admin.port {self._port}: cannot listen on {self._host} ({exc.strerror}); choose another"]
            ) from exc

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()

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
