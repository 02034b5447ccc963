"""Checksum what a receiver gets of an event, its type and its data, to compare duplicates.

Two events with one digest are the same in practice, but never proven so: nothing is dropped by it. What an
envelope adds, such as the time of publication, is left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zlib import crc32

import orjson

_CANONICAL = orjson.OPT_SORT_KEYS
TYPE_BITS = 32
"""The digest's upper half is the type's, the lower one the data's."""


def digest_of_bytes(type: str, data: bytes) -> int:
    """Return the digest of an event whose data is compared as bytes. It fits a signed 64-bit integer."""
    return _of_type(type) | crc32(data)


def digest_of_document(type: str, document: Any) -> int:
    """Return the digest of an event with parsed data; the order of keys and white space do not count.

    0, which equals nothing, if the data cannot be written as JSON.
    """
    try:
        return _of_type(type) | crc32(orjson.dumps(document, default=str, option=_CANONICAL))
    except (orjson.JSONEncodeError, RecursionError):
        return 0


@lru_cache(maxsize=4096)
def _of_type(type: str) -> int:
    return (crc32(type.encode("utf-8", "surrogatepass")) >> 1) << TYPE_BITS
