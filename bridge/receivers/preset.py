"""A preset: everything that is specific to one kind of receiver.

Its parts are functions of an event or an answer, so a preset needs neither settings nor a client. An
explicit setting of the operator overrides the preset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.verdict import OwnVerdict, by_status
from bridge.model import Event, Url
from bridge.receivers.fit import Escape
from bridge.rendering import CONTENT_TYPE, Headers, MakeBody

_JSON: Headers = ((b"content-type", CONTENT_TYPE),)


def no_rate(url: Url) -> tuple[str, ...]:
    """Return no limit: the receiver publishes none."""
    return ()


def as_json(body: Callable[[Event], bytes]) -> MakeBody:
    """Return a kind of body from a function that renders an event as JSON."""

    def render(event: Event) -> tuple[Headers, bytes]:
        return _JSON, body(event)

    return render


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of receiver.

    ``render`` renders the message of an event. ``judge`` judges the answer. ``rates`` returns the
    receiver's limits, in the form of an endpoint's ``rate``. ``events`` is the default selection of events.
    ``escape`` escapes values that a template of the operator's inserts. ``query`` is added to the URL.
    ``verifies`` is False if the receiver ignores ``webhook-`` headers; they are then sent only if secrets
    are configured. ``key_field`` names a secret that the body must contain. ``batches`` is
    True if the receiver accepts several events in one request.
    """

    name: str
    receiver: str
    render: MakeBody
    judge: OwnVerdict = by_status
    rates: Callable[[Url], tuple[str, ...]] = no_rate
    events: tuple[str, ...] = ("*",)
    escape: Escape | None = None
    query: str = ""
    verifies: bool = True
    key_field: str = ""
    batches: bool = False

    def target(self, url: Url) -> Url:
        """Return the URL with ``query`` added, unless the URL has that parameter already."""
        path, _, query = url.target.partition("?")
        name = self.query.partition("=")[0]
        if not name or any(parameter.partition("=")[0] == name for parameter in query.split("&")):
            return url
        return url._replace(target=f"{path}?{query}&{self.query}" if query else f"{path}?{self.query}")
