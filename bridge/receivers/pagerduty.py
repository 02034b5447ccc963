"""The preset for PagerDuty's Events API v2: one alert per event.

``dedup_key`` is the event's webhook id. So a retry, or a repetition after a crash, is the same alert, and
no event is merged into the alert of another event of the same type and entity.
"""

from __future__ import annotations

from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers.answers import not_accepted
from bridge.receivers.fit import LABEL, fit, one_line
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import build_notice
from bridge.rendering import to_json

KEY_FIELD = "routing_key"
_SEVERITIES = {Tone.GOOD: "info", Tone.NEUTRAL: "info", Tone.BAD: "warning"}
_SUMMARY = 1024
_PART = 255
_DETAIL = 4000


def body(event: Event) -> bytes:
    """Render the alert of an event without its routing key, which is inserted when it is sent."""
    return to_json(alert(event, build_notice(event)))


def alert(event: Event, notice: Notice) -> dict[str, Any]:
    """Build the request body of ``/v2/enqueue``; the fields become custom details."""
    payload = {
        "summary": fit(notice.summary, _SUMMARY),
        "severity": _SEVERITIES[notice.tone],
        "source": fit(one_line(event.tenant or "") or event.source, _PART),
        "component": fit(one_line(event.entity or ""), _PART),
        "group": fit(event.source, _PART),
        "class": fit(one_line(event.type), _PART),
        "timestamp": event.time,
        "custom_details": {
            **{fit(field.label, LABEL): fit(field.value, _DETAIL) for field in notice.fields},
            "Event": fit(event.id, _PART),
        },
    }
    return {
        "event_action": "trigger",
        "dedup_key": event.webhook_id,
        "client": "Hookferry",
        "payload": {name: value for name, value in payload.items() if value},
    }


def judge(response: Response, default: Judgement) -> Judgement:
    """Judge only 202 as success."""
    if default.verdict is Verdict.DELIVERED and response.status != 202:
        return not_accepted(response, "PagerDuty confirms an event with 202")
    return default


def rates(url: Url) -> tuple[str, ...]:
    """Return PagerDuty's limit, about 120 events per minute and routing key."""
    return ("120/1m",)


PAGERDUTY = Preset(
    name="pagerduty",
    receiver="PagerDuty Events API v2",
    render=as_json(body),
    judge=judge,
    rates=rates,
    verifies=False,
    key_field=KEY_FIELD,
)
