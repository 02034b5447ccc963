"""The address table: every notation of an internal address, on every way a request can take, is refused.

Notations x (direct, tunnel, forwarded) x (written out, as a name, after the name's answer has changed,
as the target of a redirect). Nothing may reach a receiver or a proxy, and the message names rule and setting.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from bridge.core.url import parse_url
from bridge.errors import TransportError, TransportFault
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.model import Request
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.transports import LOOPBACK, ok, post, proxy_at

NOTATIONS = {
    "169.254.169.254": "link-local",
    "2852039166": "link-local",
    "0xa9fea9fe": "link-local",
    "0xA9.0xFE.0xA9.0xFE": "link-local",
    "0251.0376.0251.0376": "link-local",
    "0251.254.0xa9.254": "link-local",
    "169.254.43518": "link-local",
    "169.16689662": "link-local",
    "169.254.169.254.": "link-local",
    "00000251.254.169.254": "link-local",
    "127.0.0.1": "loopback",
    "127.1": "loopback",
    "127.0.0.1.": "loopback",
    "0x7f.1": "loopback",
    "017700000001": "loopback",
    "0": "this host",
    "0x": "this host",
    "0.0.0.0": "this host",
    "10.1": "a private network",
    "012.0.0.1": "a private network",
    "192.168.257": "a private network",
    "172.16.0.1": "a private network",
    "100.64.0.1": "carrier-grade NAT",
    "168.63.129.16": "host agent",
    "[::1]": "loopback",
    "[::]": "this host",
    "[0:0:0:0:0:0:0:1]": "loopback",
    "[::ffff:169.254.169.254]": "it leads to 169.254.169.254",
    "[::ffff:a9fe:a9fe]": "it leads to 169.254.169.254",
    "[::ffff:0:127.0.0.1]": "it leads to 127.0.0.1",
    "[::127.0.0.1]": "not global unicast",
    "[64:ff9b::a9fe:a9fe]": "it leads to 169.254.169.254",
    "[64:ff9b:1::a9fe:a9fe]": "a local NAT64 prefix",
    "[2002:a9fe:a9fe::1]": "it leads to 169.254.169.254",
    "[2001:0:a9fe:a9fe::1]": "IETF protocol assignments",
    "[fd00:ec2::254]": "a private network",
    "[fe80::a9fe:a9fe]": "link-local",
    "[fec0::1]": "not global unicast",
}
"""Hosts as people write them in URLs, with a part of the rule that refuses each."""
IMPOSSIBLE = (
    "127.0.0.1%00.example.com",
    "%31%32%37.0.0.1",
    "127\u30020\u30020\u30021",
    "\u2460\u2461\u2466.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
    "\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1",
    "127.0.0.1@example.com",
    "example.com@127.0.0.1",
    "127.0.0.1\\@example.com",
    "127.0.0.1#@example.com",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[::1",
    "127.0.0.08",
    "127.0.0.1.0",
    "127..0.1",
    "256.256.256.256",
    "4294967297",
    "0x1ffffffff",
    "localhost\t",
    "loc\u00adalhost",
)
"""Hosts that two programs could read differently: no request is built for them."""
WAYS = ("direct", "tunnel", "forwarded")
ADDRESSES = (
    "127.0.0.1",
    "169.254.169.254",
    "10.0.0.1",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "fd00::1",
)


class Names:
    """Resolves each name to the answers of a list, one per lookup; the last one repeats."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


class Trap:
    """A server that takes every connection, as receiver or as proxy; its own address is allowed."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server

    def transport(self, way: str, names: Names | None = None) -> LeanTransport:
        """Return a transport that may dial the trap as a proxy, and public addresses only as receivers."""
        egress = EgressPolicy([], names or Names(["10.9.9.9"]), proxies=LOOPBACK)
        proxy = None if way == "direct" else proxy_at(f"http://127.0.0.1:{self.server.port}")
        return LeanTransport(egress, 1, proxy=proxy)


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    async with ScriptedServer(ok) as server:
        yield Trap(server)


def request_to(host: str, way: str, port: int = 8443) -> Request:
    scheme = "https" if way == "tunnel" else "http"
    return Request("POST", parse_url(f"{scheme}://{host}:{port}/hooks"), (), b"{}")


async def refusal_of(transport: LeanTransport, request: Request) -> str:
    """Return the message of a request that must be refused by the policy."""
    with pytest.raises(TransportError) as caught:
        await transport.send(request, 5)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS
    return caught.value.detail


@pytest.mark.parametrize("way", WAYS)
async def test_an_internal_address_is_refused_in_every_notation(trap: Trap, way: str) -> None:
    transport = trap.transport(way)
    for host, rule in NOTATIONS.items():
        detail = await refusal_of(transport, request_to(host, way, trap.server.port))
        assert rule in detail, host
        assert "egress.allow" in detail, host
    await transport.close()
    assert trap.server.connections == 0


@pytest.mark.parametrize("host", IMPOSSIBLE)
def test_a_host_that_two_programs_could_read_differently_makes_no_request(host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(ValueError, match="the URL"):
            parse_url(f"{scheme}://{host}/hooks")


@pytest.mark.parametrize("way", WAYS)
async def test_a_name_of_an_internal_address_is_refused(trap: Trap, way: str) -> None:
    """Also if the name has a public address as well."""
    for address in ADDRESSES:
        for answer in ([address], ["1.1.1.1", address], [address, "1.1.1.1"]):
            transport = trap.transport(way, Names(answer))
            detail = await refusal_of(transport, request_to("crm.example.com", way))
            assert "crm.example.com has the address" in detail
            assert "egress.allow" in detail
            await transport.close()
    assert trap.server.connections == 0


@pytest.mark.parametrize("way", ["tunnel", "forwarded"])
async def test_a_name_that_changes_its_answer_is_refused_from_then_on(trap: Trap, way: str) -> None:
    """With a proxy: for every new tunnel, and for every request that the proxy forwards.

    A direct connection is dialed at the checked address: ``test_every_dial_is_checked_not_only_the_first``.
    """

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("502 Bad Gateway" if received.line.startswith("CONNECT") else "200 OK")

    trap.server.script = script
    for address in ADDRESSES:
        transport = trap.transport(way, Names(["1.1.1.1"], [address]))
        before = len(trap.server.received)
        if way == "forwarded":
            assert (await transport.send(request_to("crm.example.com", way), 5)).status == 200
        else:
            with pytest.raises(TransportError, match="answered 502"):
                await transport.send(request_to("crm.example.com", way), 5)
        for _ in range(2):
            assert "egress.allow" in await refusal_of(transport, request_to("crm.example.com", way))
        assert len(trap.server.received) == before + 1
        await transport.close()


@pytest.mark.parametrize("way", ["direct", "forwarded"])
async def test_a_redirect_to_an_internal_address_is_an_answer_and_is_not_followed(way: str) -> None:
    """For a tunnel: ``test_a_proxy_that_opens_no_tunnel_is_a_connect_fault_with_its_status``."""
    target = ""

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("307 Temporary Redirect", b"", f"location: {target}\r\n")

    async with ScriptedServer(script) as server, ScriptedServer(ok) as internal:
        for host in ("127.0.0.1", "127.1", "localhost", "[::1]", "169.254.169.254"):
            target = f"http://{host}:{internal.port}/"
            proxy = None if way == "direct" else proxy_at(f"http://127.0.0.1:{server.port}")
            transport = LeanTransport(EgressPolicy(LOOPBACK), 1, proxy=proxy)
            assert (await transport.send(post(server), 5)).status == 307
            await transport.close()
    assert internal.connections == 0
    assert len(server.received) == 5


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("named", [True, False])
async def test_a_proxy_at_an_internal_address_is_refused_with_its_own_setting(
    address: str, named: bool
) -> None:
    """``egress.proxies`` allows it, for proxies only."""
    async with ScriptedServer(ok) as server:
        written = "proxy.example.com" if named else f"[{address}]" if ":" in address else address
        proxy = proxy_at(f"http://{written}:{server.port}")
        for url in ("https://1.1.1.1/hooks", "http://1.1.1.1/hooks"):
            transport = LeanTransport(EgressPolicy([], Names([address])), 1, proxy=proxy)
            detail = await refusal_of(transport, Request("POST", parse_url(url), (), b""))
            assert "if this proxy is intended" in detail
            assert "egress.proxies" in detail
            await transport.close()
    assert server.connections == 0


async def test_an_address_that_is_allowed_for_proxies_is_no_receiver(trap: Trap) -> None:
    for way in WAYS:
        transport = trap.transport(way)
        detail = await refusal_of(transport, request_to("127.0.0.1", way, trap.server.port))
        assert "egress.allow" in detail
        await transport.close()
    assert trap.server.connections == 0


@pytest.mark.parametrize("way", WAYS)
async def test_the_setting_that_a_refusal_names_allows_the_address(way: str) -> None:
    async with ScriptedServer(ok) as server:
        proxy = None if way == "direct" else proxy_at(f"http://127.0.0.1:{server.port}")
        transport = LeanTransport(EgressPolicy(LOOPBACK), 1, proxy=proxy)
        if way == "tunnel":
            with pytest.raises(TransportError, match="TLS"):
                await transport.send(request_to("127.1", way, server.port), 5)
        else:
            assert (await transport.send(request_to("127.1", way, server.port), 5)).status == 200
        await transport.close()
    assert [one.line.partition(" ")[2] for one in server.received] == {
        "direct": ["/hooks HTTP/1.1"],
        "tunnel": [f"127.0.0.1:{server.port} HTTP/1.1"],
        "forwarded": [f"http://127.0.0.1:{server.port}/hooks HTTP/1.1"],
    }[way], "a proxy gets the address that was checked, in the usual notation"
