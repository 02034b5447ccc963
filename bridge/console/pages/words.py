"""Instants, durations, numbers and states as the pages show them. Pure.

Invariant: a state is a word as well as a color, and a relative time always has its exact instant with it.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from bridge.core.instant import instant_ms

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LAST_S = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_TONES = {
    **dict.fromkeys(("delivered", "well", "on", "done", "redriven", "closed", "running"), "good"),
    **dict.fromkeys(("again", "retry", "slow", "paused", "queued", "half-open", "held"), "warn"),
    **dict.fromkeys(("park", "parked", "failing", "failed", "open"), "bad"),
}
_WORDS = {
    "again": "retry",
    "park": "parked",
    "off": "turned off",
    "well": "delivering",
    "slow": "slowed",
    "half-open": "half open",
}


class NoInstant(ValueError):
    """A text that is no instant of this format."""


def tone(word: str) -> str:
    """Return the color class of a state, a verdict or a health: ``good``, ``warn``, ``bad`` or ``idle``."""
    return _TONES.get(word, "idle")


def state_word(word: str) -> str:
    """Return the word that a person reads for a state or a verdict."""
    return _WORDS.get(word, word)


def exact(at_s: float) -> str:
    """Return Unix seconds as ``2026-06-29 12:00:00.123 UTC``."""
    ms = min(max(0, round(at_s * 1000)), int(_LAST_S * 1000))
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d} UTC"


def iso(at_s: float) -> str:
    """Return Unix seconds as RFC 3339 with milliseconds, for ``datetime`` of the element ``time``."""
    return exact(at_s).replace(" UTC", "Z").replace(" ", "T")


def relative(at_s: float, now_s: float) -> str:
    """Return ``12 s ago`` or ``in 3 min``."""
    apart_s = now_s - at_s
    if abs(apart_s) < 1:
        return "now"
    apart = duration(float(round(abs(apart_s))), tenths=False)
    return f"{apart} ago" if apart_s > 0 else f"in {apart}"


def seconds_of(text: str) -> float | None:
    """Return an RFC 3339 instant in Unix seconds; None for another text."""
    ms = instant_ms(text)
    return None if ms is None else ms / 1000


def duration(seconds: float, *, tenths: bool = True) -> str:
    """Return a duration with the unit that suits it: ``120 ms``, ``1.4 s``, ``12 s``, ``3 min``, ``5 d``."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    for limit_s, unit_s, name in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit_s:
            count = seconds / unit_s
            return (
                f"{count:.1f} {name}" if tenths and count < 9.95 and unit_s == 1 else f"{round(count)} {name}"
            )
    return f"{round(seconds / 86400)} d"


def number(value: float) -> str:
    """Return a number with separators of thousands: ``12,345``, or ``3.2`` if it is small."""
    if isinstance(value, int) or value >= 100 or value == 0:
        return f"{round(value):,}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def percent(share: float) -> str:
    """Return a share of 0 to 1 as a percentage that reaches 100 % only when nothing is missing."""
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    tenths = min(999, max(1, math.floor(share * 1000)))
    return f"{tenths / 10:.1f} %"


def size(count: int) -> str:
    """Return a number of bytes as ``312 B`` or ``4.2 KiB``."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MiB"


def instant_s(text: str, now_s: float) -> float | None:
    """Return Unix seconds of what a person typed: ``2h`` (ago), an RFC 3339 instant, or a date in UTC.

    Empty text is None. Raises ``NoInstant``.
    """
    plain = text.strip()
    if not plain:
        return None
    ago = _AGO.fullmatch(plain)
    if ago:
        return now_s - int(ago[1]) * _UNIT_S[ago[2]]
    ms = instant_ms(_completed(plain))
    if ms is None:
        raise NoInstant(
            f"{plain[:60]!r} is no time: write 2h or 7d (ago), 2026-06-29, or 2026-06-29T12:00:00Z"
        )
    return ms / 1000


def _completed(text: str) -> str:
    """Return a date, or a date with a time to the minute or second, as an instant in UTC."""
    text = text.replace(" ", "T", 1)
    for form, rest in ((10, "T00:00:00Z"), (16, ":00Z"), (19, "Z")):
        if len(text) == form:
            return text + rest
    return text
