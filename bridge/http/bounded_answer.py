"""Read the answer of an httpx client up to a limit, as it arrived on the wire.

Invariant: no more than the limit and one network read is ever in memory. httpx unpacks an answer without a
limit, and 64 KB of gzip can contain 64 MB, or in several layers any size. So none is unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from bridge.errors import HookferryError

UNPACKED: Mapping[str, str] = {"accept-encoding": "identity"}
"""The request header for an answer that is not compressed; without it httpx asks for compressed ones."""


class AnswerTooLargeError(HookferryError):
    """An answer is larger than its limit."""


class AnswerEncodedError(HookferryError):
    """An answer is compressed, although the request did not allow that."""


async def read_bounded(response: httpx.Response, most_bytes: int) -> bytes:
    """Return the body of an answer that was opened with ``stream``.

    Raises ``AnswerTooLargeError``, ``AnswerEncodedError``, and httpx's own exceptions.
    """
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise AnswerEncodedError("its answer is compressed, which the request did not allow")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most_bytes:
            raise AnswerTooLargeError(f"its answer is larger than {most_bytes} bytes")
    return bytes(body)
