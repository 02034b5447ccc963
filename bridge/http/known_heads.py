"""The heads of answers that the parser has accepted, so that an equal one needs no second parse.

The heads of most receivers differ in their date alone, which changes once per second. To send a request and
parse an answer with eight header lines takes 5.1 µs, and 2.7 µs with a lookup (``tests/bench/attempt.py``).
Most answers are the same as a whole, which takes half of that.
Invariant: a head is known only after the parser has accepted the same bytes, as the whole head of a complete
answer on a connection that could be used again. What depends on more than these bytes goes to the parser:
answers in several pieces, chunked ones, and surplus bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.model import Response

HEAD_END = b"\r\n\r\n"
_MOST = 64
_LONGEST = 2048
"""Bytes of a head, or of an answer, that is remembered. Together they are at most 256 KB per transport."""
_PAUSE = 10_000
"""So many answers are only parsed after heads that hardly ever repeated, as with an id in each answer."""


class KnownHead(NamedTuple):
    """What the parser found in a head: ``body_bytes`` is the length of the body that follows it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body_bytes: int


class KnownHeads(dict[bytes, KnownHead]):
    """Known heads by their bytes.

    Use one for the connections of one transport: heads were accepted under its limits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[bytes, Response] = {}
        """Short answers that ``find`` returned, by their bytes: the same bytes are the same object."""
        self.hits = 0
        """Count each answer here that was in ``answers``; ``find`` counts the others."""
        self.pause = 0
        """Look for no answer while this is not 0."""

    def find(self, answer: bytes) -> Response | None:
        """Return an answer, to a request that allows a body, if it is complete and its head is known."""
        end = answer.find(HEAD_END) + len(HEAD_END)
        known = self.get(answer[:end])
        if known is None or known.body_bytes != len(answer) - end:
            return None
        self.hits += 1
        response = Response(known.status, known.headers, answer[end:])
        if len(answer) <= _LONGEST:
            if len(self.answers) >= _MOST:
                self.answers.clear()
            self.answers[answer] = response
        return response

    def remember(
        self, answer: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...], body_bytes: int
    ) -> None:
        """Add the head of a complete answer that arrived in one piece, to a request that allows a body."""
        if self.pause:
            self.pause -= 1
            return
        end = answer.find(HEAD_END) + len(HEAD_END)
        # Otherwise the body is chunked, or an interim answer came first: the head alone is not enough.
        if len(answer) - end == body_bytes and end <= _LONGEST:
            if len(self) >= _MOST:
                if self.hits < _MOST:
                    self.pause = _PAUSE
                self.hits = 0
                self.clear()
                self.answers.clear()
            self[answer[:end]] = KnownHead(status, headers, body_bytes)
