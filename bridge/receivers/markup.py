"""What the receivers' markups ask of inserted text: Slack's three characters, and Markdown's. Pure.

Part of the presets; also what a template of the user's own is given for the values it inserts.
"""

from __future__ import annotations

import re

_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_INLINE = re.compile(r"([\\`*_~|\[\]<>@])")
_AT_LINE_START = re.compile(r"(?m)^(\s*)([-+#]|\d+(?=[.)]\s))")
_TEAMS_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_TEAMS_INLINE = re.compile(r"([\\`*_~\[\]{}])")


def slack(text: str) -> str:
    """``&``, ``<`` and ``>`` as entities: so no text can name a channel, a person or a link."""
    return text.translate(_SLACK)


def discord(text: str) -> str:
    """A backslash before what Discord's Markdown, mentions and emoji are written with."""
    return _AT_LINE_START.sub(_escape_start, _INLINE.sub(r"\\\1", text))


def teams(text: str) -> str:
    """A backslash before Markdown's characters, and HTML's as entities: connector cards read both."""
    return _AT_LINE_START.sub(_escape_start, _TEAMS_INLINE.sub(r"\\\1", text)).translate(_TEAMS_HTML)


def adaptive(text: str) -> str:
    """A backslash before Markdown's characters; a card of a workflow shows HTML as it is."""
    return _AT_LINE_START.sub(_escape_start, _TEAMS_INLINE.sub(r"\\\1", text))


def _escape_start(found: re.Match[str]) -> str:
    space, mark = found.groups()
    return f"{space}{mark}\\" if mark[0].isdigit() else f"{space}\\{mark}"
