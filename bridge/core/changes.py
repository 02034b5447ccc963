"""The audit of what people changed, as records of ``<group>.control``. Pure.

Invariant: each change has a unique key, so compaction keeps all of them. Texts contain no secret: they
are scrubbed where they are written.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import orjson

PREFIX = b"change/"
"""Keys are ``change/<at>-<random>``."""
_TEXT_CHARS = 500


class DamagedChangeError(ValueError):
    """A record of the control topic that is no change of this format."""


class Change(NamedTuple):
    """One change: ``at`` is an RFC 3339 instant, ``action`` a word such as ``endpoint off``.

    ``subject`` is what was changed, ``by`` who did it and from where, ``reason`` why. ``details`` is for a
    person. ``key`` is an ``Idempotency-Key`` of the API, or empty, and ``answer`` what it was answered.
    """

    at: str
    by: str
    action: str
    subject: str
    reason: str = ""
    details: str = ""
    key: str = ""
    answer: str = ""

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        return orjson.dumps({name: text[:_TEXT_CHARS] for name, text in self._asdict().items()})


def new_key(change: Change) -> bytes:
    """Return a key for the record of a change, which no other record has."""
    return PREFIX + f"{change.at}-{secrets.token_hex(6)}".encode()


def read_change(value: bytes) -> Change:
    """Return the change in a record's value. Raises ``DamagedChangeError``."""
    try:
        document = orjson.loads(value)
        return Change(
            **{name: str(document[name])[:_TEXT_CHARS] for name in Change._fields if name in document}
        )
    except (ValueError, TypeError, KeyError) as exc:
        raise DamagedChangeError("it is no change of this release") from exc
