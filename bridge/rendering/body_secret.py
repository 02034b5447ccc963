"""A secret that a receiver requires in the body: inserted for sending, masked in everything stored.

It is the first member of the object, and no value of an event can be there. So the stored body differs
from the sent one in exactly the secret.
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

    def insert(self, body: bytes) -> bytes:
        """Return the body to send. Raises ``RenderError`` for a body that is not a JSON object."""
        return self._head(self.secret) + self._rest(body)

    def shown(self, sent: bytes) -> bytes:
        """Return the body that may be stored and shown, with ``***`` in place of the secret."""
        head = self._head(self.secret)
        return self._head(MASK) + sent[len(head) :] if sent.startswith(head) else sent

    def _head(self, value: str) -> bytes:
        return b"{" + orjson.dumps(self.name) + b":" + orjson.dumps(value)

    def _rest(self, body: bytes) -> bytes:
        inside = body.lstrip()
        if not inside.startswith(b"{"):
            raise RenderError(f"the body is not a JSON object, so {self.name} cannot be inserted; render one")
        inside = inside[1:].lstrip()
        return inside if inside.startswith(b"}") else b"," + inside


class BodySecretRenderer:
    """Inserts the secret into the body of another renderer."""

    def __init__(self, inner: Renderer, secret: BodySecret) -> None:
        self._inner = inner
        self._secret = secret

    def render(self, event: Event) -> Rendered:
        """See ``Renderer``."""
        rendered = self._inner.render(event)
        return rendered._replace(body=self._secret.insert(rendered.body))
