"""A simulated Slack workspace with one incoming webhook.

Checks a message by Slack's Block Kit reference, and keeps it as plain text.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from bridge.demo.receivers import SEEN, Refused, Reply, length

_CONTROL = re.compile(r"<[^<>]*>")
_BURST = 5
_LONGEST_TEXT = 40_000


class Slack:
    """One channel. While ``trouble`` is set, every message gets that answer."""

    def __init__(self, path: str = "/services/T00000000/B00000000/demo") -> None:
        self.path = path
        self.shown: deque[str] = deque(maxlen=SEEN)
        self.controls: list[str] = []
        """Mentions, channels and links of the messages: the text in angle brackets."""
        self.trouble: Reply | None = None
        self._allowance, self._at_s = float(_BURST), -math.inf

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        """Answer as Slack does: ``ok``, or the name of the error."""
        if target.partition("?")[0] != self.path:
            return Reply(404, "no_service")
        if self.trouble is not None:
            return self.trouble
        if (wait_s := self._wait_s(now_s)) > 0:
            return Reply(429, "rate_limited", {"Retry-After": str(math.ceil(wait_s))})
        try:
            shown = self._read(headers, body)
        except Refused as refused:
            return refused.reply
        self.controls += _CONTROL.findall(f"{_notification(body)}\n{shown}")
        self.shown.append(html.unescape(shown))
        return Reply(200, "ok")

    def _wait_s(self, now_s: float) -> float:
        """One a second; who was quiet may send a few at once."""
        self._allowance = min(float(_BURST), self._allowance + max(0.0, now_s - self._at_s))
        self._at_s = now_s
        if self._allowance < 1:
            return 1 - self._allowance
        self._allowance -= 1
        return 0.0

    def _read(self, headers: Mapping[str, str], body: bytes) -> str:
        if not headers.get("content-type", "").startswith("application/json"):
            raise Refused(Reply(400, "invalid_payload"))
        try:
            message = json.loads(body.decode())
        except ValueError:
            raise Refused(Reply(400, "invalid_payload")) from None
        if not isinstance(message, dict):
            raise Refused(Reply(400, "invalid_payload"))
        text, blocks = message.get("text"), message.get("blocks")
        if not text and not blocks:
            raise Refused(Reply(400, "no_text"))
        if text is not None and not 0 <= length(text) <= _LONGEST_TEXT:
            raise Refused(Reply(400, "invalid_payload"))
        if len(message.get("attachments", ())) > 100:
            raise Refused(Reply(400, "too_many_attachments"))
        if blocks is None:
            return str(text)
        if not isinstance(blocks, list) or not 1 <= len(blocks) <= 50:
            raise Refused(Reply(400, "invalid_blocks"))
        return "\n".join(_block(block) for block in blocks)


def _notification(body: bytes) -> str:
    return str(json.loads(body).get("text", ""))


def _block(block: Any) -> str:
    match block:
        case {"type": "header", "text": {"type": "plain_text"} as text}:
            return _text(text, 150)
        case {"type": "section", "fields": [_, *_] as fields} if len(fields) <= 10:
            head = [_text(block["text"], 3000)] if "text" in block else []
            return "\n".join([*head, *(_text(field, 2000) for field in fields)])
        case {"type": "section", "text": text}:
            return _text(text, 3000)
        case {"type": "context", "elements": [_, *_] as elements} if len(elements) <= 10:
            return " ".join(_text(element, 3000) for element in elements)
        case {"type": "divider"}:
            return "---"
        case _:
            raise Refused(Reply(400, "invalid_blocks"))


def _text(text: Any, longest: int) -> str:
    match text:
        case {"type": "plain_text" | "mrkdwn" as kind, "text": str() as shown}:
            allowed = {"type", "text", "emoji" if kind == "plain_text" else "verbatim"}
            if text.keys() <= allowed and 1 <= length(shown) <= longest:
                return shown
    raise Refused(Reply(400, "invalid_blocks"))
