"""A sample receiver: an HTTP server that verifies every webhook, as a customer's receiver does.

A receiver in Python needs only ``verify`` from this file. It shares no code with the bridge, so that the demo
proves the signatures and does not compare the bridge with itself.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiohttp import web

from bridge.demo.samples import Answer

TOLERANCE_S = 300
"""Refuse requests whose timestamp differs by more: a recorded request cannot be replayed later."""


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Return True if a webhook is genuine and recent (Standard Webhooks 1.0.0).

    ``headers`` have lower-case names, or are a mapping that ignores case; ``body`` is the raw body, before
    any parsing. The comparison runs in constant time.
    """
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (webhook_id and timestamp.isascii() and timestamp.isdigit()):
        return False
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(expected, signature.encode()) for signature in given)


class Webhook(NamedTuple):
    """One request that arrived. ``attempt`` counts requests with this id, ``at`` is monotonic seconds."""

    endpoint: str
    id: str
    type: str
    entity: str
    signed: bool
    attempt: int
    at: float


class Receiver:
    """Listens on a free loopback port, with one path per endpoint; ``add_to`` adds further services.

    ``answer`` returns the answer to a webhook; it is called in the order of arrival.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        answer: Callable[[Webhook], Answer],
        add_to: Callable[[web.Application], None],
    ) -> None:
        self._secrets = secrets
        self._answer = answer
        self._seen: Counter[tuple[str, str]] = Counter()
        app = web.Application()
        add_to(app)
        app.router.add_post("/{endpoint}", self._post)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self.origin = ""

    async def start(self) -> None:
        """Start to listen, and set ``origin``."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port and all connections."""
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        at, body, endpoint = time.monotonic(), await request.read(), request.match_info["endpoint"]
        if endpoint not in self._secrets:
            return web.Response(status=404)
        signed = verify(self._secrets[endpoint], request.headers, body, time.time())
        webhook_id = request.headers.get("webhook-id", "")
        self._seen[endpoint, webhook_id] += 1
        event = json.loads(body)
        status, text = self._answer(
            Webhook(
                endpoint,
                webhook_id,
                event["type"],
                event.get("entity", ""),
                signed,
                self._seen[endpoint, webhook_id],
                at,
            )
        )
        return web.Response(status=status, text=text)
