"""A simulated Teams channel, reached through a workflow or through a connector of the older kind."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from bridge.demo.receivers import SEEN, Refused, Reply, Windows

LARGEST_BYTES = 28 * 1024
_FAILED = (
    "Webhook message delivery failed with error:"
    " Microsoft Teams endpoint returned HTTP error {status} with ContextId MS-CV=0."
)


class Workflow:
    """A flow that posts the card, with the trigger "When a Teams webhook request is received"."""

    def __init__(self, path: str = "/workflows/demo/triggers/manual/paths/invoke", sig: str = "demo") -> None:
        self.path, self.sig = path, sig
        self.shown: deque[str] = deque(maxlen=SEEN)
        self.trouble: Reply | None = None

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        path, _, query = target.partition("?")
        if path != self.path:
            return Reply(404, '{"error":{"code":"WorkflowNotFound"}}')
        if f"sig={self.sig}" not in query.split("&"):
            return Reply(401, '{"error":{"code":"DirectApiAuthorizationRequired"}}')
        if self.trouble is not None:
            return self.trouble
        if len(body) > LARGEST_BYTES:
            return Reply(413, '{"error":{"code":"RequestEntityTooLarge"}}')
        try:
            self.shown.append(_envelope(_json(headers, body)))
        except Refused as refused:
            return refused.reply
        return Reply(202)


def _json(headers: Mapping[str, str], body: bytes) -> Any:
    if not headers.get("content-type", "").startswith("application/json"):
        raise Refused(Reply(400, "content type"))
    try:
        return json.loads(body.decode())
    except ValueError:
        raise Refused(Reply(400, "Bad payload received by generic incoming webhook.")) from None


def _envelope(message: Any) -> str:
    match message:
        case {"type": "message", "attachments": [{"contentType": kind, "content": content}]} if (
            kind == "application/vnd.microsoft.card.adaptive"
        ):
            return _card(content)
    raise Refused(Reply(400, "no adaptive card in attachments"))


def _card(card: Any) -> str:
    match card:
        case {"type": "AdaptiveCard", "version": "1.0" | "1.2" | "1.4" | "1.5", "body": [_, *_] as blocks}:
            return "\n".join(_block(block) for block in blocks)
    raise Refused(Reply(400, "not an adaptive card"))


def _block(block: Any) -> str:
    match block:
        case {"type": "TextBlock", "text": str(text)} if text:
            if block.get("color", "Default") in {"Default", "Good", "Attention", "Warning", "Accent"}:
                return text
        case {"type": "FactSet", "facts": [_, *_] as facts}:
            return "\n".join(_fact(fact, "title") for fact in facts)
    raise Refused(Reply(400, "a card element is not valid"))


def _fact(fact: Any, label: str) -> str:
    if isinstance(fact, dict) and fact.keys() == {label, "value"}:
        name, value = fact[label], fact["value"]
        if isinstance(name, str) and name and isinstance(value, str) and value:
            return f"{name}: {value}"
    raise Refused(Reply(400, "a fact is not valid"))


class Connector:
    """An incoming webhook of the older kind: it answers 200 whether or not the message is posted."""

    def __init__(self, path: str = "/webhookb2/demo/IncomingWebhook/demo/demo") -> None:
        self.path = path
        self.shown: deque[str] = deque(maxlen=SEEN)
        self.failing: int | None = None
        """The real status of Teams, which the body of the 200 contains."""
        self._windows = Windows((4, 1.0), (60, 30.0), (100, 3600.0), (150, 7200.0), (1800, 86_400.0))

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        if target.partition("?")[0] != self.path:
            return Reply(404, "Invalid webhook URL - connector not found.")
        if self.failing is not None:
            return Reply(200, _FAILED.format(status=self.failing))
        if self._windows.wait_s(now_s) > 0:
            return Reply(200, _FAILED.format(status=429))
        self._windows.take(now_s)
        if len(body) > LARGEST_BYTES:
            return Reply(413, "Request Entity Too Large")
        try:
            self.shown.append(_message_card(_json(headers, body)))
        except Refused as refused:
            return refused.reply
        return Reply(200, "1")


def _message_card(card: Any) -> str:
    if not isinstance(card, dict) or card.get("@type") != "MessageCard" or "@context" not in card:
        raise Refused(Reply(400, "Bad payload received by generic incoming webhook."))
    if not card.get("summary") and not card.get("text"):
        raise Refused(Reply(400, "Summary or Text is required."))
    colour = card.get("themeColor", "000000")
    if not (isinstance(colour, str) and len(colour) == 6):
        raise Refused(Reply(400, "themeColor"))
    lines = [str(card.get("title", ""))]
    for section in card.get("sections", ()):
        lines += [_fact(fact, "name") for fact in section.get("facts", ())]
        lines.append(section.get("text", ""))
    return "\n".join(lines)
