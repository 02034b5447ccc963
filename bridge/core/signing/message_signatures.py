"""Sign requests by RFC 9421, HTTP Message Signatures, with a content digest by RFC 9530. Pure.

The covered components are fixed, and their values contain nothing that structured fields (RFC 8941) would
have to escape. So the fields are built, never parsed. In the tests, a verifier of other people reads them.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from bridge.core.signing.keys import SigningKey
from bridge.core.signing.mac import mac, prepare
from bridge.core.signing.signer import Headers, KeyedSigner, ed25519_function
from bridge.model import Url

HEADERS = ("Content-Digest", "Signature-Input", "Signature")
"""The headers that the form sets, next to ``webhook-id`` and ``webhook-timestamp``."""

_COVERED = ("@method", "@target-uri", "content-digest", "webhook-id")
_Sign = Callable[[bytes], bytes]


def signature_base(components: Iterable[tuple[str, str]], parameters: str) -> bytes:
    """Return what is signed: a line for each component, then the parameters (RFC 9421 2.5)."""
    lines = [f'"{name}": {value}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


class MessageSigner(KeyedSigner):
    """Signs method, URL, body and id of a request with every active key, each under a label of its own.

    A shared secret signs with ``hmac-sha256``, an Ed25519 key with ``ed25519``; ``keyid`` is the key's name.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        super().__init__(keys)
        self._functions: tuple[tuple[str, str, _Sign], ...] = ()

    def headers(self, webhook_id: str, at_s: int, body: bytes, method: str, url: Url) -> Headers:
        """Return id and time, the digest of the body, and the signatures with their parameters."""
        if not self._since_s <= at_s < self._until_s:
            self._select(at_s)
        digest = f"sha-256=:{_base64(hashlib.sha256(body).digest())}:"
        target = f"{url.scheme}://{url.authority}{url.target}"
        components = tuple(zip(_COVERED, (method, target, digest, webhook_id), strict=True))
        inputs, signatures = [], []
        for label, fixed, sign in self._functions:
            parameters = f"{fixed};created={at_s}"
            inputs.append(f"{label}={parameters}")
            signatures.append(f"{label}=:{_base64(sign(signature_base(components, parameters)))}:")
        return (
            (b"webhook-id", webhook_id.encode("ascii")),
            (b"webhook-timestamp", b"%d" % at_s),
            (b"Content-Digest", digest.encode("ascii")),
            (b"Signature-Input", ", ".join(inputs).encode("ascii")),
            (b"Signature", ", ".join(signatures).encode("ascii")),
        )

    def _prepare(self, keys: Sequence[SigningKey]) -> None:
        covered = " ".join(f'"{name}"' for name in _COVERED)
        self._functions = tuple(
            (
                f"sig{number}",
                f'({covered});keyid="{key.name}";alg="{"hmac-sha256" if key.public is None else "ed25519"}"',
                _mac_function(key.secret) if key.public is None else ed25519_function(key),
            )
            for number, key in enumerate(keys, 1)
        )


def _mac_function(secret: bytes) -> _Sign:
    return partial(mac, prepare(secret, "sha256"))


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
