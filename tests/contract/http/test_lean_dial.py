"""How the lean transport opens a connection: it checks every address and name, in bounded time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from bridge.errors import TransportFault
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.tls import TestAuthority
from tests.support.transports import LOOPBACK, fault_of, ok, post


class Names:
    """A resolver that returns a list per call, in order."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


async def test_a_forbidden_address_is_refused_before_the_dial() -> None:
    async with ScriptedServer(ok) as server:
        lean = LeanTransport(EgressPolicy([]), 1)
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"):
            assert await fault_of(lean, post(server, host=host)) is TransportFault.REFUSED_ADDRESS
        await lean.close()
    assert server.connections == 0


async def test_nothing_is_sent_if_may_write_becomes_false_during_the_dial() -> None:
    may_write = False
    async with ScriptedServer(ok) as server:
        lean = LeanTransport(EgressPolicy(LOOPBACK), 1, may_write=lambda: may_write)
        assert await fault_of(lean, post(server)) is TransportFault.WITHHELD
        assert not server.received
        may_write = True
        assert (await lean.send(post(server), 5)).status == 200, "over the connection that was made"
        await lean.close()
    assert server.connections == 1


async def test_every_dial_is_checked_not_only_the_first() -> None:
    """DNS rebinding: the name had a public address at first and has a private one later."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    lean = LeanTransport(EgressPolicy(LOOPBACK, names), 1)

    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    async with ScriptedServer(script) as server:
        assert (await lean.send(post(server, host="rebind.test"), 5)).status == 200
        assert await fault_of(lean, post(server, host="rebind.test")) is TransportFault.REFUSED_ADDRESS
        await lean.close()
    assert names.asked == ["rebind.test"] * 2
    assert server.received[0].headers["host"] == f"rebind.test:{server.port}"


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    lean = LeanTransport(EgressPolicy(LOOPBACK, Names(["127.0.0.2", "127.0.0.1"])), 1)
    async with ScriptedServer(ok) as server:  # listens on 127.0.0.1 only
        assert (await lean.send(post(server, host="two.test"), 5)).status == 200
        await lean.close()


async def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    lean = LeanTransport(EgressPolicy(LOOPBACK, Names(["127.0.0.2", "127.0.0.1"])), 1, connect_timeout_s=0.6)
    loop = asyncio.get_running_loop()
    async with ScriptedServer(ok) as server:
        with socket.socket() as silent, socket.socket() as first:
            silent.bind(("127.0.0.2", server.port))
            silent.listen(0)  # a backlog of one; the kernel drops later connections
            first.setblocking(False)
            await loop.sock_connect(first, ("127.0.0.2", server.port))
            assert (await lean.send(post(server, host="two.test"), 5)).status == 200
        await lean.close()


async def test_a_dial_is_bounded_by_the_whole_attempt_too() -> None:
    async def never(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        await asyncio.get_running_loop().create_future()
        return []

    lean = LeanTransport(EgressPolicy(LOOPBACK, never), 1, connect_timeout_s=0.05)
    assert await fault_of(lean, post(80, host="slow.test"), 5) is TransportFault.CONNECT
    assert await fault_of(lean, post(80, host="slow.test"), 0.01) is TransportFault.TIMEOUT
    assert lean._open == 0


async def test_tls_checks_the_name_in_the_url(authority: TestAuthority) -> None:
    """Also with a trailing dot, which disables the resolver's search list."""
    names = Names(["127.0.0.1"])
    lean = LeanTransport(EgressPolicy(LOOPBACK, names), 2, authority.client_context())
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        for host in ("receiver.test", "receiver.test."):
            assert (await lean.send(post(server, host=host, scheme="https"), 5)).status == 200
        assert await fault_of(lean, post(server, host="other.test", scheme="https")) is TransportFault.TLS
        await lean.close()


async def test_a_connection_closed_during_the_handshake_is_a_tls_fault() -> None:
    async def hang_up(peer: Peer) -> None:
        peer.reset()

    lean = LeanTransport(EgressPolicy(LOOPBACK), 1, ssl.create_default_context())
    async with ScriptedServer(ok, on_connect=hang_up) as server:
        assert await fault_of(lean, post(server, scheme="https")) is TransportFault.TLS
        await lean.close()
