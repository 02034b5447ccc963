"""Simulated receivers: well-known services, as far as a webhook can observe them.

Each one answers and refuses as the real service does, and keeps the messages that it shows. They share no
code with ``bridge.receivers``, so that the two check each other. Slack and Zapier are here because the demo
uses them; the others are in ``tests/support/receivers``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

SEEN = 1_000
"""Messages that a simulator keeps."""


class Reply(NamedTuple):
    """An answer: status, body, and further headers."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


class Refused(Exception):
    """A request that the service refuses; contains the answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


class Simulator(Protocol):
    """A service. ``shown`` contains the messages that its users see as text, newest last."""

    shown: deque[str]

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Reply:
        """Answer one POST. ``target`` is path and query, header names are in lower case."""
        ...


class Windows:
    """Allow at most ``count`` requests in any period of ``seconds``, for each of several windows."""

    def __init__(self, *windows: tuple[int, float]) -> None:
        self._windows = windows
        self._taken: deque[float] = deque(maxlen=max(count for count, _ in windows))

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next request is allowed; 0 if it is allowed now."""
        return max(
            (
                self._taken[-count] + seconds - now_s
                for count, seconds in self._windows
                if len(self._taken) >= count
            ),
            default=0.0,
        )

    def left(self, now_s: float) -> int:
        """Return how many more requests the first window allows now."""
        count, seconds = self._windows[0]
        return count - sum(at > now_s - seconds for at in self._taken)

    def take(self, now_s: float) -> None:
        """Count one request."""
        self._taken.append(now_s)


def length(text: object) -> int:
    """Return the length of a text in UTF-16 units, or -1 for another type."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 if isinstance(text, str) else -1
