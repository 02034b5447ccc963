"""Cost of one POST with each transport: requests per second, and CPU time of this process per request.

    python tests/bench/transport.py [--requests N] [--connections N] [lean] [httpx]

The receiver runs in a separate process and answers as fast as possible, so the figures are those of the
client. They drift with the machine; compare the two lines of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import time
from ipaddress import ip_network
from multiprocessing.connection import Connection

import httpx
import uvloop

from bridge.core.url import parse_url
from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.model import Request, Response

BODY = b'{"type":"LoanApproved","data":"' + b"x" * 816 + b'"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: bench\r\nContent-Length: 2\r\n\r\nok"
HEADERS = (
    (b"Content-Type", b"application/json"),
    (b"webhook-id", b"msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
    (b"webhook-timestamp", b"1674087231"),
    (b"webhook-signature", b"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
)


class Receiver(asyncio.Protocol):
    """Counts bytes instead of parsing: every request ends with the body, which ends with ``}``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):
            self._transport.write(ANSWER)  # type: ignore[attr-defined]


def receive(pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


class HttpxTransport:
    """httpx's own transport, without ``httpx.Client``: what a client library would cost at least."""

    def __init__(self, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def send(self, request: Request, timeout_s: float) -> Response:
        outgoing = httpx.Request(
            request.method,
            request.url.origin + request.url.target,
            headers=[
                (b"host", request.url.authority.encode()),
                (b"content-length", b"%d" % len(request.body)),
                *request.headers,
            ],
            stream=httpx.ByteStream(request.body),
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)},
        )
        answer = await self._inner.handle_async_request(outgoing)
        body = await answer.aread()
        await answer.aclose()
        return Response(answer.status_code, tuple(answer.headers.raw), body)

    async def close(self) -> None:
        await self._inner.aclose()


def make(kind: str, connections: int) -> Transport:
    if kind == "lean":
        return LeanTransport(EgressPolicy([ip_network("127.0.0.0/8")]), connections)
    return HttpxTransport(connections)


async def measure(kind: str, port: int, requests: int, connections: int) -> None:
    transport = make(kind, connections)
    url = parse_url(f"http://127.0.0.1:{port}/hooks/a")
    left = requests

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            response = await transport.send(Request("POST", url, HEADERS, BODY), 15.0)
            assert response.status == 200

    request = Request("POST", url, HEADERS, BODY)
    await asyncio.gather(*(transport.send(request, 15.0) for _ in range(connections)))  # dials
    gc.collect()
    gc.freeze()  # like the application after its start: the collector skips the imports
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(connections)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await transport.close()
    print(f"{kind:6} {requests / wall:9,.0f} requests/s  {cpu / requests * 1e6:7.1f} µs CPU per request")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["lean", "httpx"])
    parser.add_argument(
        "--requests", type=int, default=100_000, help="requests with lean; httpx gets a fiftieth"
    )
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    port = ours.recv()
    for kind in options.kinds * options.rounds:
        requests = options.requests if kind == "lean" else options.requests // 50
        uvloop.run(measure(kind, port, requests, options.connections))
    receiver.terminate()
    receiver.join()


if __name__ == "__main__":
    main()
