"""The web application of the console without a server: one request at a time, through the whole of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from bridge.console.access import Logins
from bridge.console.api.app import build_web
from bridge.console.ports import Actions, Reads
from bridge.core.web_access import WebAccess
from bridge.settings.models.console import ConsoleSettings

READ_TOKEN, OPERATE_TOKEN, FEED_TOKEN = "r" * 20, "o" * 20, "f" * 20
WITH_LOGIN: dict[str, Any] = {
    "host": "0.0.0.0",
    "tokens": {
        "ann": {"token": OPERATE_TOKEN, "role": "operate"},
        "rob": {"token": READ_TOKEN},
    },
    "feeds": {"crm": FEED_TOKEN},
}


class Client:
    """Sends requests to the application of some reads and actions."""

    def __init__(
        self, reads: Reads, actions: Actions, settings: Mapping[str, Any], logins: Logins | None = None
    ) -> None:
        logins = logins or Logins(ConsoleSettings(**settings))
        app = build_web(
            reads, actions, logins, WebAccess(["console.bank"], "console.hosts"), lambda: (True, "ready")
        )
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    async def send(
        self, method: str, target: str, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """Return the answer to a request, with ``token`` as bearer token."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        async with httpx.AsyncClient(transport=self._transport, base_url="http://127.0.0.1:8090") as client:
            return await client.request(method, target, headers=headers, **more)
