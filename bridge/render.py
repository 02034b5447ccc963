"""Step 7, rendering: an event becomes the body of a request.

Takes an event, gives bytes. Rule floor, pure.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import orjson

from bridge.errors import RenderError
from bridge.model import Event, ExactNumber

CONTENT_TYPE = b"application/json"


def standard_body(event: Event) -> bytes:
    """The Standard Webhooks 1.0.0 payload: type, timestamp, data, and whom it is about if known.

    It is made once and shared by all endpoints that want it. Raises ``DecodeError`` where the
    payload does not follow its schema, ``RenderError`` where it has no JSON form.
    """
    if event.rendered is None:
        body: dict[str, Any] = {"type": event.type, "timestamp": event.time}
        if event.entity is not None:
            body["entity"] = event.entity
        if event.tenant is not None:
            body["tenant"] = event.tenant
        body["data"] = event.payload()
        event.rendered = to_json(body)
    return event.rendered


def to_json(value: Any) -> bytes:
    """JSON in UTF-8. Money stays exact: a ``Decimal`` becomes a string in plain notation.

    A number with more digits than a double holds is written as it came. ``bytes`` become base64. Raises
    ``RenderError`` for anything else that JSON does not know.
    """
    try:
        return orjson.dumps(value, default=_leaf, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as exc:
        raise RenderError(f"the event's data has no JSON form: {exc}") from exc


def _leaf(value: Any) -> str | orjson.Fragment:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)
