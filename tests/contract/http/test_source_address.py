"""Connections come from the configured address of the machine, directly and through a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from tests.support.forward_proxy import ForwardProxy
from tests.support.scripted_http import Peer, ScriptedServer
from tests.support.tls import TestAuthority
from tests.support.transports import LOOPBACK, ok, post, proxy_at

SOURCE = "127.0.0.7"


async def both_families(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return [(0, 1, 6, "", (address, port)) for address in ("::1", "127.0.0.1")]


def transport_from(source: str, **options: Any) -> LeanTransport:
    return LeanTransport(EgressPolicy(LOOPBACK, both_families), 2, source_address=source, **options)


async def test_a_receiver_sees_the_source_address_of_its_endpoint(authority: TestAuthority) -> None:
    """Over http and https; of a name's addresses, only those of the same family are used."""
    for scheme, tls in (("http", None), ("https", authority.server_context())):
        sources: list[str] = []

        async def note(peer: Peer, sources: list[str] = sources) -> None:
            sources.append(peer.writer.get_extra_info("peername")[0])

        async with ScriptedServer(ok, on_connect=note, tls=tls) as server:
            transport = transport_from(SOURCE, tls=authority.client_context())
            request = post(server, scheme=scheme, host="receiver.test")
            assert (await transport.send(request, 5)).status == 200
            await transport.close()
        assert sources == [SOURCE]


async def test_a_proxy_sees_the_source_address_of_the_endpoint() -> None:
    async with ScriptedServer(ok) as server, ForwardProxy() as proxy:
        transport = transport_from(SOURCE, proxy=proxy_at(f"http://127.0.0.1:{proxy.port}"))
        assert (await transport.send(post(server), 5)).status == 200
        assert proxy.clients == [SOURCE]
        await transport.close()


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("203.0.113.9", "source_address 203.0.113.9 is not an address of this machine; correct or remove it"),
        ("::1", "127.0.0.1 has no IPv6 address, which source_address ::1 needs"),
    ],
)
async def test_a_source_address_that_does_not_work_is_named(source: str, what: str) -> None:
    async with ScriptedServer(ok) as server:
        transport = transport_from(source)
        with pytest.raises(TransportError) as caught:
            await transport.send(post(server), 5)
        await transport.close()
    assert caught.value.fault is TransportFault.CONNECT
    assert what in caught.value.detail
