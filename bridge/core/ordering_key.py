"""A lane as text: the ordering key of an event, written down and read back, and a short name for it.

Lanes live in one process; what is held back must be known to the next one, so it is written to a
topic. Bottom of the rules, pure: read by several of them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Hashable
from hashlib import blake2b

from bridge.model import LaneKey

MAX_PART = 1024
"""Bytes or characters of a key, an entity or a tenant that a lane holds; of longer ones it holds a hash."""


def bounded(part: bytes | str) -> bytes | str:
    """A part of a lane, short enough to be kept; two long ones are one only if their hashes are."""
    if len(part) <= MAX_PART:
        return part
    raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
    return "blake2b:" + blake2b(raw, digest_size=32).hexdigest()


def text_of(lane: Hashable) -> str:
    """The lane of an event as a line of text; ``read`` is its inverse."""
    topic, number, key, tenant = LaneKey(*lane)  # type: ignore[misc]
    part = {"b64": base64.b64encode(key).decode()} if isinstance(key, bytes) else key
    return json.dumps([topic, number, part, tenant], separators=(",", ":"))


def read(text: str) -> LaneKey:
    """The lane in a text. Raises ``ValueError``."""
    try:
        topic, number, part, tenant = json.loads(text)
        key = base64.b64decode(part["b64"], validate=True) if isinstance(part, dict) else part
    except (ValueError, TypeError, KeyError) as exc:
        raise ValueError(f"it is no lane: {exc!r}") from exc
    kinds = [type(one) for one in (topic, number, tenant)]
    if kinds != [str, int, str] or type(key) not in (bytes, str, int):
        raise ValueError("it is no lane: its parts are of other kinds")
    return LaneKey(topic, number, key, tenant)


def id_of(lane: Hashable) -> str:
    """A name of 32 hexadecimal digits: two lanes share it with a chance of 2 to the -128."""
    return blake2b(text_of(lane).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
