"""Send one HTTP request and return its answer, or raise a named fault.

A transport is independent of events, retries and verdicts: an answer of any status is an answer.
``lean.LeanTransport`` has our own HTTP/1.1 keep-alive connections. They go to the receiver directly, through
a tunnel of a proxy (https), or to a proxy that forwards (http). All three fulfill one contract
(``tests/contract/http``), and all check the receiver's address (``egress_policy``).
"""

from __future__ import annotations

from typing import Protocol

from bridge.model import Request, Response


class Transport(Protocol):
    """Sends requests and returns answers, each in a bounded time.

    - It connects only to addresses that the egress policy allows, and asks a proxy only for such receivers.
    - It follows no redirects, reads no proxy from the environment, and sends nothing twice.
    - It truncates the body of an answer at its limit, converts header names to lower case, and does not
      decode content codings.
    - It skips interim answers (1xx); the first other one is the answer.
    - After a failure, a timeout or a cancellation the request occupies no connection.
    """

    async def send(self, request: Request, timeout_s: float) -> Response:
        """Return the answer to ``request``. ``timeout_s`` includes the wait for a connection.

        Raises ``TransportError`` and, when the caller's task is cancelled, ``CancelledError``; nothing else.
        """
        ...

    async def close(self) -> None:
        """Close every connection; requests in flight fail. May be called twice."""
        ...
