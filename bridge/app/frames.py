"""How a supervisor and its workers write to each other: JSON documents, each after its length.

Invariant: a document is read whole or not at all. The other end is a process of ours, so nothing is bounded.
"""

from __future__ import annotations

from asyncio import StreamReader
from struct import Struct
from typing import Any

import orjson

_LENGTH = Struct(">I")


def encode_frame(document: object) -> bytes:
    """Return the bytes of one document."""
    text = orjson.dumps(document)
    return _LENGTH.pack(len(text)) + text


async def read_frame(reader: StreamReader) -> Any:
    """Return the next document. Raises ``EOFError`` or ``OSError`` when the other process has ended."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return orjson.loads(await reader.readexactly(length))
