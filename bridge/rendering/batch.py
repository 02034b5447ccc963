"""Join the bodies of several events into the body of one request.

Each event is one JSON object: its own body, and as the first member the ``webhook-id`` that it is sent with.
So a receiver can drop a repeated event, whatever other events are in the request with it.

Invariant: no body ends its own object early, so the positions of events are those of the request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import orjson

from bridge.errors import RenderError
from bridge.rendering import CONTENT_TYPE, Headers
from bridge.rendering.template import OUT_OF_RANGE, is_json

BatchKind = Literal["array", "object", "ndjson"]
MEMBER = "webhook_id"
CLOUDEVENTS_MEMBER = "webhookid"
"""An attribute of a CloudEvent has lower-case letters and digits only (CloudEvents 1.0, 3.1)."""
_EVENTS = "events"
_LINE_FEED, _CARRIAGE_RETURN = b"\n\r"
_BEGINS = b'{"'
_NOT_AN_OBJECT = "the body is not a JSON object, so it cannot be one event of a batch; render one"


class BatchForm:
    """How an endpoint gets several events: as a JSON array, as an object with a list, or as lines of JSON."""

    def __init__(self, kind: BatchKind, *, cloudevents: bool = False, any_text: bool = False) -> None:
        """``cloudevents``: each body is a CloudEvent in JSON, and an array of them has a type of its own.

        ``any_text``: bodies may be text that a producer wrote, so each is parsed. Others are JSON.
        """
        self.kind = kind
        self._any_text = any_text
        self._is_lines = kind == "ndjson"
        self._member = CLOUDEVENTS_MEMBER if cloudevents else MEMBER
        self._quoted = orjson.dumps(self._member)
        content_type = CONTENT_TYPE
        if kind == "ndjson":
            content_type = b"application/x-ndjson"
        elif kind == "array" and cloudevents:
            content_type = b"application/cloudevents-batch+json"  # CloudEvents 1.0, HTTP binding 3.3
        self.headers: Headers = ((b"content-type", content_type),)
        self._open, self._between, self._close = {
            "array": (b"[", b",", b"]"),
            "object": (b'{"%s":[' % _EVENTS.encode(), b",", b"]}"),
            "ndjson": (b"", b"\n", b"\n"),
        }[kind]

    def item(self, webhook_id: str, body: bytes, *, any_text: bool = False) -> bytes:
        """Return an event as it is in a batch. Raises ``RenderError`` for a body that cannot be in one.

        ``any_text``: parse this body, as with ``any_text`` of the form.
        """
        if not (body.startswith(_BEGINS) and body.endswith(b"}")):
            body = _compact(body)
        if self._is_lines and (_LINE_FEED in body or _CARRIAGE_RETURN in body):
            body = body.replace(b"\r", b" ").replace(b"\n", b" ")  # strings in JSON have no line breaks
        is_parsed = any_text or self._any_text or self._quoted in body
        if is_parsed and self._has_member(body, webhook_id):
            return body
        comma = b"" if body == b"{}" else b","
        return b'{%b:"%b"%b%b' % (self._quoted, webhook_id.encode("ascii"), comma, body[1:])

    def _has_member(self, body: bytes, webhook_id: str) -> bool:
        """Return True if the event contains its id already.

        Raises ``RenderError`` for another value, and for a body that is not JSON.
        """
        document = _parse(body)
        if self._member not in document:
            return False
        if document[self._member] != webhook_id:
            raise RenderError(
                f"the body has a member {self._member} with another value; give it another name"
            )
        return True

    def join(self, items: Sequence[bytes]) -> bytes:
        """Return the body of a request with these events."""
        return self._open + self._between.join(items) + self._close

    @property
    def frame_bytes(self) -> int:
        """Return what a body has besides its events and one byte between them."""
        return len(self._open) + len(self._close)


def _parse(body: bytes) -> dict[str, Any]:
    """Return the members of a body that begins as an object. Raises ``RenderError`` if it is not JSON."""
    try:
        document: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        if OUT_OF_RANGE not in exc.msg or not is_json(body):
            raise RenderError(f"the body is not JSON that can be one event of a batch: {exc.msg}") from exc
        document = json.loads(body, parse_float=str, parse_int=str)
    return document


def _compact(body: bytes) -> bytes:
    """Return a JSON object without space around it and before its first member. Raises ``RenderError``."""
    inside = body.strip()
    if not (inside.startswith(b"{") and inside.endswith(b"}")):
        raise RenderError(_NOT_AN_OBJECT)
    return b"{" + inside[1:].lstrip()
