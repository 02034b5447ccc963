"""Carries one HTTP request out and one answer, or a named fault, back.

Step 9b of the path, below ``deliver``. A transport knows nothing of events, retries or verdicts: an
answer of any status is an answer. Two parts keep the one contract (``tests/contract/transport``):

- ``lean.LeanTransport``: HTTP/1.1 keep-alive connections of our own, for the ordinary case;
- ``httpx_transport.HttpxTransport``: any ``httpx.AsyncBaseTransport``, for proxies and the rest.
"""

from __future__ import annotations

from typing import Protocol

from bridge.model import Request, Response


class Transport(Protocol):
    """What ``deliver`` needs: requests out, answers back, a bounded time each.

    - No redirect is followed, no proxy is taken from the environment, nothing is sent twice.
    - The body of an answer is cut at the transport's limit, header names come in lower case, and
      content codings are left as they are.
    - Interim answers (1xx) are passed over; the first other one is the answer.
    - A request that failed, ran out of time or was cancelled leaves no connection in use behind it.
    """

    async def send(self, request: Request, timeout_s: float) -> Response:
        """The answer to ``request``; ``timeout_s`` bounds all of it, from the wait for a connection on.

        Raises ``TransportError`` and, when the caller's task is cancelled, ``CancelledError``; nothing else.
        """
        ...

    async def close(self) -> None:
        """Close every connection; requests that are still in flight fail. May be called twice."""
        ...
