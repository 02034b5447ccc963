"""What a preset is: everything Hookferry knows of one kind of receiver. Pure.

Part of the presets. The parts are functions of an event or an answer, so that a preset needs neither
settings nor a client; what the operator sets explicitly wins over what a preset brings.
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
    """No rate that is known beforehand."""
    return ()


def as_json(body: Callable[[Event], bytes]) -> MakeBody:
    """A kind of body out of what makes JSON of an event."""

    def render(event: Event) -> tuple[Headers, bytes]:
        return _JSON, body(event)

    return render


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of receiver.

    ``render`` makes the message of an event. ``judge`` reads the answer. ``rates`` are its limits, as
    in an endpoint's ``rate``, and ``events`` what it is sent, where the operator does not say.
    ``escape`` is for values that a template of the operator's own inserts. ``query`` is added to the
    URL. ``verifies`` is False where a receiver has no use for ``webhook-`` headers: they are then sent
    only with secrets. ``key_field`` names a secret that belongs into the body.
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

    def target(self, url: Url) -> Url:
        """The URL as this receiver wants it: with ``query``, unless it names that already."""
        path, _, given = url.target.partition("?")
        name = self.query.partition("=")[0]
        if not name or any(one.partition("=")[0] == name for one in given.split("&")):
            return url
        return url._replace(target=f"{path}?{given}&{self.query}" if given else f"{path}?{self.query}")
