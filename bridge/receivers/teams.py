"""The presets for Microsoft Teams: a workflow's Adaptive Card, and the older connector's card.

A workflow answers 202. A connector answers 200 even after a failure, and only its body contains the
error, so the body is read.
"""

from __future__ import annotations

import re
from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers.answers import body_text, endpoint_off, judge_status, not_accepted
from bridge.receivers.fit import FOOTER, LABEL, SUMMARY, TITLE, VALUE, Escape, fit
from bridge.receivers.markup import adaptive, teams
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import build_notice
from bridge.rendering import to_json

CONNECTOR_HOSTS = (".webhook.office.com", "outlook.office.com")
WORKFLOW_HOSTS = (".logic.azure.com", ".api.powerplatform.com")
_COLOURS = {Tone.GOOD: "2EB67D", Tone.NEUTRAL: "5B7083", Tone.BAD: "E01E5A"}
_STYLES = {Tone.GOOD: "Good", Tone.NEUTRAL: "Default", Tone.BAD: "Attention"}
_FAILED = re.compile(r"HTTP error (\d{3})", re.IGNORECASE)


def _facts(notice: Notice, label: str, escape: Escape) -> list[dict[str, str]]:
    return [
        {label: fit(field.label, LABEL, escape), "value": fit(field.value, VALUE, escape)}
        for field in notice.fields
    ]


def card(notice: Notice) -> dict[str, Any]:
    """Build the message envelope with one Adaptive Card."""
    blocks: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": fit(notice.title, TITLE, adaptive),
            "size": "Large",
            "weight": "Bolder",
            "color": _STYLES[notice.tone],
            "wrap": True,
        }
    ]
    if notice.fields:
        blocks.append({"type": "FactSet", "facts": _facts(notice, "title", adaptive)})
    small = {"size": "Small", "isSubtle": True, "wrap": True}
    blocks.append({"type": "TextBlock", "text": fit(notice.footer, FOOTER, adaptive), **small})
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
        "msteams": {"width": "Full"},
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "summary": fit(notice.summary, SUMMARY),
        "attachments": [{"contentType": kind, "contentUrl": None, "content": content}],
    }


def message_card(notice: Notice) -> dict[str, Any]:
    """Build the connector's card."""
    return {
        "@type": "MessageCard",
        "@context": "https://schema.org/extensions",
        "themeColor": _COLOURS[notice.tone],
        "summary": fit(notice.summary, SUMMARY),
        "title": fit(notice.title, TITLE, teams),
        "sections": [
            {
                "facts": _facts(notice, "name", teams),
                "text": fit(notice.footer, FOOTER, teams),
                "markdown": True,
            }
        ],
    }


def workflow_body(event: Event) -> bytes:
    """Render the message of an event for a workflow."""
    return to_json(card(build_notice(event)))


def connector_body(event: Event) -> bytes:
    """Render the message of an event for a connector."""
    return to_json(message_card(build_notice(event)))


def judge_workflow(response: Response, default: Judgement) -> Judgement:
    """Judge only 202 as success; 404 means that the flow was deleted."""
    if default.verdict is Verdict.DELIVERED and response.status != 202:
        return not_accepted(
            response, "a workflow confirms a card with 202; remove Response actions from the flow"
        )
    if response.status == 404 and default.verdict is not Verdict.OFF:
        return endpoint_off(default, "the flow was deleted: create a new one and set its URL as url")
    return default


def judge_connector(response: Response, default: Judgement) -> Judgement:
    """Judge only 200 with the body 1 as success; judge a 200 with an error text by the status in the text."""
    if default.verdict is Verdict.OFF:
        return default
    if default.verdict is Verdict.DELIVERED:
        text = body_text(response)
        if response.status == 200 and text == "1":
            return default
        failed = _FAILED.search(text)
        if failed is None or 200 <= int(failed[1]) < 300:
            return not_accepted(response, "a connector confirms a card with 200 and 1")
        judgement = judge_status(int(failed[1]))
        default = judgement._replace(reason=f"status {response.status}, but {text}")
        return _gone(default) if int(failed[1]) == 404 else default
    return _gone(default) if response.status == 404 else default


def _gone(default: Judgement) -> Judgement:
    return endpoint_off(default, "the connector was deleted: create a workflow and set preset: teams")


def connector_rates(url: Url) -> tuple[str, ...]:
    """Return all limits of a connector; they apply together."""
    return ("4/1s", "60/30s", "100/1h", "150/2h", "1800/1d")


TEAMS = Preset(
    name="teams",
    receiver="Microsoft Teams workflow",
    render=as_json(workflow_body),
    judge=judge_workflow,
    escape=adaptive,
    verifies=False,
)
TEAMS_CONNECTOR = Preset(
    name="teams-connector",
    receiver="Microsoft Teams connector (the older kind)",
    render=as_json(connector_body),
    judge=judge_connector,
    rates=connector_rates,
    escape=teams,
    verifies=False,
)
