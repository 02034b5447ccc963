"""The event loop of ``run``: lookups of Kafka, registries and proxies do not stop each other or the exit."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from bridge.http.event_loop import EventLoop
from tests.support.tls import TestAuthority, make_authority


class FakeDns:
    """Takes the place of ``socket.getaddrinfo``. Addresses in text form go to the real one."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: Any, **options: Any) -> list[Any]:
        if options.get("flags"):
            return list(self._real(host, port, **options))
        self.asked.append(host)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in self.addresses
        ]


Run = Callable[[FakeDns, Callable[[EventLoop], Awaitable[None]]], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a coroutine on the loop, with a fake DNS."""

    def run_on_loop(dns: FakeDns, main: Callable[[EventLoop], Awaitable[None]]) -> None:
        async def with_loop() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            await main(loop)

        monkeypatch.setattr(socket, "getaddrinfo", dns)
        with asyncio.Runner(loop_factory=EventLoop) as runner:
            runner.run(with_loop())

    return run_on_loop


@asynccontextmanager
async def serve(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on the port that is returned. An open server would keep uvloop from closing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def test_a_connection_by_name_tries_each_address(run: Run) -> None:
    """aiokafka passes a name, and one protocol object for all addresses."""
    dns = FakeDns("127.0.0.2", "127.0.0.1")

    async def main(loop: EventLoop) -> None:
        async with serve() as port:
            protocol = asyncio.Protocol()
            transport, connected = await loop.create_connection(lambda: protocol, "broker.example", port)
            assert connected is protocol
            assert transport.get_extra_info("peername")[:2] == ("127.0.0.1", port)
            transport.close()
            with pytest.raises(OSError, match=r"cannot connect to broker\.example: .*, "):
                await loop.create_connection(lambda: protocol, "broker.example", 1)

    run(dns, main)
    assert dns.asked == ["broker.example"]


def test_tls_checks_the_name_not_the_address(run: Run, authority: TestAuthority) -> None:
    async def main(loop: EventLoop) -> None:
        async with serve(authority.server_context()) as port:
            context = authority.client_context()
            transport, _ = await loop.create_connection(asyncio.Protocol, "receiver.test", port, ssl=context)
            transport.close()
            with pytest.raises(ssl.SSLCertVerificationError):
                await loop.create_connection(asyncio.Protocol, "other.test", port, ssl=context)

    run(FakeDns("127.0.0.1", "127.0.0.2"), main)


def test_httpx_uses_the_resolver(run: Run) -> None:
    dns = FakeDns("127.0.0.1")

    async def main(loop: EventLoop) -> None:
        async with serve() as port, httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://registry.example:{port}/")).status_code == 204

    run(dns, main)
    assert dns.asked == ["registry.example"]


def test_addresses_are_filtered_by_family(run: Run) -> None:
    async def main(loop: EventLoop) -> None:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            rows = await loop.getaddrinfo("a.example", 80, family=family, type=socket.SOCK_STREAM)
            assert [row[4][0] for row in rows] == [address]
        dns.addresses = ("127.0.0.1",)
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("b.example", 80, family=socket.AF_INET6, type=socket.SOCK_STREAM)

    dns = FakeDns("::1", "127.0.0.1")
    run(dns, main)


def test_other_uses_of_getaddrinfo_are_unchanged(run: Run) -> None:
    async def main(loop: EventLoop) -> None:
        assert (await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_DGRAM))[0][4] == ("127.0.0.1", 80)
        assert await loop.getaddrinfo(None, 80, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)

    dns = FakeDns("127.0.0.9")
    run(dns, main)
    assert not dns.asked


SCRIPT = """
import asyncio, ipaddress, socket, sys, time, uvloop
real = socket.getaddrinfo
def stuck(host, *args, **options):
    return real(host, *args, **options) if options.get("flags") else time.sleep(60)
socket.getaddrinfo = stuck
from bridge.http.egress_policy import EgressPolicy
from bridge.http.event_loop import EventLoop

async def main():
    loop, egress = asyncio.get_running_loop(), EgressPolicy([])
    lookups = [
        *(egress.resolve(f"endpoint{i}.example", 443) for i in range(40)),
        *(loop.create_connection(asyncio.Protocol, f"broker{i}.example", 9092) for i in range(40)),
        *(loop.getaddrinfo(f"proxy{i}.example", 3128, type=socket.SOCK_STREAM) for i in range(40)),
    ]
    bounded = [asyncio.wait_for(lookup, 0.3) for lookup in lookups]
    for result in await asyncio.gather(*bounded, return_exceptions=True):
        assert isinstance(result, TimeoutError), result
    print(time.time())

uvloop.run(main(), loop_factory=EventLoop)
"""


def test_a_process_ends_at_once_while_lookups_are_stuck() -> None:
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    ended_at = time.time()
    assert process.returncode == 0, process.stderr
    assert not process.stderr
    assert ended_at - float(process.stdout) < 10
