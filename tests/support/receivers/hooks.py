"""A simulated receiver of Fineract's old hooks, and one of Standard Webhooks."""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from bridge.demo.receivers import SEEN, Reply

_KEYS = {"entityName", "actionName", "request", "response", "timestamp"}


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Signs requests to the simulated receiver of Standard Webhooks."""


def now_signed() -> tuple[int, bytes]:
    """Return the current time and the key to sign with: the reference library requires the real time."""
    return int(time.time()), base64.b64decode(SECRET.removeprefix("whsec_"))


class FineractHook:
    """Reads the three headers and the ids, like receivers of hooks."""

    def __init__(self, path: str = "/hook") -> None:
        self.path = path
        self.shown: deque[str] = deque(maxlen=SEEN)

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        entity, action = headers.get("x-fineract-entity"), headers.get("x-fineract-action")
        tenant = headers.get("fineract-platform-tenantid")
        if not (entity and action and tenant):
            return Reply(400, "a header is missing")
        try:
            payload = json.loads(body.decode())
        except ValueError:
            return Reply(400, "not JSON")
        if not payload.keys() >= _KEYS or (payload["entityName"], payload["actionName"]) != (entity, action):
            return Reply(400, "not a hook")
        ids = payload["response"]
        if not isinstance(ids, dict) or not isinstance(ids.get("changes"), dict):
            return Reply(400, "no response")
        datetime.fromisoformat(payload["timestamp"])
        about = ", ".join(f"{name} {value}" for name, value in ids.items() if name != "changes")
        self.shown.append(f"{entity} {action} ({tenant}): {about}")
        return Reply(200)


class Standard:
    """Verifies signatures with the reference library and reads type, timestamp and data."""

    def __init__(self, secret: str, path: str = "/hooks") -> None:
        self.path = path
        self.shown: deque[str] = deque(maxlen=SEEN)
        self._webhook = Webhook(secret)

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        try:
            payload: Any = self._webhook.verify(body, dict(headers))
        except WebhookVerificationError as exc:
            return Reply(401, str(exc))
        if not {"type", "timestamp", "data"} <= payload.keys():
            return Reply(400, "not a standard payload")
        self.shown.append(f"{payload['type']} {payload['timestamp']}")
        return Reply(200)
