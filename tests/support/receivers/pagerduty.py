"""A simulated PagerDuty: the Events API v2, and the alerts that are open."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.demo.receivers import SEEN, Reply, Windows, length

_LARGEST_BYTES = 524_288
_THROTTLED = '{"status":"throttle exceeded","message":"Requests are arriving too quickly."}'
_SEVERITIES = {"critical", "error", "warning", "info"}


class PagerDuty:
    """One integration. ``open`` holds the alerts by deduplication key, with their events."""

    def __init__(self, routing_key: str = "0123456789abcdef0123456789abcdef") -> None:
        self.path = "/v2/enqueue"
        self.routing_key = routing_key
        self.shown: deque[str] = deque(maxlen=SEEN)
        self.open: dict[str, list[dict[str, Any]]] = {}
        self.trouble: Reply | None = None
        self._windows = Windows((120, 60.0))

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        if target != self.path:
            return Reply(404)
        if self.trouble is not None:
            return self.trouble
        if self._windows.wait_s(now_s) > 0:
            return Reply(429, _THROTTLED)
        self._windows.take(now_s)
        if len(body) > _LARGEST_BYTES:
            return Reply(413)
        try:
            event = json.loads(body.decode())
        except ValueError:
            return _invalid("JSON parse error")
        if errors := self._errors(event):
            return _invalid(*errors)
        key = event.get("dedup_key") or f"made-{len(self.open)}"
        if event["event_action"] == "trigger":
            self.open.setdefault(key, []).append(event["payload"])
            self.shown.append(event["payload"]["summary"])
        elif event["event_action"] == "resolve":
            self.open.pop(key, None)
        return Reply(202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key}))

    def _errors(self, event: Any) -> list[str]:
        if not isinstance(event, dict):
            return ["event is not an object"]
        errors = []
        key = event.get("routing_key")
        if not isinstance(key, str):
            errors.append("'routing_key' is missing or blank")
        elif len(key) != 32:
            errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        elif key != self.routing_key:
            errors.append("Invalid routing key")
        if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            errors.append("'event_action' is invalid")
        if not length(event.get("dedup_key", "")) <= 255:
            errors.append("Length of 'dedup_key' is incorrect")
        if event.get("event_action") == "trigger":
            errors += _payload_errors(event.get("payload"))
        return errors


def _payload_errors(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    errors = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not isinstance(payload.get(name), str) or not payload[name].strip()
    ]
    if length(payload.get("summary", "")) > 1024:
        errors.append("'payload.summary' is too long")
    if payload.get("severity") not in _SEVERITIES:
        errors.append("'payload.severity' is invalid")
    for name in ("component", "group", "class"):
        if not isinstance(payload.get(name, ""), str):
            errors.append(f"'payload.{name}' is invalid")
    try:
        datetime.fromisoformat(payload.get("timestamp", "2026-01-01T00:00:00Z"))
    except (TypeError, ValueError):
        errors.append("'payload.timestamp' is invalid")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' is invalid")
    return errors


def _invalid(*errors: str) -> Reply:
    document = {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors)}
    return Reply(400, json.dumps(document))
