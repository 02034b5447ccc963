"""A secret that a receiver wants in the body: put in for sending, masked in all that is kept. Pure.

Part of the presets. It stands first in the object, where nothing that an event holds can stand, so
that what is kept differs from what was sent in exactly the secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from bridge.errors import RenderError
from bridge.model import Event
from bridge.rendering import Rendered, Renderer

MASK = "***"


@dataclass(frozen=True, slots=True)
class BodySecret:
    """A member of the body's JSON object: its name, and the secret that is its value."""

    name: str
    secret: str = field(repr=False)

    def put_in(self, body: bytes) -> bytes:
        """The body as it is sent. Raises ``RenderError`` for a body that is no JSON object."""
        return self._head(self.secret) + self._rest(body)

    def shown(self, sent: bytes) -> bytes:
        """The body as it may be kept and shown: ``***`` in the place of the secret."""
        head = self._head(self.secret)
        return self._head(MASK) + sent[len(head) :] if sent.startswith(head) else sent

    def _head(self, value: str) -> bytes:
        return b"{" + orjson.dumps(self.name) + b":" + orjson.dumps(value)

    def _rest(self, body: bytes) -> bytes:
        inside = body.lstrip()
        if not inside.startswith(b"{"):
            raise RenderError(f"the body is no JSON object, and {self.name} must stand in one")
        inside = inside[1:].lstrip()
        return inside if inside.startswith(b"}") else b"," + inside


class SealedRenderer:
    """Puts the secret into what another renderer makes."""

    def __init__(self, inner: Renderer, secret: BodySecret) -> None:
        self._inner = inner
        self._secret = secret

    def render(self, event: Event) -> Rendered:
        """See ``Renderer``."""
        rendered = self._inner.render(event)
        return rendered._replace(body=self._secret.put_in(rendered.body))
