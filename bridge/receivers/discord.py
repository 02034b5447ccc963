"""The preset for Discord's webhooks: one embed, without mentions. Pure.

Limits: Discord, "Embed limits" (title 256, field name 256, field value 1,024, 25 fields, 6,000 in
all). Its rate limits are in its answers; Discord asks not to assume any.
"""

from __future__ import annotations

from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Verdict
from bridge.receivers.answers import document, not_taken, off, seconds
from bridge.receivers.fit import FOOTER, LABEL, SUMMARY, TITLE, VALUE, fit
from bridge.receivers.markup import discord as escape
from bridge.receivers.notice import Notice, Tone
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import notice
from bridge.rendering import to_json

_COLOURS = {Tone.GOOD: 0x2EB67D, Tone.NEUTRAL: 0x5B7083, Tone.BAD: 0xE01E5A}


def body(event: Event) -> bytes:
    """The message of an event."""
    return to_json(message(notice(event)))


def message(told: Notice) -> dict[str, Any]:
    """An embed with the fields side by side; whatever is in them, nobody is pinged."""
    facts = ", ".join(field.told for field in told.fields if field.told)
    embed: dict[str, Any] = {
        "title": fit(told.title, TITLE, escape),
        "color": _COLOURS[told.tone],
        "fields": [
            {
                "name": fit(field.label, LABEL, escape),
                "value": fit(field.value, VALUE, escape),
                "inline": len(field.value) <= 40,
            }
            for field in told.fields
        ],
        "footer": {"text": fit(told.footer, FOOTER)},  # a footer is shown without Markdown
    }
    if facts:
        embed["description"] = fit(facts, SUMMARY, escape)
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def judge(response: Response, default: Judgement) -> Judgement:
    """200 and 204 are success; 401, 403 and 404 are for ever; waits are told to the millisecond."""
    if default.verdict is Verdict.OFF:
        return default
    if default.verdict is Verdict.DELIVERED:
        if response.status not in {200, 204}:
            return not_taken(response, "Discord takes a message with 200 or 204")
        return default._replace(retry_after_s=_used_up_s(response))
    if response.status in {401, 403, 404}:
        return off(default, "make a new webhook in Discord, and give its url")
    if response.status == 429:
        return _throttled(response, default)
    return default


def _used_up_s(response: Response) -> float | None:
    """How long to wait before the 429 that the next message would get."""
    if seconds(response.header(b"x-ratelimit-remaining")) != 0:
        return None
    return seconds(response.header(b"x-ratelimit-reset-after"))


def _throttled(response: Response, default: Judgement) -> Judgement:
    found = document(response)
    asked = (default.retry_after_s, seconds(found.get("retry_after")))
    whose = " (a limit of the whole account, not of this webhook)" if found.get("global") is True else ""
    return default._replace(reason=f"{default.reason}{whose}", retry_after_s=_longest(asked))


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
