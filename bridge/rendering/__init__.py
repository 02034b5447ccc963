"""Step 7 of the path: render an event into a request with method, URL, headers and body.

This module holds the interface and the standard body, which most endpoints use. ``named`` holds the other
named bodies, ``template`` the operator's templates (run by ``sandbox``), and ``request`` combines method,
URL, headers and body.
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
_JSON = ((b"content-type", CONTENT_TYPE),)
_new = tuple.__new__
"""``Rendered(...)`` without the call of its ``__new__``, which is written in Python."""

Headers = tuple[tuple[bytes, bytes], ...]


class Rendered(NamedTuple):
    """The request of one event for one endpoint, before it is signed."""

    method: str
    url: Url
    headers: Headers
    body: bytes


class Renderer(Protocol):
    """Renders the requests of one endpoint."""

    def render(self, event: Event) -> Rendered:
        """Return the request. Raises ``DecodeError`` for an undecodable payload, else ``RenderError``."""
        ...


MakeBody = Callable[[Event], tuple[Headers, bytes]]
"""Renders a kind of body: returns its headers, ``content-type`` first, and its bytes.

Raises ``DecodeError`` and ``RenderError``.
"""


class StandardRenderer:
    """The usual case: a constant method and URL, and the standard body, which endpoints share."""

    def __init__(self, method: str, url: Url) -> None:
        self._method = method
        self._url = url

    def render(self, event: Event) -> Rendered:
        """See ``Renderer``."""
        return _new(Rendered, (self._method, self._url, _JSON, standard_body(event)))


def standard_body(event: Event) -> bytes:
    """Return the Standard Webhooks 1.0.0 payload: type, timestamp, data, and entity and tenant if present.

    It is rendered once per event, and all endpoints share it. Raises ``DecodeError`` if the payload does
    not follow its schema, ``RenderError`` if it has no JSON form.
    """
    rendered = event.rendered
    if rendered is None:
        body = envelope(event)
        body["data"] = event.payload()
        rendered = event.rendered = to_json(body)
    return rendered


def envelope(event: Event) -> dict[str, Any]:
    """Return the standard payload without its data."""
    body: dict[str, Any] = {"type": event.type, "timestamp": event.time}
    if event.entity is not None:
        body["entity"] = event.entity
    if event.tenant is not None:
        body["tenant"] = event.tenant
    return body


def to_json(value: Any) -> bytes:
    """Encode as JSON in UTF-8. Amounts stay exact: a ``Decimal`` becomes a string in plain notation.

    A number with more digits than a double holds is written unchanged. ``bytes`` become base64. Raises
    ``RenderError`` for any other type without a JSON form.
    """
    try:
        body = orjson.dumps(value, _leaf)
    except orjson.JSONEncodeError:  # as a rule, a key that is no text: allowing for these takes longer
        try:
            body = orjson.dumps(value, _leaf, orjson.OPT_NON_STR_KEYS)
        except orjson.JSONEncodeError as exc:
            raise RenderError(f"the event's data has no JSON form: {exc}") from exc
    return b"%b" % body  # a copy: orjson's bytes keep the buffer that it wrote to, 8 KB for 1 KB of JSON


def _leaf(value: Any) -> str | orjson.Fragment:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)
