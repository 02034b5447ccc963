"""Decide whether an answer complains of the signature of its request. Pure.

Receivers agree neither on a status nor on words, so both are settings.
"""

from __future__ import annotations

from bridge.model import Response

_SEARCHED_BYTES = 2048
_CHALLENGE = b"www-authenticate"


class SignatureFailures:
    """Recognizes such an answer: it has one of the statuses, and contains one of the texts in any case.

    Without texts, the status is enough.
    """

    def __init__(self, statuses: frozenset[int], texts: tuple[str, ...]) -> None:
        self._statuses = statuses
        self._texts = tuple(text.lower().encode() for text in texts)

    def match(self, answer: Response) -> bool:
        """Return True if the answer complains of the signature, in its body or in ``WWW-Authenticate``."""
        if answer.status not in self._statuses:
            return False
        body, challenge = answer.body[:_SEARCHED_BYTES], answer.header(_CHALLENGE) or b""
        searched = b"\n".join([body, challenge]).lower()
        return not self._texts or any(text in searched for text in self._texts)
