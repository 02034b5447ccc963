"""Step 8, signing: Standard Webhooks 1.0.0, version v1.

Takes the id, the instant of the attempt and the exact bytes of the body; gives three headers. Rule
floor, pure.
"""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Sequence


class Signer:
    """Signs with every secret it has, so that a receiver can change over at its own pace.

    Signed are the bytes ``{id}.{unix seconds}.{body}`` with HMAC-SHA256; the signature header
    lists one ``v1,<base64>`` per secret, separated by spaces (Standard Webhooks 1.0.0).
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        # keyed beforehand: a copy of it costs half of beginning with the secret each time
        self._keyed = tuple(hmac.new(secret, digestmod="sha256") for secret in secrets)

    def headers(self, webhook_id: str, at_s: int, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """The ``webhook-*`` headers of one attempt; without secrets, id and timestamp alone."""
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


class Silent(Signer):
    """For receivers that neither verify a signature nor know the id: no headers at all."""

    def __init__(self) -> None:
        super().__init__(())

    def headers(self, webhook_id: str, at_s: int, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """None."""
        return ()
