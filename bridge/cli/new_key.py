"""Create signing keys: random bytes in the form of each kind of receiver."""

from __future__ import annotations

import base64
import secrets
from typing import NamedTuple

from bridge.core.signing.forms import KeyEncoding
from bridge.core.signing.key_text import ReadKey, standard_key, text_key
from bridge.core.signing.keys import SigningKey

_BYTES = 32


class NewKey(NamedTuple):
    """A new key, and the text of it, which is secret."""

    text: str
    key: SigningKey


def shared_secret() -> NewKey:
    """Create a shared secret of Standard Webhooks."""
    return _read("whsec_" + _base64(secrets.token_bytes(_BYTES)), standard_key)


def ed25519_pair() -> NewKey:
    """Create an Ed25519 key; its text contains the public key as well."""
    from bridge.core.signing.ed25519 import public_key

    seed = secrets.token_bytes(_BYTES)
    return _read("whsk_" + _base64(seed + public_key(seed)), standard_key)


def hmac_secret(encoding: KeyEncoding) -> NewKey:
    """Create a secret of another form: 64 letters and digits, or base64."""
    raw = secrets.token_bytes(_BYTES)
    return _read(_base64(raw) if encoding == "base64" else raw.hex(), text_key(encoding))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _read(text: str, read: ReadKey) -> NewKey:
    return NewKey(text, read(text))
