"""Decide what a lane is called outside the process: as text in a topic, and as an id for people.

Lanes exist in one process. A held lane must be recognized by the next one, so its key is written to a
topic. Invariant: ``decode_lane(encode_lane(lane)) == lane``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Hashable
from hashlib import blake2b

from bridge.model import LaneKey

MAX_PART = 1024
"""Bytes or characters of a key, an entity or a tenant in a lane. Longer ones are replaced by a hash."""


def shorten(part: bytes | str) -> bytes | str:
    """Return a part of a lane, hashed if it is longer than ``MAX_PART`` (BLAKE2b, 256 bits)."""
    if len(part) <= MAX_PART:
        return part
    raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
    return "blake2b:" + blake2b(raw, digest_size=32).hexdigest()


def encode_lane(lane: Hashable) -> str:
    """Return the lane of an event as one line of JSON."""
    topic, number, key, tenant = LaneKey(*lane)  # type: ignore[misc]  # Event.lane is Hashable: opaque to lanes
    part = {"b64": base64.b64encode(key).decode()} if isinstance(key, bytes) else key
    return json.dumps([topic, number, part, tenant], separators=(",", ":"))


def decode_lane(text: str) -> LaneKey:
    """Return the lane in a text. Raises ``ValueError``."""
    try:
        topic, number, part, tenant = json.loads(text)
        key = base64.b64decode(part["b64"], validate=True) if isinstance(part, dict) else part
    except (ValueError, TypeError, KeyError) as exc:
        raise ValueError(f"it is not a lane: {exc!r}") from exc
    kinds = [type(field) for field in (topic, number, tenant)]
    if kinds != [str, int, str] or type(key) not in (bytes, str, int):
        raise ValueError("it is not a lane: a part has the wrong type")
    return LaneKey(topic, number, key, tenant)


def lane_id(lane: Hashable) -> str:
    """Return the id of a lane, 32 hexadecimal digits. Two lanes share one with a probability of 2^-128."""
    return blake2b(encode_lane(lane).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
