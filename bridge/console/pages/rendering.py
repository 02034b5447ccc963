"""The templates: every value is escaped, and a name that does not exist is an error.

Invariant: no template marks data as safe, and none contains a script or a style.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bridge.console.pages import words
from bridge.console.pages.bodies import curl, pretty
from bridge.console.state_views import Point

_TEMPLATES = Path(__file__).parent / "templates"
_SPARK_WIDTH, _SPARK_HEIGHT = 120.0, 26.0


@cache
def environment() -> Environment:
    """Return the templates with their filters. They are compiled once per process."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "tone": words.tone,
        "word": words.state_word,
        "exact": words.exact,
        "iso": words.iso,
        "relative": words.relative,
        "seconds": words.seconds_of,
        "duration": words.duration,
        "number": words.number,
        "percent": words.percent,
        "size": words.size,
        "pretty_json": pretty,
        "curl": curl,
        "spark": spark,
        "query": _query,
    }
    return made


def spark(points: Sequence[Point]) -> str:
    """Return the points of a polyline: the attempts per interval, over a width of 120 and a height of 26."""
    if len(points) < 2:
        return ""
    first_s, last_s = points[0].at_s, points[-1].at_s
    most = max(point.attempts for point in points) or 1
    span_s = (last_s - first_s) or 1.0
    return " ".join(
        f"{(point.at_s - first_s) / span_s * _SPARK_WIDTH:.1f},"
        f"{_SPARK_HEIGHT - 1 - point.attempts / most * (_SPARK_HEIGHT - 2):.1f}"
        for point in points
    )


def _query(given: dict[str, Any], **more: Any) -> str:
    """Return the query of a URL with these values, without those that are empty."""
    values = {**given, **more}
    return urlencode({name: value for name, value in values.items() if value not in (None, "")})
