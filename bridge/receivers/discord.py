"""The preset for Discord's webhooks: one embed, without mentions.

Limits: Discord, "Embed limits" (title 256, field name 256, field value 1,024, 25 fields, 6,000 in
total). Discord's answers contain its rate limits; its documentation requests not to assume any.
"""

from __future__ import annotations

from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Verdict
from bridge.receivers.answers import body_json, endpoint_off, not_accepted, parse_seconds
from bridge.receivers.fit import FOOTER, LABEL, SUMMARY, TITLE, VALUE, fit
from bridge.receivers.markup import discord as escape
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import build_notice
from bridge.rendering import to_json

_COLOURS = {Tone.GOOD: 0x2EB67D, Tone.NEUTRAL: 0x5B7083, Tone.BAD: 0xE01E5A}


def body(event: Event) -> bytes:
    """Render the message of an event."""
    return to_json(message(build_notice(event)))


def message(notice: Notice) -> dict[str, Any]:
    """Build an embed with the fields next to each other. No text in them can mention a user."""
    facts = ", ".join(field.in_summary for field in notice.fields if field.in_summary)
    embed: dict[str, Any] = {
        "title": fit(notice.title, TITLE, escape),
        "color": _COLOURS[notice.tone],
        "fields": [
            {
                "name": fit(field.label, LABEL, escape),
                "value": fit(field.value, VALUE, escape),
                "inline": len(field.value) <= 40,
            }
            for field in notice.fields
        ],
        "footer": {"text": fit(notice.footer, FOOTER)},  # a footer is shown without Markdown
    }
    if facts:
        embed["description"] = fit(facts, SUMMARY, escape)
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def judge(response: Response, default: Judgement) -> Judgement:
    """Judge 200 and 204 as success, 401, 403 and 404 as final; read waits to the millisecond."""
    if default.verdict is Verdict.OFF:
        return default
    if default.verdict is Verdict.DELIVERED:
        if response.status not in {200, 204}:
            return not_accepted(response, "Discord confirms a message with 200 or 204")
        return default._replace(retry_after_s=_used_up_s(response))
    if response.status in {401, 403, 404}:
        return endpoint_off(default, "create a new webhook in Discord and set its URL as url")
    if response.status == 429:
        return _throttled(response, default)
    return default


def _used_up_s(response: Response) -> float | None:
    """Return how long to wait if the next message would get a 429."""
    if parse_seconds(response.header(b"x-ratelimit-remaining")) != 0:
        return None
    return parse_seconds(response.header(b"x-ratelimit-reset-after"))


def _throttled(response: Response, default: Judgement) -> Judgement:
    answer = body_json(response)
    waits_s = (default.retry_after_s, parse_seconds(answer.get("retry_after")))
    scope = " (a limit of the whole account, not of this webhook)" if answer.get("global") is True else ""
    return default._replace(reason=f"{default.reason}{scope}", retry_after_s=_longest(waits_s))


def _longest(waits_s: tuple[float | None, ...]) -> float | None:
    return max((wait_s for wait_s in waits_s if wait_s is not None), default=None)


DISCORD = Preset(
    name="discord",
    receiver="Discord webhook",
    render=as_json(body),
    judge=judge,
    escape=escape,
    query="wait=true",
    verifies=False,
)
