"""The public keys of Ed25519 signing keys as a JSON Web Key Set (RFC 7517, RFC 8037). Pure.

Invariant: the set contains no private key and nothing of a shared secret.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from bridge.core.signing.keys import SigningKey


def key_set(keys: Iterable[SigningKey], at_s: float) -> dict[str, list[dict[str, str]]]:
    """Return the key set at an instant: the keys that sign then or will sign later, each once."""
    entries = {
        key.name: _entry(key.name, key.public)
        for key in keys
        if key.public is not None and at_s < key.until_s
    }
    return {"keys": list(entries.values())}


def _entry(name: str, public: bytes) -> dict[str, str]:
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": name, "use": "sig", "alg": "EdDSA"}


def public_text(public: bytes) -> str:
    """Return a public key as Standard Webhooks writes it: ``whpk_`` and base64."""
    return "whpk_" + base64.b64encode(public).decode()
