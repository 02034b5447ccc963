"""What a preset is: everything Hookferry knows of one kind of receiver. Pure.

Part of the presets. The parts are functions of an event or an answer, so that a preset needs neither
settings nor a client; what the operator sets explicitly wins over what a preset brings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.model import Event, Url
from bridge.presets.fit import Escape, verbatim
from bridge.verdict import OwnVerdict, by_status

Headers = tuple[tuple[bytes, bytes], ...]
_JSON = (b"content-type", b"application/json")


def no_headers(event: Event) -> Headers:
    """No headers beyond the usual ones."""
    return ()


def no_rate(url: Url) -> tuple[str, ...]:
    """No rate that is known beforehand."""
    return ()


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of receiver.

    ``body`` is the message of an event (raises ``DecodeError``, ``RenderError``), ``headers`` what
    goes with it. ``judge`` reads the answer. ``rates`` are its limits, as in an endpoint's ``rate``.
    ``escape`` is for values that a template of the user's own inserts. ``query`` is added to the URL.
    ``verifies`` is False where a receiver has no use for ``webhook-`` headers: they are then sent
    only with secrets. ``key_field`` names a secret that belongs into the body, first of all.
    """

    name: str
    receiver: str
    body: Callable[[Event], bytes]
    headers: Callable[[Event], Headers] = no_headers
    judge: OwnVerdict = by_status
    rates: Callable[[Url], tuple[str, ...]] = no_rate
    escape: Escape = verbatim
    query: str = ""
    verifies: bool = True
    key_field: str = ""
    max_body_bytes: int = 0

    def render(self, event: Event) -> tuple[Headers, bytes]:
        """Headers, the content type first, and body of an event. Raises ``DecodeError``, ``RenderError``."""
        return (_JSON, *self.headers(event)), self.body(event)

    def target(self, url: Url) -> Url:
        """The URL as this receiver wants it: with ``query``, unless it names that already."""
        path, _, given = url.target.partition("?")
        name = self.query.partition("=")[0]
        if not name or any(one.partition("=")[0] == name for one in given.split("&")):
            return url
        return url._replace(target=f"{path}?{given}&{self.query}" if given else f"{path}?{self.query}")
