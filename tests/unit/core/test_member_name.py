"""The default name of a member lasts over restarts, and no two processes have the same one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.member_name import member_name

ONE = ("pod-0", "id-1", "/var/lib/hookferry")


def test_a_restart_on_the_same_state_has_the_same_name() -> None:
    assert member_name(*ONE) == member_name(*ONE)
    assert member_name(*ONE).startswith("pod-0.")


@pytest.mark.parametrize(
    "other",
    [
        ("pod-1", "id-1", "/var/lib/hookferry"),  # another pod with a copied volume
        ("pod-0", "id-2", "/var/lib/hookferry"),  # another machine with the same host name
        ("pod-0", "id-1", "/var/lib/hookferry-2"),  # a copy of the directory on the same machine
    ],
)
def test_another_host_state_or_folder_has_another_name(other: tuple[str, str, str]) -> None:
    assert member_name(*other) != member_name(*ONE)


@given(host=st.text(max_size=300), folder=st.text(max_size=300))
def test_kafka_accepts_the_name_of_every_host(host: str, folder: str) -> None:
    """Its rule: letters, digits, dot, underscore and hyphen; at most 249; not a dot alone."""
    name = member_name(host, "id", folder)
    assert re.fullmatch(r"[A-Za-z0-9._-]{13,249}", name)
