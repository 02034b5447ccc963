"""A simulated Zapier catch hook: accepts any JSON, and shows the fields that a Zap can use."""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.demo.receivers import SEEN, Reply, Windows

_LARGEST_BYTES = 10_000_000


class Zapier:
    """One Zap. ``gone``: its owner deleted it. ``old``: its URL has no user id."""

    def __init__(self, path: str = "/hooks/catch/1234567/demo/", *, old: bool = False) -> None:
        self.path = path
        self.shown: deque[str] = deque(maxlen=SEEN)
        self.fields: deque[dict[str, Any]] = deque(maxlen=SEEN)
        self.gone = False
        self._windows = Windows((1000, 300.0)) if old else Windows((30, 1.0))

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        """Answer as Zapier does: 200 with an id, before the Zap runs."""
        if self.gone or target.partition("?")[0] != self.path:
            return Reply(410, '{"status": "error", "message": "This hook is gone."}')
        if self._windows.wait_s(now_s) > 0:
            return Reply(429, '{"status": "error", "message": "Too many requests."}')
        self._windows.take(now_s)
        if len(body) > _LARGEST_BYTES:
            return Reply(413, '{"status": "error"}')
        try:
            caught = json.loads(body.decode())
        except ValueError:
            return Reply(400, '{"status": "error", "message": "Unable to parse JSON."}')
        fields = dict(_fields("", caught))
        self.fields.append(fields)
        self.shown.append("\n".join(f"{name}: {value}" for name, value in fields.items()))
        answer = {"status": "success", "id": str(uuid.uuid4()), "attempt": str(uuid.uuid4())}
        return Reply(200, json.dumps(answer))


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of Zapier's editor: nested names are joined by two underscores; null is left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(f"{name}__{key}" if name else key, inner)
    elif value is not None:
        yield name or "value", value
