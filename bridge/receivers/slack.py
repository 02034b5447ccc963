"""The preset for Slack's incoming webhooks: blocks, and a text for notifications.

Escaping and mentions: Slack, "Formatting text for app surfaces". Limits: Slack, Block Kit reference
(header 150 characters, ten fields in a section, 2,000 in a field).
"""

from __future__ import annotations

from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers.answers import body_text, endpoint_off, not_accepted
from bridge.receivers.fit import FOOTER, LABEL, SUMMARY, TITLE, VALUE, fit
from bridge.receivers.markup import slack as escape
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import build_notice
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
    """Render the message of an event."""
    return to_json(message(build_notice(event)))


def message(notice: Notice) -> dict[str, Any]:
    """Build a header, the fields in two columns, and the origin in small print."""
    mark = _MARKS[notice.tone]
    header = {"type": "plain_text", "text": fit(mark + notice.title, TITLE, escape), "emoji": False}
    fields = [
        _mrkdwn(f"*{fit(field.label, LABEL, escape)}*\n{fit(field.value, VALUE, escape)}")
        for field in notice.fields
    ]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": header}]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    blocks.append({"type": "context", "elements": [_mrkdwn(fit(notice.footer, FOOTER, escape))]})
    return {"text": fit(notice.summary, SUMMARY, escape), "blocks": blocks}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def judge(response: Response, default: Judgement) -> Judgement:
    """Judge only 200 with ``ok`` as success; some error words mean that the webhook is gone."""
    word = body_text(response)
    if default.verdict is Verdict.DELIVERED:
        confirmed = response.status == 200 and word == "ok"
        return default if confirmed else not_accepted(response, "Slack confirms a message with ok")
    if not 400 <= response.status < 500 or response.status == 429:
        return default
    if word in NEVER_AGAIN:
        return endpoint_off(default, "create a new webhook in Slack and set its URL as url")
    refused = word in NOT_THIS_EVENT and default.verdict is Verdict.AGAIN
    return default._replace(verdict=Verdict.PARK) if refused else default


def rates(url: Url) -> tuple[str, ...]:
    """Return Slack's limit, one message per second."""
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
