"""Signing keys: the time in which each one signs, and the name that it is shown by. Pure.

Invariant: a key's ``repr`` and name contain no part of the secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

_NAME_DIGITS = 12


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and the time in which it signs: from ``since_s`` until before ``until_s``, in Unix seconds.

    ``secret`` is the key of an HMAC, or the seed of an Ed25519 key, whose ``public`` half is then set.
    """

    secret: bytes = field(repr=False)
    public: bytes | None = None
    since_s: float = -inf
    until_s: float = inf

    @property
    def name(self) -> str:
        """A fingerprint that identifies the key in logs and lists, and does not reveal it."""
        shown = b"hmac\0" + self.secret if self.public is None else b"ed25519\0" + self.public
        return hashlib.sha256(b"hookferry signing key\0" + shown).hexdigest()[:_NAME_DIGITS]

    def signs_at(self, at_s: float) -> bool:
        """Return True if the key signs at this instant."""
        return self.since_s <= at_s < self.until_s


class Active(NamedTuple):
    """The keys that sign, the newest first, and the time in which these do."""

    keys: tuple[SigningKey, ...]
    since_s: float
    until_s: float


def active(keys: Iterable[SigningKey], at_s: float) -> Active:
    """Return the keys that sign at an instant. Of keys that begin together, the first is the newest.

    In a time for which there is no key, as after a clock was set back, the one that is nearest in time signs.
    """
    ordered = sorted(keys, key=lambda key: -key.since_s)
    signing = [key for key in ordered if key.signs_at(at_s)]
    if not signing:
        signing = [min(ordered, key=lambda key: max(key.since_s - at_s, at_s - key.until_s))]
    changes = sorted({-inf, inf, *(key.since_s for key in ordered), *(key.until_s for key in ordered)})
    return Active(
        tuple(signing),
        max(change for change in changes if change <= at_s),
        min(change for change in changes if change > at_s),
    )


def gap(keys: Sequence[SigningKey], from_s: float) -> tuple[float, float] | None:
    """Return the first stretch of time after ``from_s`` in which no key signs, in Unix seconds, or None."""
    covered = from_s
    for key in sorted(keys, key=lambda key: key.since_s):
        if key.since_s > covered:
            return covered, key.since_s
        covered = max(covered, key.until_s)
    return None if covered == inf else (covered, inf)
