"""Log in to a token server with a signed statement instead of a secret: ``private_key_jwt`` (RFC 7523 2.2).

Invariant: each statement is signed anew, is valid for a minute, and names one token server.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bridge.errors import ConfigError, TokenUnavailable

_LIFETIME_S = 60
_LEAST_RSA_BITS = 2048
_P256_BYTES = 32
_SHA256_BYTES = 32
_REMEDY = (
    "set a PEM file with an RSA key of 2048 bits or more, a P-256 key or an Ed25519 key, and its key_password"
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class PrivateKeyJwt:
    """Makes the statements of one client. The key file is read for each, so a new key needs no restart."""

    def __init__(
        self,
        setting: str,
        client_id: str,
        audience: str,
        key_file: Path,
        key_password: str | None,
        key_id: str | None,
        rsa_padding: str,
    ) -> None:
        """``rsa_padding``: ``PS256`` or ``RS256`` for RSA keys. Raises ``ConfigError`` for a bad file."""
        self._setting = setting
        self._claims = {"iss": client_id, "sub": client_id, "aud": audience}
        self._key_file = key_file
        self._key_password = key_password
        self._key_id = key_id
        self._rsa_padding = rsa_padding
        try:
            load_key(key_file, key_password)
        except ValueError as exc:
            raise ConfigError([f"{setting} {exc}"]) from exc

    def sign(self) -> str:
        """Return a new statement. Raises ``TokenUnavailable`` if the key cannot be used any more."""
        try:
            key = load_key(self._key_file, self._key_password)
        except ValueError as exc:
            cause, _, remedy = str(exc).partition("; ")
            raise TokenUnavailable(f"{self._setting} {cause}", remedy) from exc
        algorithm, sign = _signer(key, self._rsa_padding)
        now = int(time.time())
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": self._key_id} if self._key_id else {})
        claims = self._claims | {"iat": now, "exp": now + _LIFETIME_S, "jti": secrets.token_urlsafe(24)}
        signed = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        return b".".join((signed, _base64(sign(signed)))).decode("ascii")


def load_key(file: Path, password: str | None) -> PrivateKey:
    """Return a private key. Raises ``ValueError`` with cause and remedy."""
    try:
        key = load_pem_private_key(file.read_bytes(), password.encode() if password else None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a private key, or a wrong password"
        raise ValueError(f"cannot be used ({reason}); {_REMEDY}") from None
    is_rsa = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS
    is_p256 = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    if isinstance(key, ed25519.Ed25519PrivateKey) or is_rsa or is_p256:
        return cast("PrivateKey", key)
    raise ValueError(f"has a key of an unsupported kind or size; {_REMEDY}")


def _signer(key: PrivateKey, rsa_padding: str) -> tuple[str, Callable[[bytes], bytes]]:
    """Return the name of the algorithm (RFC 7518 3.1, RFC 8037 3.1) and the function that signs."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA", key.sign
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return "ES256", lambda data: _raw(key.sign(data, ec.ECDSA(SHA256())))
    pss = padding.PSS(padding.MGF1(SHA256()), _SHA256_BYTES)
    chosen = pss if rsa_padding == "PS256" else padding.PKCS1v15()
    return rsa_padding, lambda data: key.sign(data, chosen, SHA256())


def _raw(signature: bytes) -> bytes:
    """Return an ECDSA signature as two numbers of fixed size (RFC 7518 3.4)."""
    return b"".join(number.to_bytes(_P256_BYTES, "big") for number in decode_dss_signature(signature))


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
