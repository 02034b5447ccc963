"""Ed25519, from the package ``cryptography``: sign, verify, and compute a public key (RFC 8032). Pure.

Imported only where an endpoint has such a key: the package brings a cryptographic library of its own, which
uses several MB of memory.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def public_key(seed: bytes) -> bytes:
    """Return the 32 bytes of the public key of a 32-byte seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signing_function(seed: bytes) -> Callable[[bytes], bytes]:
    """Return the function that signs bytes; a signature has 64 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign


def verifies(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Return True if a signature of these bytes is genuine."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
