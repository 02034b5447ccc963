"""One thing that was tried, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class Level(StrEnum):
    """How good it is. Only errors change the exit code."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """``part`` is what was tried (such as ``topics``), ``text`` the result, ``remedy`` what to do."""

    level: Level
    part: str
    text: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "part": self.part,
            "level": self.level.value,
            "text": self.text,
            "remedy": self.remedy or None,
        }


def ok(part: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Level.OK, part, text)


def warning(part: str, text: str, remedy: str) -> Finding:
    """Return a finding that may become a problem."""
    return Finding(Level.WARNING, part, text, remedy)


def failed(part: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that keeps events from being delivered. The text may contain the remedy."""
    if not remedy:
        text, _, remedy = text.partition("; ")
    return Finding(Level.ERROR, part, text, remedy)


def skipped(part: str, text: str) -> Finding:
    """Return a finding about what could not be tried."""
    return Finding(Level.SKIPPED, part, text)
