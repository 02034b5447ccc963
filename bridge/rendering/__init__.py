"""Step 7, rendering: an event becomes a request: method, URL, headers and body.

Takes an event, gives ``Rendered``. Rule floor, pure. Here stands the interface, and the body that nearly
every endpoint has; the other bodies that have a name are in ``named``, what an operator writes is in
``template`` (on ``bridge/rendering/sandbox``), and ``request`` puts method, URL, headers and body together.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import orjson

from bridge.errors import RenderError
from bridge.model import Event, ExactNumber, Url

CONTENT_TYPE = b"application/json"

Headers = tuple[tuple[bytes, bytes], ...]


class Rendered(NamedTuple):
    """One event as one endpoint wants it, before it is signed."""

    method: str
    url: Url
    headers: Headers
    body: bytes


class Renderer(Protocol):
    """Makes the requests of one endpoint."""

    def render(self, event: Event) -> Rendered:
        """The request. Raises ``DecodeError`` for a payload that cannot be read, else ``RenderError``."""
        ...


MakeBody = Callable[[Event], tuple[Headers, bytes]]
"""A kind of body: the headers that belong to it, ``content-type`` first, and its bytes.

Raises ``DecodeError`` and ``RenderError``.
"""


class StandardRenderer:
    """The ordinary case: one method, one URL, the standard body, which all endpoints share."""

    def __init__(self, method: str, url: Url) -> None:
        self._method = method
        self._url = url
        self._headers: Headers = ((b"content-type", CONTENT_TYPE),)

    def render(self, event: Event) -> Rendered:
        """See ``Renderer``."""
        return Rendered(self._method, self._url, self._headers, standard_body(event))


def standard_body(event: Event) -> bytes:
    """The Standard Webhooks 1.0.0 payload: type, timestamp, data, and whom it is about if known.

    It is made once and shared by all endpoints that want it. Raises ``DecodeError`` where the
    payload does not follow its schema, ``RenderError`` where it has no JSON form.
    """
    if event.rendered is None:
        body = about(event)
        body["data"] = event.payload()
        event.rendered = to_json(body)
    return event.rendered


def about(event: Event) -> dict[str, Any]:
    """What the standard payload says beside its data."""
    body: dict[str, Any] = {"type": event.type, "timestamp": event.time}
    if event.entity is not None:
        body["entity"] = event.entity
    if event.tenant is not None:
        body["tenant"] = event.tenant
    return body


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
