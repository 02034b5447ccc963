"""CPU of the steps of an attempt, warm: ``python -m tests.bench.attempt``.

Each figure is the lowest of many short runs, so that it depends little on what else the machine does. Whole
events cost more than the sum: their objects and code are not in the processor's caches.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from bridge.core.signing import SigningKey, StandardSigner
from bridge.core.url import parse_url
from bridge.core.verdict import judge
from bridge.http import connection
from bridge.http.head import Head
from bridge.model import Response
from tests.bench.cpu import cpu_us
from tests.bench.transport import BODY, HEADERS

ROUNDS = 2000
ANSWERS = {
    "two header lines": b"HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 13:27:16 GMT\r\n"
    b"Content-Length: 0\r\n\r\n",
    "eight header lines": b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Fri, 27 Nov 2026 13:27:16 GMT\r\n"
    b"Content-Type: application/json\r\nConnection: keep-alive\r\nX-Frame-Options: DENY\r\n"
    b"Cache-Control: no-store\r\nVary: Accept-Encoding\r\nContent-Length: 15\r\n\r\n"
    b'{"status":"ok"}',
}
OK = Response(200, ((b"date", b"Fri, 27 Nov 2026 13:27:16 GMT"), (b"content-length", b"2")), b"ok")


class Socket(asyncio.Transport):
    """A transport that sends nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Forget the data."""

    def get_write_buffer_size(self) -> int:
        """Return 0: everything was sent."""
        return 0

    def abort(self) -> None:
        """Do nothing."""


class Pool:
    """An owner of one connection."""

    def freed(self, freed: connection.Connection) -> None:
        """Do nothing."""

    retired = gone = freed

    def leaves(self, leaving: connection.Connection) -> None:
        """Write it, as at the end of a turn of the loop."""
        leaving.write()


def open_connection(loop: asyncio.AbstractEventLoop) -> connection.Connection:
    """Return a free connection. A revision without known heads makes it without them."""
    more: list[Any] = []
    if hasattr(connection, "KnownHeads"):
        more = [connection.KnownHeads()]
    limits = connection.Limits(65536, 65536, 60.0)
    opened = connection.Connection(loop, "http://receiver:1", limits, *more)
    opened.connection_made(Socket())
    opened.join(Pool())
    return opened


async def measure() -> dict[str, float]:
    """Return the microseconds of each step."""
    loop = asyncio.get_running_loop()
    head = Head("POST", parse_url("http://receiver.example/hooks"))
    signer = StandardSigner([SigningKey(b"0123456789abcdef01234567")])
    steps = {
        "sign": cpu_us(lambda: signer.headers("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1674087231, BODY), ROUNDS),
        "write the request": cpu_us(lambda: head.write(HEADERS, BODY), ROUNDS),
        "judge the answer": cpu_us(lambda: judge(OK, 1674087231.0), ROUNDS),
    }
    for name, answer in ANSWERS.items():
        opened = open_connection(loop)

        def exchange(opened: connection.Connection = opened, answer: bytes = answer) -> None:
            opened.start(b"request", loop.time() + 15, True)
            opened.data_received(answer)

        steps[f"send, and read an answer with {name}"] = cpu_us(exchange, ROUNDS)
    varying = open_connection(loop)
    heads = (ANSWERS["eight header lines"].replace(b"nginx", b"%05d" % number) for number in count())

    def exchange_varying() -> None:
        varying.start(b"request", loop.time() + 15, True)
        varying.data_received(next(heads))

    replacing = cpu_us(lambda: next(heads), ROUNDS)
    steps["the same, each with another head"] = cpu_us(exchange_varying, ROUNDS) - replacing
    return steps


def main() -> None:
    """Print the figures."""
    for name, us in asyncio.run(measure()).items():
        print(f"{us:6.2f} µs  {name}")


if __name__ == "__main__":
    main()
