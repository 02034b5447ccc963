"""The address policy: which addresses are allowed, which are refused, and the message for the operator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.http.egress_policy import Address, EgressPolicy


def refused(egress: EgressPolicy, address: str) -> bool:
    try:
        egress.check(address)
    except TransportError as exc:
        return exc.fault is TransportFault.REFUSED_ADDRESS
    return False


@pytest.mark.parametrize(
    "address",
    [
        *(
            "0.0.0.0",
            "0.1.2.3",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
        ),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
        *("192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
        *("239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *("::", "::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("3fff::1", "3fff:fff::1", "100::1", "5f00::1", "64:ff9b:1::1", "fd00:ec2::254", "fe80::1%eth0"),
        *("2001::1", "2001:10::1", "4000::1", "8000::1", "::127.0.0.1", "::8.8.8.8"),
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refused(EgressPolicy([]), address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
        *("128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0"),
        *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
        *("168.63.129.15", "2606:4700::1111", "2001:200::1", "2001:db7::1", "2001:db9::1", "3ffe::1"),
    ],
)
def test_an_address_next_to_a_forbidden_network_is_allowed(address: str) -> None:
    assert not refused(EgressPolicy([]), address)


@pytest.mark.parametrize(
    ("private", "public"),
    [
        ("::ffff:127.0.0.1", "::ffff:1.1.1.1"),
        ("::ffff:0:10.0.0.1", "::ffff:0:1.1.1.1"),
        ("64:ff9b::169.254.169.254", "64:ff9b::1.1.1.1"),
        ("2002:7f00:1::", "2002:101:101::"),
        ("2002:a9fe:a9fe::1", "2002:0808:0808::1"),
    ],
)
def test_an_address_that_embeds_another_is_judged_by_that_one(private: str, public: str) -> None:
    assert refused(EgressPolicy([]), private)
    assert not refused(EgressPolicy([]), public)


def test_an_allowed_embedded_address_is_allowed() -> None:
    egress = EgressPolicy([ip_network("10.1.0.0/16")])
    assert not refused(egress, "::ffff:10.1.0.1")
    assert refused(egress, "::ffff:10.2.0.1")


def test_the_operators_list_overrides_the_built_in_one() -> None:
    egress = EgressPolicy([ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("fe80::/10")])
    for address in ("127.0.0.1", "10.1.255.255", "fe80::1", "fe80::1%eth0"):
        assert not refused(egress, address)
    for address in ("10.2.0.0", "::1", "fc00::1"):
        assert refused(egress, address)


def test_the_message_names_host_address_and_remedy() -> None:
    with pytest.raises(TransportError) as caught:
        EgressPolicy([]).check("10.0.0.7", "crm.example.com")
    text = str(caught.value)
    assert "crm.example.com has the address 10.0.0.7" in text
    assert "a private network" in text
    assert "add 10.0.0.7/32 or its network to egress.allow" in text


def answering(*addresses: str) -> Any:
    async def resolver(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolver


async def test_addresses_keep_their_order_without_duplicates() -> None:
    egress = EgressPolicy([], answering("1.1.1.1", "2606:4700::1111", "1.1.1.1", "8.8.8.8"))
    assert await egress.resolve("h.test", 443) == [
        Address("1.1.1.1", 443),
        Address("2606:4700::1111", 443),
        Address("8.8.8.8", 443),
    ]


@pytest.mark.parametrize("addresses", [("1.1.1.1", "10.0.0.1"), ("10.0.0.1", "1.1.1.1")])
async def test_one_forbidden_address_refuses_the_whole_name(addresses: tuple[str, ...]) -> None:
    with pytest.raises(TransportError) as caught:
        await EgressPolicy([], answering(*addresses)).resolve("h.test", 443)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS


@pytest.mark.parametrize("literal", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "::ffff:127.0.0.1"])
async def test_an_address_in_any_notation_is_checked(literal: str) -> None:
    """Use the machine's own resolver, which accepts all of these notations."""
    with pytest.raises(TransportError) as caught:
        await EgressPolicy([]).resolve(literal, 80)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS


async def test_a_name_that_cannot_be_resolved_is_a_connect_fault() -> None:
    async def fails(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolver in (fails, answering()):
        with pytest.raises(TransportError) as caught:
            await EgressPolicy([], resolver).resolve("h.test", 80)
        assert caught.value.fault is TransportFault.CONNECT
        assert "h.test" in caught.value.detail


def failing(exc: Exception) -> Any:
    async def resolver(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        raise exc

    return resolver


async def test_only_the_listed_ports_of_receivers_are_allowed() -> None:
    egress = EgressPolicy([], answering("1.1.1.1"), ports=[443, 8443])
    assert await egress.resolve("h.test", 8443) == [Address("1.1.1.1", 8443)]
    for host in ("h.test", "1.1.1.1"):
        for check in (egress.resolve(host, 22), egress.check_proxied(host, 22, 5)):
            with pytest.raises(TransportError) as caught:
                await check
            assert caught.value.fault is TransportFault.REFUSED_ADDRESS
            assert "egress.ports lists 443, 8443" in caught.value.detail
            assert "add 22 to egress.ports" in caught.value.detail
    assert await egress.resolve_proxy("proxy.test", 3128) == [Address("1.1.1.1", 3128)]


async def test_a_port_that_is_not_allowed_is_not_even_resolved() -> None:
    with pytest.raises(TransportError, match=r"egress\.ports"):
        await EgressPolicy([], failing(AssertionError("looked up")), ports=[443]).resolve("h.test", 80)


@pytest.mark.parametrize(
    "failure",
    [socket.gaierror(socket.EAI_NONAME, "no such name"), socket.gaierror(socket.EAI_AGAIN, "later")],
)
async def test_a_name_that_only_the_proxy_resolves_is_left_to_it_if_the_operator_says_so(
    failure: OSError,
) -> None:
    with pytest.raises(TransportError) as caught:
        await EgressPolicy([], failing(failure)).check_proxied("h.test", 443, 5)
    assert caught.value.fault is TransportFault.CONNECT
    assert "set egress.unresolved: proxy" in caught.value.detail
    await EgressPolicy([], failing(failure), unresolved="proxy").check_proxied("h.test", 443, 5)


async def test_a_name_whose_lookup_does_not_end_is_left_to_the_proxy_in_the_same_way() -> None:
    async def never(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        await asyncio.get_running_loop().create_future()
        return []

    await EgressPolicy([], never, unresolved="proxy").check_proxied("h.test", 443, 0.01)
    with pytest.raises(TransportError, match=r"no answer within .*egress\.unresolved: proxy"):
        await EgressPolicy([], never).check_proxied("h.test", 443, 0.01)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f000001", "::1", "64:ff9b::7f00:1", "1.2.3.4.5", "internal.test"]
)
async def test_leaving_names_to_the_proxy_allows_no_internal_address(host: str) -> None:
    """Neither one that is written out, nor one to which the name resolves here."""
    egress = EgressPolicy([], answering("10.0.0.1"), unresolved="proxy")
    with pytest.raises(TransportError) as caught:
        await egress.check_proxied(host, 443, 5)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost.", "LOCALHOST", "x.localhost", "metadata.google.internal", "metadata"),
        *("metadata.google.internal.", "kafka", "printer.local", "router.home.arpa"),
    ],
)
async def test_a_name_for_private_use_is_never_left_to_the_proxy(host: str) -> None:
    """The proxy may be where such a name leads to a metadata service or to its own loopback."""
    fails = failing(socket.gaierror(socket.EAI_NONAME, "no such name"))
    with pytest.raises(TransportError) as caught:
        await EgressPolicy([], fails, unresolved="proxy").check_proxied(host, 443, 5)
    assert caught.value.fault is TransportFault.REFUSED_ADDRESS
    assert "add its address to egress.allow" in caught.value.detail


async def test_a_proxy_is_checked_by_a_list_of_its_own() -> None:
    egress = EgressPolicy(
        [ip_network("10.1.0.0/16")], answering("10.2.0.5"), proxies=[ip_network("10.2.0.5/32")]
    )
    assert await egress.resolve_proxy("proxy.test", 3128) == [Address("10.2.0.5", 3128)]
    assert await egress.resolve_proxy("10.1.0.1", 3128) == [Address("10.1.0.1", 3128)]
    with pytest.raises(
        TransportError, match=r"if this proxy is intended, add 10\.2\.0\.6/32 .*egress\.proxies"
    ):
        await egress.resolve_proxy("10.2.0.6", 3128)
    with pytest.raises(
        TransportError, match=r"if this receiver is intended, add 10\.2\.0\.5/32 .*egress\.allow"
    ):
        await egress.resolve("proxy.test", 443)
