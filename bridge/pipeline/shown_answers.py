"""The answers of one endpoint as the history may keep them: their beginning, without secrets.

A receiver may repeat the request in its answer, also in that to a delivery. Searching a text for secrets
takes many times as long as all else that the history costs. Most answers of a receiver are alike, so the
parts that were searched are remembered. Invariant: every part that is kept was searched.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.model import Response
from bridge.rendering import Headers

BODY_BYTES = 2048
"""Bytes of an answer's body that the history keeps."""
HEADER_BYTES = 4096
"""Bytes of an answer's headers that the history keeps."""
SEARCHES_PER_S = 200
"""So many unknown parts of answers to deliveries are searched per second and endpoint, some hundredths of a
core. Parts beyond that are left out. Parts of other answers are always searched."""
_MOST_KNOWN = 256
_MOST_WHOLE = 32
_KNOWN_BYTES = 512
_LINE = b": ".join
LEFT_OUT = b"(not kept: too many different answers)"
"""Stands for a part of an answer to a delivery that was not searched."""


def recurs(body: bytes, shown: tuple[bytes, bytes]) -> bool:
    """Return True if an answer is worth remembering: its body is short, and no part of it was left out."""
    lines, shown_body = shown
    return len(body) <= _KNOWN_BYTES and shown_body != LEFT_OUT and LEFT_OUT not in lines


class ShownAnswers:
    """Returns what may be kept of answers, and remembers what it has searched.

    ``clean`` returns the first bytes of a text without secrets, given the text and their number.
    """

    def __init__(self, clean: Callable[[bytes, int], bytes], now: Callable[[], float]) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._clean = clean
        self._now = now
        self._known: dict[bytes, bytes] = {b"": b""}
        self._whole: dict[tuple[Headers, bytes], tuple[bytes, bytes]] = {}
        self._version = 0
        self._second = 0.0
        self._left = 0

    def keep(
        self, answer: Response, keeps_body: bool, delivered: bool, version: int = 0
    ) -> tuple[bytes, bytes]:
        """Return the headers as lines, and the beginning of the body; it is empty without ``keeps_body``.

        ``version`` is that of the secrets: what was searched for fewer secrets is searched again.
        """
        if version != self._version:
            self._version, self._known = version, {b"": b""}
            self._whole.clear()
        whole = answer.headers, answer.body if keeps_body else b""
        if (shown := self._whole.get(whole)) is not None:
            return shown
        (headers, body), known = whole, self._known.get
        lines = b"\n".join(
            [known(line) or self._searched(line, HEADER_BYTES, delivered) for line in map(_LINE, headers)]
        )
        if len(lines) > HEADER_BYTES:
            lines = lines[: max(lines.rfind(b"\n", 0, HEADER_BYTES + 1), 0)]
        shown = lines, self._searched(body, BODY_BYTES, delivered)
        if recurs(body, shown):
            if len(self._whole) >= _MOST_WHOLE:
                self._whole.clear()
            self._whole[whole] = shown
        return shown

    def _searched(self, text: bytes, most: int, delivered: bool) -> bytes:
        """Return the beginning of a text without secrets; ``LEFT_OUT`` if there were too many to search."""
        if (clean := self._known.get(text)) is not None:
            return clean
        if delivered and not self._may_search():
            return LEFT_OUT
        clean = self._clean(text, most)
        if len(text) <= _KNOWN_BYTES:
            if len(self._known) >= _MOST_KNOWN:
                self._known = {b"": b""}
            self._known[text] = clean
        return clean

    def _may_search(self) -> bool:
        now = self._now()
        if now - self._second >= 1:
            self._second, self._left = now, SEARCHES_PER_S
        self._left -= 1
        return self._left >= 0
