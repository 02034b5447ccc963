"""Requests and answers as a person reads them: JSON with indentation, and a command of curl. Pure.

Invariant: indentation moves only white space. Numbers, escapes and repeated names stay as they were sent.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from bridge.console.event_views import AttemptDetail

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_MOST_CHARS = 512 * 1024
_MOST_DEPTH = 60
_STEP = "  "
_OWN = ("content-length", "connection", "host", "content-encoding")
"""Headers that curl sets by itself, and the one that would be wrong for a body that can be read."""


def pretty(text: str | None) -> str | None:
    """Return JSON with indentation; None if it is no JSON, or too large or too deep to read."""
    if not text or len(text) > _MOST_CHARS or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        json.loads(text)
        return "".join(_indented(text))
    except (ValueError, RecursionError):
        return None


def _indented(text: str) -> Iterator[str]:
    depth, before = 0, ""
    for part in _TOKEN.findall(text):
        if part in "}]":
            depth -= 1
            yield part if before in "{[" else f"\n{_STEP * depth}{part}"
        elif before and before in "{[,":
            yield f"\n{_STEP * depth}{part}"
        else:
            yield f" {part}" if before == ":" else part
        if part in "{[":
            depth += 1
            if depth > _MOST_DEPTH:
                raise ValueError("it is nested too deeply")
        before = part


def curl(detail: AttemptDetail) -> str:
    """Return a command that sends the request again. Masked secrets are ``***`` in it.

    Its body is the one that the history has, which is not compressed.
    """
    lines = [f"curl --request {shlex.quote(detail.method)} {shlex.quote(detail.url)}"]
    lines += [
        f"--header {shlex.quote(f'{name}: {value}')}"
        for name, value in detail.headers
        if name.lower() not in _OWN
    ]
    if detail.body is not None:
        lines.append(f"--data-raw {shlex.quote(detail.body)}")
    return " \\\n  ".join(lines)
