"""What is refused before it reaches the API: unknown hosts, other sites, and bodies that are too large."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.console.api.guard import MOST_BODY_BYTES
from tests.support.console_client import OPERATE_TOKEN, WITH_LOGIN, Client
from tests.support.console_fake import FakeConsole

CHANGE = "/api/v1/endpoints/crm/off"


@pytest.fixture
def fake() -> FakeConsole:
    return FakeConsole()


@pytest.fixture
def client(fake: FakeConsole) -> Client:
    return Client(fake, fake, WITH_LOGIN)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "console.bank.evil"])
async def test_an_unknown_host_is_refused(client: Client, host: str) -> None:
    answer = await client.send("GET", "/api/v1/overview", token=OPERATE_TOKEN, headers={"host": host})
    assert answer.status_code == 421
    assert "console.hosts" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["console.bank", "console.bank:443", "127.0.0.1:1", "[::1]:80", "localhost"])
async def test_known_names_and_addresses_are_accepted(client: Client, host: str) -> None:
    answer = await client.send("GET", "/healthz", headers={"host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8090"},
        {"origin": "http://127.0.0.1:9999"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(
    client: Client, fake: FakeConsole, headers: dict[str, str]
) -> None:
    answer = await client.send("POST", CHANGE, json={}, token=OPERATE_TOKEN, headers=headers)
    assert answer.status_code == 403
    assert fake.done == []


async def test_its_own_pages_may_change_something(client: Client, fake: FakeConsole) -> None:
    own = {"origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-origin"}
    answer = await client.send("POST", CHANGE, json={}, token=OPERATE_TOKEN, headers=own)
    assert answer.status_code == 200
    assert len(fake.done) == 1


async def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(
    client: Client, fake: FakeConsole
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MOST_BODY_BYTES // 1000 + 2):
            yield b" " * 1000

    contents: list[Any] = [b" " * (MOST_BODY_BYTES + 1), endless()]
    for content in contents:
        answer = await client.send("POST", CHANGE, content=content, token=OPERATE_TOKEN)
        assert answer.status_code == 413, answer.text
    assert fake.done == []


async def test_answers_are_not_kept_and_reveal_no_version(client: Client) -> None:
    for target in ("/api/v1/overview", "/healthz", "/api/v1/nothing"):
        answer = await client.send("GET", target, token=OPERATE_TOKEN)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["server"] == "hookferry"
        assert "access-control-allow-origin" not in answer.headers
