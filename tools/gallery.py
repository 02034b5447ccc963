"""Render docs/reference/gallery.md: what each preset sends for each sample event, as receivers show it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.model import Event
from bridge.preflight.samples import sample
from bridge.receivers import PRESETS, Preset
from bridge.rendering import Headers
from bridge.rendering.body_secret import MASK, BodySecret
from bridge.rendering.old_hooks import HOOKS
from tools.markdown import REFERENCE, generated_note

PAGE = REFERENCE / "gallery.md"
EVENTS = (
    "LoanApprovedBusinessEvent",
    "LoanDisbursalBusinessEvent",
    "LoanTransactionMakeRepaymentPostBusinessEvent",
    "LoanWrittenOffPostBusinessEvent",
    "SavingsDepositBusinessEvent",
    "ClientActivateBusinessEvent",
    "LoanBalanceChangedBusinessEvent",
    "order.placed",
)
"""Fineract's most common types, one Fineract type without a wording, and an event of another system."""

_HEAD = f"""\
# Gallery

{generated_note("bridge/receivers")}

This page shows what each preset sends, event by event: first about as the receiver displays it, then,
folded, the headers and the formatted body. The events are the samples of `bridge/preflight/samples`. The last
two have no wording of their own. To set up a receiver, see [how-to/receivers](../how-to/receivers/).
"""
_BOLD = re.compile(r"\*([^*\n]+)\*")
_ESCAPED = re.compile(r"\\([^\w\s])")


def events_of(preset: Preset) -> tuple[str, ...]:
    """Return the sample event types that the page shows for a preset."""
    return tuple(type_ for type_ in EVENTS if preset.name != "fineract-hook" or type_ in HOOKS)


def render() -> dict[Path, str]:
    """Return the page."""
    parts = [
        _HEAD,
        "\n".join(f"- [{preset.name}](#{preset.name}): {preset.receiver}" for preset in PRESETS.values()),
    ]
    for preset in PRESETS.values():
        parts.append(f"## {preset.name}")
        parts += [_section(preset, sample(type_)) for type_ in events_of(preset)]
    return {PAGE: "\n\n".join(part.strip("\n") for part in parts) + "\n"}


def shown(preset: Preset, event: Event) -> tuple[Headers, bytes]:
    """Render the request of a preset for an event, with a mask in place of a secret in the body."""
    headers, body = preset.render(event)
    return headers, BodySecret(preset.key_field, MASK).insert(body) if preset.key_field else body


def _section(preset: Preset, event: Event) -> str:
    headers, body = shown(preset, event)
    content = json.loads(body)
    head = "\n".join(f"{name.decode()}: {value.decode()}" for name, value in headers)
    raw = json.dumps(content, indent=2, ensure_ascii=False)
    folded = f"<details><summary>body</summary>\n\n```\n{head}\n```\n\n```json\n{raw}\n```\n\n</details>"
    return f"### {preset.name}: {event.type}\n\n{_SHOWN[preset.name](content)}\n\n{folded}"


def _quote(*lines: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _table(rows: list[tuple[str, str]]) -> list[str]:
    """Return a table of two columns without a heading."""
    return ["| | |", "|---|---|", *(f"| {_cell(name)} | {_cell(value)} |" for name, value in rows)]


def _cell(text: object) -> str:
    return html.escape(str(text), quote=False).replace("|", "\\|").replace("\n", " ")


def _slack(content: dict[str, Any]) -> str:
    lines = []
    for block in content["blocks"]:
        match block["type"]:
            case "header":
                lines += [f"**{block['text']['text']}**", ""]
            case "section":
                pairs = [field["text"].split("\n", 1) for field in block["fields"]]
                facts = [(_BOLD.sub(r"\1", name), _unescaped(value)) for name, value in pairs]
                lines += [*_table(facts), ""]
            case _:
                lines.append(f"<sub>{block['elements'][0]['text']}</sub>")
    return _quote(*lines) + f"\n\nNotification: {content['text']}"


def _unescaped(text: str) -> str:
    return html.unescape(_ESCAPED.sub(r"\1", text))


def _teams(content: dict[str, Any]) -> str:
    title, *rest = content["attachments"][0]["content"]["body"]
    lines = [f"**{title['text']}**", ""]
    for block in rest:
        if block["type"] == "FactSet":
            facts = [(fact["title"], _unescaped(fact["value"])) for fact in block["facts"]]
            lines += [*_table(facts), ""]
        else:
            lines.append(f"<sub>{block['text']}</sub>")
    return _quote(*lines)


def _connector(content: dict[str, Any]) -> str:
    (section,) = content["sections"]
    facts = [(fact["name"], _unescaped(fact["value"])) for fact in section["facts"]]
    return _quote(f"**{content['title']}**", "", section["text"], "", *_table(facts))


def _discord(content: dict[str, Any]) -> str:
    (embed,) = content["embeds"]
    fields = [(field["name"], _unescaped(field["value"])) for field in embed["fields"]]
    small = f"<sub>{embed['footer']['text']}</sub>"
    description = [embed["description"], ""] if "description" in embed else []
    return _quote(f"**{embed['title']}**", "", *description, *_table(fields), "", small)


def _pagerduty(content: dict[str, Any]) -> str:
    payload = content["payload"]
    details = [(name, value) for name, value in payload["custom_details"].items()]
    line = f"{payload['severity']}, {payload['source']}, {payload['class']}"
    return _quote(f"**{payload['summary']}**", "", line, "", *_table(details))


def _fields(content: dict[str, Any]) -> str:
    return "\n".join(_table([(f"`{name}`", _value(value)) for name, value in content.items()]))


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "standard": _fields,
    "slack": _slack,
    "teams": _teams,
    "teams-connector": _connector,
    "discord": _discord,
    "pagerduty": _pagerduty,
    "zapier": _fields,
    "fineract-hook": _fields,
}
