"""The preset for Zapier's catch hooks: one flat JSON object, its names the same for every event. Pure.

Nested objects are flattened the way Zapier's editor does it itself, with two underscores, so that a
field keeps its name whoever flattens it; what is null is left out, as Zapier has no null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers import words
from bridge.receivers.answers import not_taken
from bridge.receivers.fit import MORE, SUMMARY, TITLE, fit
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import notice
from bridge.rendering import to_json

MAX_BODY_BYTES = 10_000_000
_LEAVES, _DEPTH, _NAME = 5_000, 6, 60
"""At the worst 5,000 values of 200 characters under names of 6 times 60: below ``MAX_BODY_BYTES``."""
_TEXTS = (100_000, 10_000, 1_000, 200)
"""Characters of a text: the first of these with which the whole is within ``MAX_BODY_BYTES``."""
_OLD_HOOK = re.compile(r"/hooks/catch/[^/?]+/?(\?.*)?")


def body(event: Event) -> bytes:
    """The object of an event."""
    told = notice(event)
    head = {
        "id": event.webhook_id,
        "type": fit(event.type, SUMMARY),
        "time": event.time,
        "entity": fit(event.entity or "", SUMMARY),
        "tenant": fit(event.tenant or "", SUMMARY),
        "title": fit(told.title, TITLE),
        "summary": fit(told.summary, SUMMARY),
    }
    written = b""
    for longest in _TEXTS:
        written = to_json({**head, **flat(event.payload(), longest)})
        if len(written) <= MAX_BODY_BYTES:
            break
    return written


def flat(data: Any, longest: int) -> dict[str, Any]:
    """A payload as fields ``data__client__name``; at most so many, and texts at most so long."""
    return _Flat(longest).fields("data", data)


class _Flat:
    """One payload being flattened: stops at ``_LEAVES`` values and ``_DEPTH`` levels, and says so."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._left = _LEAVES

    def fields(self, name: str, data: Any) -> dict[str, Any]:
        """Everything below ``name``."""
        found: dict[str, Any] = {}
        self._add(found, name, data, 0)
        if self._left <= 0:
            found[f"{name}__not_shown"] = f"more than {_LEAVES} values{MORE}"
        return found

    def _add(self, found: dict[str, Any], name: str, value: Any, depth: int) -> None:
        if value is None or self._left <= 0:
            return
        if isinstance(value, Mapping) and depth < _DEPTH:
            for key, inner in value.items():
                self._add(found, f"{name}__{_named(key)}", inner, depth + 1)
            return
        self._left -= 1
        lines = [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
        found[name] = [self._line(one, depth + 1) for one in lines] if lines else self._leaf(value)

    def _line(self, line: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """One object of a list: Zapier makes a line item of it."""
        found: dict[str, Any] = {}
        for key, inner in line.items():
            self._add(found, _named(key), inner, depth + 1)
        return found

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, str):
            return fit(value, self._longest)
        if isinstance(value, int) and abs(value) >= 2**63:
            return str(value)
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, list):
            return fit(", ".join(words.text(one) for one in value[:1_000]), self._longest)
        return fit(words.text(value), self._longest)


def _named(key: Any) -> str:
    if isinstance(key, str) and len(key) <= _NAME and key.isidentifier() and key.isascii():
        return key
    return fit(str(key), _NAME)


def judge(response: Response, default: Judgement) -> Judgement:
    """Only 200 is success, and every 4xx but 410 and 429 refuses the event for good."""
    status = response.status
    if default.verdict is Verdict.DELIVERED and status != 200:
        return not_taken(response, "Zapier takes an event with 200")
    if 400 <= status < 500 and status != 429 and default.verdict is Verdict.AGAIN:
        return default._replace(verdict=Verdict.PARK, retry_after_s=None)
    return default


def rates(url: Url) -> tuple[str, ...]:
    """Thirty a second; an old hook, whose URL has no user id, 1,000 in five minutes."""
    return ("1000/5m",) if _OLD_HOOK.fullmatch(url.target) else ("30/1s",)


ZAPIER = Preset(
    name="zapier",
    receiver="Zapier catch hook",
    render=as_json(body),
    judge=judge,
    rates=rates,
)
