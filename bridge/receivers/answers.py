"""What receivers' answers have in common: reading them with more care than a status alone. Pure.

Part of the presets. A receiver's own ``judge`` takes the answer and what ``bridge.core.verdict`` makes of
it, and changes that only where this receiver is known to mean something else.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

from bridge.core.verdict import Judgement, judge
from bridge.model import Response, Verdict


def said(response: Response) -> str:
    """The beginning of the answer's body as one line."""
    text = response.body[:200].decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def document(response: Response) -> dict[str, Any]:
    """The body as a JSON object; empty where it is none."""
    try:
        found = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def not_taken(response: Response, wanted: str) -> Judgement:
    """A 2xx by which this receiver does not say that it took the event: it is tried again."""
    body = said(response)
    shown = f" and {body}" if body else ""
    return Judgement(Verdict.AGAIN, f"status {response.status}{shown}: {wanted}", "failed")


def meaning(status: int) -> Judgement:
    """What a status alone means, for receivers that tell it in the body."""
    return judge(Response(status, (), b""))


def off(default: Judgement, why: str) -> Judgement:
    """The endpoint as a whole wants no more: nothing that is sent there will ever be taken."""
    return Judgement(Verdict.OFF, f"{default.reason} ({why})", default.kind)


def seconds(value: Any) -> float | None:
    """A number of seconds out of a header or a body; None where it is none, or below zero."""
    if isinstance(value, bytes):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
