"""Compress the bodies of requests (RFC 9110 8.4.1: gzip; RFC 8878: zstd).

Invariant: a body is sent compressed only if that makes it smaller, and always with its ``content-encoding``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cramjam

from bridge.rendering import Headers

Coding = Literal["gzip", "zstd"]
CODINGS: tuple[Coding, ...] = ("gzip", "zstd")
THREAD_BYTES = 256 * 1024
"""Compressing so much takes about a millisecond. Larger bodies are best compressed in a thread."""
_LEVEL = 1
"""Of both: three milliseconds for a megabyte of JSON. Level 3 takes longer and saves little."""


class Compression:
    """The compression of one endpoint's requests. Bodies of up to ``above_bytes`` are sent as they are."""

    def __init__(self, coding: Coding, above_bytes: int) -> None:
        self.coding = coding
        self.above_bytes = above_bytes
        self._headers: Headers = ((b"content-encoding", coding.encode()),)
        compress = {"gzip": cramjam.gzip.compress, "zstd": cramjam.zstd.compress}[coding]
        self._compress: Callable[[bytes], bytes] = lambda body: bytes(compress(body, _LEVEL))

    def of(self, body: bytes) -> tuple[Headers, bytes]:
        """Return the header and the bytes to send; no header if the body is sent as it is."""
        if len(body) <= self.above_bytes:
            return (), body
        compressed = self._compress(body)
        return (self._headers, compressed) if len(compressed) < len(body) else ((), body)
