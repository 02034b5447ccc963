"""Make the request of an event that is sent again as it was: method, headers and body of an earlier attempt.

Invariant: the bytes of the body are those that were sent before. The URL is that of the configuration in
force, because the history contains only a masked one.
"""

from __future__ import annotations

import re

from bridge.errors import RenderError
from bridge.model import Event, StoredRequest, Url
from bridge.rendering import Rendered
from bridge.rendering.request import TargetTemplate

RENDER = "send the event with `hookferry resend --render`"
_ORIGIN = re.compile(r"[^:/?#]*://[^/?#]*")


def target_of(shown_url: str) -> str:
    """Return path and query of a URL of the history."""
    return _ORIGIN.sub("", shown_url, count=1)


class StoredRenderer:
    """Renders events that have a stored request, for one endpoint with this URL."""

    def __init__(self, url: Url | TargetTemplate, mask: str) -> None:
        """``mask`` is what the history shows for parts of a URL that the configuration contains."""
        self._url = url
        self._mask = mask

    def render(self, event: Event) -> Rendered:
        """Return the stored request. Raises ``RenderError`` if the form of the URL is another one now."""
        resend = event.resend
        assert resend is not None, "it is an event that is sent again"
        assert resend.stored is not None, "and as it was"
        stored = resend.stored
        return Rendered(stored.method, self._url_of(stored), stored.headers, resend.origin.value or b"")

    def _url_of(self, stored: StoredRequest) -> Url:
        if isinstance(self._url, Url):
            return self._url
        url = self._url.refilled(target_of(stored.url), self._mask)
        if url is None:
            raise RenderError(f"the URL of the endpoint has another form than when this was sent; {RENDER}")
        return url
