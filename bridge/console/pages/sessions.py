"""Who is logged in: sessions in the memory of the console, and the tokens of its forms.

Invariant: a session is found only by its random token, of which the console keeps the hash. Sessions are
bounded in number, in age, and in time without a request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from bridge.console.actor import Actor

MOST_SESSIONS = 1000
LONGEST_S = 12 * 3600.0
IDLE_S = 2 * 3600.0
_MOST_NOTES = 200


@dataclass(slots=True)
class _Session:
    actor: Actor
    began_s: float
    seen_s: float


class Sessions:
    """The sessions, oldest request first. ``clock`` returns seconds that only grow."""

    def __init__(self, clock: Callable[[], float], most: int = MOST_SESSIONS) -> None:
        self._clock = clock
        self._most = most
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._key = secrets.token_bytes(32)
        self._notes: OrderedDict[str, str] = OrderedDict()

    def begin(self, actor: Actor) -> str:
        """Begin a session and return its token. The one without a request for longest ends, if it is full."""
        token, now_s = secrets.token_urlsafe(32), self._clock()
        self._sessions[_hash(token)] = _Session(actor, now_s, now_s)
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return token

    def actor(self, token: str) -> Actor | None:
        """Return who has a session; None if it does not exist or has ended."""
        session = self._sessions.get(_hash(token))
        if session is None:
            return None
        now_s = self._clock()
        if now_s - session.began_s > LONGEST_S or now_s - session.seen_s > IDLE_S:
            self.end(token)
            return None
        session.seen_s = now_s
        self._sessions.move_to_end(_hash(token))
        return session.actor

    def end(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(_hash(token), None)

    def form_token(self, token: str) -> str:
        """Return what each form of this session contains: another site cannot compute it."""
        return hmac.new(self._key, token.encode(), hashlib.sha256).hexdigest()

    def accepts(self, token: str, form_token: str) -> bool:
        """Return True if a form belongs to this session."""
        return hmac.compare_digest(self.form_token(token).encode(), form_token.encode("utf-8", "replace"))

    def leave_note(self, token: str, text: str) -> None:
        """Keep a message for the next page of this session."""
        self._notes[token] = text
        self._notes.move_to_end(token)
        while len(self._notes) > _MOST_NOTES:
            self._notes.popitem(last=False)

    def take_note(self, token: str) -> str | None:
        """Return that message, once."""
        return self._notes.pop(token, None)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
