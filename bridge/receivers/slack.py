"""The preset for Slack's incoming webhooks: blocks, and a text for notifications. Pure.

Escaping and mentions: Slack, "Formatting text for app surfaces". Limits: Slack, Block Kit reference
(header 150 characters, ten fields in a section, 2,000 in a field).
"""

from __future__ import annotations

from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers.answers import not_taken, off, said
from bridge.receivers.fit import FOOTER, LABEL, SUMMARY, TITLE, VALUE, fit
from bridge.receivers.markup import slack as escape
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import notice
from bridge.rendering import to_json

_MARKS = {Tone.GOOD: "✅ ", Tone.NEUTRAL: "", Tone.BAD: "⚠️ "}
NOT_THIS_EVENT = frozenset(
    {"invalid_payload", "user_not_found", "no_text", "invalid_blocks", "too_many_attachments"}
)
NEVER_AGAIN = frozenset(
    {
        "action_prohibited",
        "invalid_token",
        "channel_not_found",
        "no_service",
        "no_team",
        "no_active_hooks",
        "channel_is_archived",
    }
)


def body(event: Event) -> bytes:
    """The message of an event."""
    return to_json(message(notice(event)))


def message(told: Notice) -> dict[str, Any]:
    """A header, the fields in two columns, and where it comes from in small print."""
    mark = _MARKS[told.tone]
    header = {"type": "plain_text", "text": fit(mark + told.title, TITLE, escape), "emoji": False}
    fields = [
        _mrkdwn(f"*{fit(field.label, LABEL, escape)}*\n{fit(field.value, VALUE, escape)}")
        for field in told.fields
    ]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": header}]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    blocks.append({"type": "context", "elements": [_mrkdwn(fit(told.footer, FOOTER, escape))]})
    return {"text": fit(told.summary, SUMMARY, escape), "blocks": blocks}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def judge(response: Response, default: Judgement) -> Judgement:
    """Only 200 with ``ok`` is success; some words say that no message will ever be taken again."""
    word = said(response)
    if default.verdict is Verdict.DELIVERED:
        return default if response.status == 200 and word == "ok" else not_taken(response, "Slack says ok")
    if not 400 <= response.status < 500 or response.status == 429:
        return default
    if word in NEVER_AGAIN:
        return off(default, "make a new webhook in Slack, and give its url")
    refused = word in NOT_THIS_EVENT and default.verdict is Verdict.AGAIN
    return default._replace(verdict=Verdict.PARK) if refused else default


def rates(url: Url) -> tuple[str, ...]:
    """One message a second."""
    return ("1/1s",)


SLACK = Preset(
    name="slack",
    receiver="Slack incoming webhook",
    render=as_json(body),
    judge=judge,
    rates=rates,
    escape=escape,
    verifies=False,
)
