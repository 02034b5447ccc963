"""The rules for several events in one request: the id of a batch, and the events that an answer names. Pure.

Invariant: an event counts as delivered only if the answer is a 2xx that leaves no doubt about this event.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from bridge.core.verdict import Judgement
from bridge.model import Response, Verdict

FAILED = "failed"
"""The member of an answer that names the events that failed."""
_ID_DIGITS = 32
ID_PATTERN = rf"batch_[0-9a-f]{{{_ID_DIGITS}}}"
"""What the id of a batch looks like."""
_SHORT_BYTES = 4096
"""A transport truncates no answer that is this short. One that is not short is parsed in any case."""
_SHOWN_CHARS = 100
NAMED = Judgement(Verdict.AGAIN, "the receiver named this event as failed", "ok")
FOLLOWS = Judgement(Verdict.AGAIN, "an earlier event of its entity failed in this batch", "ok", counts=False)
"""Of an event after a failed one of its ordering key. It uses no attempt: the other event is the cause."""


class BatchLimits(NamedTuple):
    """How much one request may contain, and how long the first event waits for more."""

    max_events: int
    max_bytes: int
    max_wait_s: float


def batch_id(webhook_ids: Sequence[str]) -> str:
    """Return the id of the batch of these events in this order.

    It is a function of what the batch contains. So a repeated request has the same id, also after a kill,
    and a request with other events never has it.
    """
    return f"batch_{sha256(chr(10).join(webhook_ids).encode()).hexdigest()[:_ID_DIGITS]}"


def smaller(events: int) -> int:
    """Return the size of the batches to try after one of ``events`` was refused for good."""
    return max(1, events // 2)


def failed_events(answer: Response, webhook_ids: Sequence[str]) -> frozenset[int] | Judgement:
    """Return the positions of the events that a 2xx names as failed, from 0.

    ``{"failed": [...]}`` contains webhook ids, or positions from 0. Anything else in the body means that
    all were accepted. If the answer names what is not in the batch, or may name something and cannot be
    read, the judgement is that all are tried again: otherwise an event could be lost.
    """
    try:
        return _places(_named(answer), webhook_ids)
    except _UnclearError as exc:
        reason = f"status {answer.status}, but the answer is unclear: {exc}"
        return Judgement(Verdict.AGAIN, reason, "other")


def is_accepted(judgement: Judgement) -> bool:
    """Return True if the receiver has the event; it may have ended its subscription with the same answer."""
    return judgement.verdict is Verdict.DELIVERED or (
        judgement.verdict is Verdict.OFF and judgement.kind == "ok"
    )


def judge_alone(answer: Response, webhook_id: str, accepted: Judgement) -> Judgement:
    """Return the judgement of the only event of a batch, after a 2xx whose judgement is ``accepted``."""
    failed = failed_events(answer, [webhook_id])
    if isinstance(failed, Judgement):
        return failed
    return NAMED if failed else accepted


class _UnclearError(ValueError):
    """An answer that may name failed events, and does not name them clearly."""


def _named(answer: Response) -> Any:
    """Return the member ``failed`` of an answer; None if it cannot have one."""
    body = answer.body.removeprefix(codecs.BOM_UTF8).strip()
    coding = (answer.header(b"content-encoding") or b"identity").strip().lower()
    if body and coding not in {b"identity", b""}:
        raise _UnclearError("it is compressed, so failed events cannot be read; send it as it is")
    if b"\0" in body[:_SHORT_BYTES]:
        raise _UnclearError("it is not in UTF-8, so failed events cannot be read")
    if not body.startswith(b"{") or _is_plain(body):
        return None
    try:
        return orjson.loads(body).get(FAILED)
    except orjson.JSONDecodeError:
        raise _UnclearError("it is not complete JSON, so failed events cannot be read") from None


def _is_plain(body: bytes) -> bool:
    """Return True for an object that is short enough not to be truncated, and names nothing."""
    is_whole = len(body) < _SHORT_BYTES and body.endswith(b"}")
    return is_whole and FAILED.encode() not in body and b"\\" not in body


def _places(named: Any, webhook_ids: Sequence[str]) -> frozenset[int]:
    if not named:  # also 0, false and null
        return frozenset()
    if not isinstance(named, list):
        raise _UnclearError("its member failed is not a list of webhook ids or positions")
    numbers = {name for name in named if isinstance(name, int) and not isinstance(name, bool)}
    texts = {name for name in named if isinstance(name, str)}
    positions, ids = range(len(webhook_ids)), set(webhook_ids)
    for name in named:
        if isinstance(name, bool) or not isinstance(name, int | str):
            raise _UnclearError(f"its member failed contains {_shown(name)}; name webhook ids or positions")
        if name not in (ids if isinstance(name, str) else positions):
            raise _UnclearError(f"its member failed contains {_shown(name)}, {_none_of(positions)}")
    return frozenset(numbers) | {place for place, id_ in enumerate(webhook_ids) if id_ in texts}


def _none_of(positions: range) -> str:
    return f"which is neither a webhook_id of this batch nor a position from 0 to {positions[-1]}"


def _shown(name: Any) -> str:
    """Return a value of an answer as JSON. A long one is not cut: half a secret would not be found in it."""
    text = json.dumps(name) if isinstance(name, str | bool | int | float | None) else "no text or number"
    return text if len(text) <= _SHOWN_CHARS else f"a value of {len(text)} characters"
