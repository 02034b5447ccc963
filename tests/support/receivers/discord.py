"""A simulated Discord channel with one webhook: its limits, rate buckets and error codes."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from bridge.demo.receivers import SEEN, Refused, Reply, Windows, length

_TEXTS = {"title": 256, "description": 4096}
_PING = re.compile(r"@everyone|@here|<@[!&]?\d+>")


class Discord:
    """One webhook. With ``wait`` the answer contains the message, without it the answer is 204."""

    def __init__(self, path: str = "/api/webhooks/100/demo") -> None:
        self.path = path
        self.shown: deque[str] = deque(maxlen=SEEN)
        self.pings: list[str] = []
        self.trouble: Reply | None = None
        self.global_wait_s = 0.0
        self._windows = Windows((5, 2.0))

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        path, _, query = target.partition("?")
        if path != self.path:
            return Reply(404, '{"message": "Unknown Webhook", "code": 10015}')
        if self.trouble is not None:
            return self.trouble
        wait_s = self.global_wait_s or self._windows.wait_s(now_s)
        if wait_s > 0:
            return self._limited(wait_s)
        self._windows.take(now_s)
        try:
            shown = self._read(headers, body)
        except Refused as refused:
            return refused.reply
        self.shown.append(shown)
        left = self._windows.left(now_s)
        rate = {
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset-After": f"{self._windows.wait_s(now_s) if left == 0 else 2.0:.3f}",
        }
        if "wait=true" in query.split("&"):
            return Reply(200, json.dumps({"id": "1", "type": 0}), rate)
        return Reply(204, "", rate)

    def _limited(self, wait_s: float) -> Reply:
        everywhere = self.global_wait_s > 0
        document = {"message": "You are being rate limited.", "retry_after": wait_s, "global": everywhere}
        headers = {"Retry-After": str(int(wait_s) + 1)} | (
            {"X-RateLimit-Global": "true"} if everywhere else {"X-RateLimit-Remaining": "0"}
        )
        return Reply(429, json.dumps(document), headers)

    def _read(self, headers: Mapping[str, str], body: bytes) -> str:
        if not headers.get("content-type", "").startswith("application/json"):
            raise Refused(Reply(400, '{"message": "Cannot send an empty message", "code": 50006}'))
        try:
            message = json.loads(body.decode())
        except ValueError:
            raise Refused(Reply(400, '{"message": "Invalid JSON.", "code": 50109}')) from None
        content, embeds = message.get("content", ""), message.get("embeds", [])
        if not content and not embeds:
            raise Refused(Reply(400, '{"message": "Cannot send an empty message", "code": 50006}'))
        _check(0 <= length(content) <= 2000 and isinstance(embeds, list) and len(embeds) <= 10)
        mentions = message.get("allowed_mentions")
        if mentions is None or "everyone" in mentions.get("parse", ()):
            self.pings += _PING.findall(content)  # mentions in an embed notify no user
        texts = [text for embed in embeds for text in _embed(embed)]
        _check(sum(map(length, texts)) <= 6000)
        return "\n".join([content, *texts] if content else texts)


def _embed(embed: Any) -> list[str]:
    _check(isinstance(embed, dict))
    texts = [_within(embed[name], longest) for name, longest in _TEXTS.items() if name in embed]
    fields = embed.get("fields", [])
    _check(isinstance(fields, list) and len(fields) <= 25)
    for field in fields:
        _check(field.keys() <= {"name", "value", "inline"} and isinstance(field.get("inline", False), bool))
        texts += [_within(field["name"], 256), _within(field["value"], 1024)]
    if "footer" in embed:
        texts.append(_within(embed["footer"]["text"], 2048))
    _check(isinstance(embed.get("color", 0), int) and 0 <= embed.get("color", 0) <= 0xFFFFFF)
    return texts


def _within(text: Any, longest: int) -> str:
    _check(isinstance(text, str) and bool(text.strip()) and length(text) <= longest)
    return str(text)


def _check(good: bool) -> None:
    if not good:
        raise Refused(Reply(400, '{"message": "Invalid Form Body", "code": 50035}'))
