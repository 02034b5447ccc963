"""The presets for Microsoft Teams: a workflow's Adaptive Card, and the older connector's card. Pure.

A workflow answers 202. A connector answers 200 even when it failed and says so in the body, which
is why that is read.
"""

from __future__ import annotations

import re
from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers.answers import meaning, not_taken, off, said
from bridge.receivers.fit import FOOTER, LABEL, SUMMARY, TITLE, VALUE, Escape, fit
from bridge.receivers.markup import adaptive, teams
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import notice
from bridge.rendering import to_json

CONNECTOR_HOSTS = (".webhook.office.com", "outlook.office.com")
WORKFLOW_HOSTS = (".logic.azure.com", ".api.powerplatform.com")
_COLOURS = {Tone.GOOD: "2EB67D", Tone.NEUTRAL: "5B7083", Tone.BAD: "E01E5A"}
_STYLES = {Tone.GOOD: "Good", Tone.NEUTRAL: "Default", Tone.BAD: "Attention"}
_FAILED = re.compile(r"HTTP error (\d{3})", re.IGNORECASE)


def _facts(told: Notice, label: str, escape: Escape) -> list[dict[str, str]]:
    return [
        {label: fit(field.label, LABEL, escape), "value": fit(field.value, VALUE, escape)}
        for field in told.fields
    ]


def card(told: Notice) -> dict[str, Any]:
    """The message envelope with one Adaptive Card."""
    blocks: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": fit(told.title, TITLE, adaptive),
            "size": "Large",
            "weight": "Bolder",
            "color": _STYLES[told.tone],
            "wrap": True,
        }
    ]
    if told.fields:
        blocks.append({"type": "FactSet", "facts": _facts(told, "title", adaptive)})
    small = {"size": "Small", "isSubtle": True, "wrap": True}
    blocks.append({"type": "TextBlock", "text": fit(told.footer, FOOTER, adaptive), **small})
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
        "summary": fit(told.summary, SUMMARY),
        "attachments": [{"contentType": kind, "contentUrl": None, "content": content}],
    }


def message_card(told: Notice) -> dict[str, Any]:
    """The connector's card."""
    return {
        "@type": "MessageCard",
        "@context": "https://schema.org/extensions",
        "themeColor": _COLOURS[told.tone],
        "summary": fit(told.summary, SUMMARY),
        "title": fit(told.title, TITLE, teams),
        "sections": [
            {"facts": _facts(told, "name", teams), "text": fit(told.footer, FOOTER, teams), "markdown": True}
        ],
    }


def workflow_body(event: Event) -> bytes:
    """The message of an event, for a workflow."""
    return to_json(card(notice(event)))


def connector_body(event: Event) -> bytes:
    """The message of an event, for a connector."""
    return to_json(message_card(notice(event)))


def judge_workflow(response: Response, default: Judgement) -> Judgement:
    """Only 202 says that the flow runs; 404 that there is none any more."""
    if default.verdict is Verdict.DELIVERED and response.status != 202:
        return not_taken(response, "a workflow takes a card with 202; take Response actions out of the flow")
    if response.status == 404 and default.verdict is not Verdict.OFF:
        return off(default, "the flow is gone: make a new one, and give its url")
    return default


def judge_connector(response: Response, default: Judgement) -> Judgement:
    """Only 200 with the body 1; a 200 with an error in words is judged by the status it names."""
    if default.verdict is Verdict.OFF:
        return default
    if default.verdict is Verdict.DELIVERED:
        text = said(response)
        if response.status == 200 and text == "1":
            return default
        failed = _FAILED.search(text)
        if failed is None or 200 <= int(failed[1]) < 300:
            return not_taken(response, "a connector takes a card with 200 and 1")
        told = meaning(int(failed[1]))
        default = told._replace(reason=f"status {response.status}, but {text}")
        return _gone(default) if int(failed[1]) == 404 else default
    return _gone(default) if response.status == 404 else default


def _gone(default: Judgement) -> Judgement:
    return off(default, "the connector is gone: make a workflow, and set preset: teams")


def connector_rates(url: Url) -> tuple[str, ...]:
    """All windows of a connector at once."""
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
