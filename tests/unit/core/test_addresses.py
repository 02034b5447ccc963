"""An address in any notation is read as the resolver of the system reads it, or refused."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.addresses import read_literal


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4.", "1.2.3.4"),
        ("2130706433", "127.0.0.1"),
        ("0x7F000001", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("127.65535", "127.0.255.255"),
        ("0x7f.0.0.01", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        ("::1", "::1"),
        ("::ffff:10.0.0.1", "::ffff:a00:1"),
    ],
)
def test_every_notation_of_an_address_is_read(text: str, address: str) -> None:
    assert read_literal(text) == ip_address(address)


@pytest.mark.parametrize(
    "text", ["crm.example.com", "1.2.3.4.nip.io", "localhost", "0xcafe.example", "a1", "1a", "0x1g", "x", ""]
)
def test_a_host_whose_last_label_is_no_number_is_a_name(text: str) -> None:
    assert read_literal(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.256",
        "1.256.3",
        "4294967296",
        "08",
        "1.2.3.09",
        "a.1",
        "1..2",
        "::1::2",
    ],
)
def test_what_looks_like_an_address_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an IPv|but is not an IPv4 address"):
        read_literal(text)


_PARTS = st.one_of(
    st.integers(0, 300).map(str),
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**33).map(lambda number: f"0{number:o}"),
)


@given(st.lists(_PARTS, min_size=1, max_size=4).map(".".join))
def test_no_notation_is_read_differently_by_the_resolver_of_the_system(text: str) -> None:
    """What the resolver takes for an address must be one here, too: the same one."""
    theirs = None
    with suppress(OSError):
        theirs = IPv4Address(socket.inet_aton(text))
    ours = None
    with suppress(ValueError):
        ours = read_literal(text)
    assert ours == theirs or theirs is None
