"""The preset for PagerDuty's Events API v2: one alert for an event. Pure.

``dedup_key`` is the event's webhook id: a retry, or a repetition after a crash, is the same alert,
and no event is swallowed by an alert that another one of the same type and entity has opened.
"""

from __future__ import annotations

from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers.answers import not_taken
from bridge.receivers.fit import LABEL, fit, one_line
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import notice
from bridge.rendering import to_json

KEY_FIELD = "routing_key"
_SEVERITIES = {Tone.GOOD: "info", Tone.NEUTRAL: "info", Tone.BAD: "warning"}
_SUMMARY = 1024
_PART = 255
_DETAIL = 4000


def body(event: Event) -> bytes:
    """The alert of an event, without its routing key: that is put in when it is sent."""
    return to_json(alert(event, notice(event)))


def alert(event: Event, told: Notice) -> dict[str, Any]:
    """What ``/v2/enqueue`` takes; the fields as custom details."""
    payload = {
        "summary": fit(told.summary, _SUMMARY),
        "severity": _SEVERITIES[told.tone],
        "source": fit(one_line(event.tenant or "") or event.source, _PART),
        "component": fit(one_line(event.entity or ""), _PART),
        "group": fit(event.source, _PART),
        "class": fit(one_line(event.type), _PART),
        "timestamp": event.time,
        "custom_details": {
            **{fit(field.label, LABEL): fit(field.value, _DETAIL) for field in told.fields},
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
    """Only 202 says that the alert is taken."""
    if default.verdict is Verdict.DELIVERED and response.status != 202:
        return not_taken(response, "PagerDuty takes an event with 202")
    return default


def rates(url: Url) -> tuple[str, ...]:
    """About 120 a minute and routing key."""
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
