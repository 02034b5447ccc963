"""The preset for Zapier's catch hooks: one flat JSON object with the same names for every event.

Nested objects are flattened as in Zapier's editor, with two underscores, so that a field has the same
name in both. Null values are left out, because Zapier has no null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bridge.core.verdict import Judgement
from bridge.model import Event, Response, Url, Verdict
from bridge.receivers import humanize
from bridge.receivers.answers import not_accepted
from bridge.receivers.fit import MORE, SUMMARY, TITLE, fit
from bridge.receivers.preset import Preset, as_json
from bridge.receivers.wordings import build_notice
from bridge.rendering import to_json

MAX_BODY_BYTES = 10_000_000
_LEAVES, _DEPTH, _NAME = 5_000, 6, 60
"""At most 5,000 values of 200 characters with names of 6 times 60: below ``MAX_BODY_BYTES``."""
_TEXTS = (100_000, 10_000, 1_000, 200)
"""Limits for the characters of a text: the first with which the body fits into ``MAX_BODY_BYTES``."""
_OLD_HOOK = re.compile(r"/hooks/catch/[^/?]+/?(\?.*)?")


def body(event: Event) -> bytes:
    """Render the object of an event."""
    notice = build_notice(event)
    head = {
        "id": event.webhook_id,
        "type": fit(event.type, SUMMARY),
        "time": event.time,
        "entity": fit(event.entity or "", SUMMARY),
        "tenant": fit(event.tenant or "", SUMMARY),
        "title": fit(notice.title, TITLE),
        "summary": fit(notice.summary, SUMMARY),
    }
    rendered = b""
    for max_text in _TEXTS:
        rendered = to_json({**head, **_Flattener(max_text).fields("data", event.payload())})
        if len(rendered) <= MAX_BODY_BYTES:
            break
    return rendered


class _Flattener:
    """Flattens one payload into fields such as ``data__client__name``.

    It stops at ``_LEAVES`` values and ``_DEPTH`` levels, and marks the body as incomplete.
    """

    def __init__(self, max_text: int) -> None:
        """``max_text``: characters per text."""
        self._max_text = max_text
        self._left = _LEAVES

    def fields(self, name: str, data: Any) -> dict[str, Any]:
        """Return all fields below ``name``."""
        fields: dict[str, Any] = {}
        self._add(fields, name, data, 0)
        if self._left <= 0:
            fields[f"{name}__not_shown"] = f"more than {_LEAVES} values{MORE}"
        return fields

    def _add(self, fields: dict[str, Any], name: str, value: Any, depth: int) -> None:
        if value is None or self._left <= 0:
            return
        if isinstance(value, Mapping) and depth < _DEPTH:
            for key, inner in value.items():
                self._add(fields, f"{name}__{_field_name(key)}", inner, depth + 1)
            return
        self._left -= 1
        lines = [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
        fields[name] = [self._line(line, depth + 1) for line in lines] if lines else self._leaf(value)

    def _line(self, line: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return one object of a list, which Zapier shows as a line item."""
        fields: dict[str, Any] = {}
        for key, inner in line.items():
            self._add(fields, _field_name(key), inner, depth + 1)
        return fields

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, str):
            return fit(value, self._max_text)
        if isinstance(value, int) and abs(value) >= 2**63:
            return str(value)
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, list):
            entries = (humanize.format_value(entry) for entry in value[:1_000])
            return fit(", ".join(entries), self._max_text)
        return fit(humanize.format_value(value), self._max_text)


def _field_name(key: Any) -> str:
    if isinstance(key, str) and len(key) <= _NAME and key.isidentifier() and key.isascii():
        return key
    return fit(str(key), _NAME)


def judge(response: Response, default: Judgement) -> Judgement:
    """Judge only 200 as success, and every 4xx except 410 and 429 as a final refusal of the event."""
    status = response.status
    if default.verdict is Verdict.DELIVERED and status != 200:
        return not_accepted(response, "Zapier confirms an event with 200")
    if 400 <= status < 500 and status != 429 and default.verdict is Verdict.AGAIN:
        return default._replace(verdict=Verdict.PARK, retry_after_s=None)
    return default


def rates(url: Url) -> tuple[str, ...]:
    """Return Zapier's limit: 30 per second, or 1,000 in 5 minutes for an old hook (no user id in its URL)."""
    return ("1000/5m",) if _OLD_HOOK.fullmatch(url.target) else ("30/1s",)


ZAPIER = Preset(
    name="zapier",
    receiver="Zapier catch hook",
    render=as_json(body),
    judge=judge,
    rates=rates,
)
