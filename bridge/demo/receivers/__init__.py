"""Simulated receivers: services of the outside world as far as a webhook sees them.

Each answers as its service does, refuses what that would refuse, and keeps what it showed. They share
no code with ``bridge.receivers``, so that the two check each other. Slack and Zapier are here, for the
demo; the others, which only tests need, are in ``tests/support/receivers``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

SEEN = 1_000
"""Messages that a simulator keeps."""


class Said(NamedTuple):
    """An answer: status, body, and headers beyond the usual ones."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


class Refused(Exception):
    """A request that is not what the service takes; carries the answer."""

    def __init__(self, said: Said) -> None:
        super().__init__(f"{said.status} {said.body}")
        self.said = said


class Simulator(Protocol):
    """A service. ``shown`` is what its users saw, newest last, each message as text."""

    shown: deque[str]

    def answer(self, target: str, headers: Mapping[str, str], body: bytes, now_s: float) -> Said:
        """Take one POST. ``target`` is path and query, header names are in lower case."""
        ...


class Windows:
    """Never more than ``count`` requests in any stretch of ``seconds``, for each of several windows."""

    def __init__(self, *windows: tuple[int, float]) -> None:
        self._windows = windows
        self._taken: deque[float] = deque(maxlen=max(count for count, _ in windows))

    def wait_s(self, now_s: float) -> float:
        """Seconds until one more is allowed; 0 when it is now."""
        return max(
            (
                self._taken[-count] + seconds - now_s
                for count, seconds in self._windows
                if len(self._taken) >= count
            ),
            default=0.0,
        )

    def left(self, now_s: float) -> int:
        """How many more are allowed now by the first window."""
        count, seconds = self._windows[0]
        return count - sum(at > now_s - seconds for at in self._taken)

    def take(self, now_s: float) -> None:
        """One request is let through."""
        self._taken.append(now_s)


def length(text: object) -> int:
    """The length of a text in UTF-16 units; -1 for what is no text."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 if isinstance(text, str) else -1
