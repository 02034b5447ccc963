"""Decide what is signed, and with which secrets: Standard Webhooks 1.0.0, signature version v1.

Invariant: the signature covers the exact bytes of the body as they are sent, the id of the event and
the instant of the attempt.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Sequence


def key_name(key: bytes) -> str:
    """Return a fingerprint that identifies a key in logs, and does not reveal it."""
    return hashlib.sha256(b"hookferry signing key\0hmac\0" + key).hexdigest()[:12]


class Signer:
    """Signs with every configured secret, so that a receiver can change secrets at its own pace.

    The signed bytes are ``{id}.{unix seconds}.{body}``, with HMAC-SHA256. The signature header
    lists one ``v1,<base64>`` per secret, separated by spaces (Standard Webhooks 1.0.0).
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        # keyed once: copying a keyed HMAC takes half the time of keying a new one
        self._keyed = tuple(hmac.new(secret, digestmod="sha256") for secret in secrets)
        self.newest_key = key_name(secrets[0]) if secrets else ""
        """The name of the newest key that signs, for logs; empty if none does."""

    def headers(self, webhook_id: str, at_s: int, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """Return the ``webhook-*`` headers of one attempt at Unix second ``at_s``.

        Without secrets, these are the id and the timestamp.
        """
        name = webhook_id.encode("ascii")
        instant = b"%d" % at_s
        always = ((b"webhook-id", name), (b"webhook-timestamp", instant))
        if not self._keyed:
            return always
        signed = b"%b.%b.%b" % (name, instant, body)
        signatures = []
        for keyed in self._keyed:
            mac = keyed.copy()
            mac.update(signed)
            signatures.append(b"v1," + binascii.b2a_base64(mac.digest(), newline=False))
        return (*always, (b"webhook-signature", b" ".join(signatures)))


class NoSignature(Signer):
    """Adds no headers: for receivers that neither verify signatures nor use the id."""

    def __init__(self) -> None:
        super().__init__(())

    def headers(self, webhook_id: str, at_s: int, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """Return no headers."""
        return ()
