"""Helpers to judge a receiver's answer by more than its status.

A preset's ``judge`` gets the answer and the default judgement of ``bridge.core.verdict``. It changes the
default only where this receiver is known to mean something else.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

from bridge.core.verdict import Judgement, judge
from bridge.model import Response, Verdict


def body_text(response: Response) -> str:
    """Return the first 200 bytes of the answer's body as one line."""
    text = response.body[:200].decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def body_json(response: Response) -> dict[str, Any]:
    """Return the body as a JSON object; an empty one if the body is something else."""
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def not_accepted(response: Response, expected: str) -> Judgement:
    """Judge a 2xx that does not confirm the event for this receiver: retry it."""
    body = body_text(response)
    shown = f" and {body}" if body else ""
    return Judgement(Verdict.AGAIN, f"status {response.status}{shown}: {expected}", "failed")


def judge_status(status: int) -> Judgement:
    """Judge a status alone, for receivers that write the real status into the body."""
    return judge(Response(status, (), b""))


def endpoint_off(default: Judgement, remedy: str) -> Judgement:
    """Judge that the endpoint accepts nothing any more, now and later."""
    return Judgement(Verdict.OFF, f"{default.reason} ({remedy})", default.kind)


def parse_seconds(value: Any) -> float | None:
    """Return a number of seconds from a header or a body; None if it is not a number or below zero."""
    if isinstance(value, bytes):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
