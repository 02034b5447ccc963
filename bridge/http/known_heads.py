"""The heads of answers that the parser has accepted, so that an equal one needs no second parse.

The heads of most receivers differ in their date alone, which changes once per second. Parsing each of them
costs three times as much as a lookup. Invariant: a head is known only after the parser has accepted the same
bytes, as the whole head of a complete answer on a connection that could be used again. What depends on more
than these bytes goes to the parser: answers in several pieces, chunked ones, and surplus bytes.
"""

from __future__ import annotations

from typing import NamedTuple

HEAD_END = b"\r\n\r\n"
_MOST = 64
_LONGEST = 2048
"""Bytes of a head that is remembered. Together they are at most 128 KB per transport."""


class KnownHead(NamedTuple):
    """What the parser found in a head: ``body_bytes`` is the length of the body that follows it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body_bytes: int


class KnownHeads(dict[bytes, KnownHead]):
    """Known heads by their bytes. A head that is different in each answer replaces the others in time.

    Use one for the connections of one transport: heads were accepted under its limits.
    """

    def remember(
        self, answer: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...], body_bytes: int
    ) -> None:
        """Add the head of a complete answer that arrived in one piece, to a request that allows a body."""
        end = answer.find(HEAD_END) + len(HEAD_END)
        # Otherwise the body is chunked, or an interim answer came first: the head alone is not enough.
        if len(answer) - end == body_bytes and end <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[answer[:end]] = KnownHead(status, headers, body_bytes)
