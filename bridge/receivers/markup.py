"""Escape inserted text for the receivers' markup: Slack's three characters, and Markdown.

The presets use it, and a template of the operator's for the values that it inserts.
"""

from __future__ import annotations

import re

_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_INLINE = re.compile(r"([\\`*_~|\[\]<>@])")
_AT_LINE_START = re.compile(r"(?m)^(\s*)([-+#]|\d+(?=[.)]\s))")
_TEAMS_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_TEAMS_INLINE = re.compile(r"([\\`*_~\[\]{}])")


def slack(text: str) -> str:
    """Write ``&``, ``<`` and ``>`` as entities, so that no text can mention a channel, a user or a link."""
    return text.translate(_SLACK)


def discord(text: str) -> str:
    """Put a backslash before the characters of Discord's Markdown, mentions and emoji."""
    return _AT_LINE_START.sub(_escape_start, _INLINE.sub(r"\\\1", text))


def teams(text: str) -> str:
    """Put a backslash before Markdown characters and write HTML's as entities: connector cards read both."""
    return _AT_LINE_START.sub(_escape_start, _TEAMS_INLINE.sub(r"\\\1", text)).translate(_TEAMS_HTML)


def adaptive(text: str) -> str:
    """Put a backslash before Markdown characters; a workflow's card shows HTML as plain text."""
    return _AT_LINE_START.sub(_escape_start, _TEAMS_INLINE.sub(r"\\\1", text))


def _escape_start(match: re.Match[str]) -> str:
    space, mark = match.groups()
    return f"{space}{mark}\\" if mark[0].isdigit() else f"{space}\\{mark}"
