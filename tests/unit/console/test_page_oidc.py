"""Logging in to the pages at an OpenID provider: one browser, one code, and a way back to where it began."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bridge.console.oidc import ProviderUnavailable
from bridge.console.oidc_login import Attempt
from bridge.console.pages.app import pages
from bridge.console.views import Actor
from tests.support.console_fake import NOW_S, FakeConsole
from tests.support.console_pages import FakeLogins

ORIGIN = "http://console.test"


class Provider:
    """A provider that gives the code `good` to ann, and `stranger` to a person without a role."""

    def __init__(self) -> None:
        self.begun: list[Attempt] = []
        self.redeemed: list[tuple[str, str]] = []
        self.is_down = False

    async def begin(self, redirect_uri: str) -> tuple[Attempt, str]:
        if self.is_down:
            raise ProviderUnavailable("it is down")
        attempt = Attempt(f"state-{len(self.begun)}", "nonce", "verifier", redirect_uri)
        self.begun.append(attempt)
        return attempt, f"https://login.bank/auth?state={attempt.state}"

    async def redeem(self, attempt: Attempt, code: str) -> Actor | None:
        self.redeemed.append((attempt.state, code))
        return Actor("ann", "operate") if code == "good" else None


@pytest.fixture
def provider() -> Provider:
    return Provider()


def browser(provider: Provider | None) -> httpx.AsyncClient:
    fake = FakeConsole()
    app = pages("hookferry", fake, fake, FakeLogins(browser=provider), lambda: NOW_S)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)


async def begin(client: httpx.AsyncClient, back: str = "/parked") -> str:
    answer = await client.get("/login/oidc", params={"next": back})
    assert answer.status_code == 303
    return parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]


async def test_a_person_logs_in_at_the_provider_and_comes_back_to_where_it_began(provider):
    async with browser(provider) as client:
        assert "Log in with your organization" in (await client.get("/login?next=/parked")).text
        state = await begin(client)
        answer = await client.get("/login/oidc/callback", params={"state": state, "code": "good"})
        assert 'content="0; url=/parked"' in answer.text
        assert "samesite=strict" in answer.headers["set-cookie"].lower()
        assert "ann" in (await client.get("/parked")).text
    assert provider.begun[0].redirect_uri == f"{ORIGIN}/login/oidc/callback"


async def test_a_code_of_another_browser_or_of_no_login_begins_no_session(provider):
    """Otherwise a person could be logged in as the attacker, and work in the attacker's name."""
    async with browser(provider) as victim, browser(provider) as attacker:
        state = await begin(attacker)
        for given in (
            {"state": state, "code": "good"},
            {"state": "made-up", "code": "good"},
            {"code": "good"},
            {},
        ):
            answer = await victim.get("/login/oidc/callback", params=given)
            assert answer.status_code == 400
        assert (await victim.get("/")).status_code == 303
    assert provider.redeemed == []


async def test_a_code_is_redeemed_once(provider):
    async with browser(provider) as client:
        given = {"state": await begin(client), "code": "stranger"}
        refused = await client.get("/login/oidc/callback", params=given)
        assert (refused.status_code, "You have no role here" in refused.text) == (403, True)
        assert (await client.get("/login/oidc/callback", params=given)).status_code == 400
    assert len(provider.redeemed) == 1


async def test_what_the_provider_refuses_is_shown_as_text(provider):
    async with browser(provider) as client:
        given = {"state": await begin(client), "error": "<script>alert(1)</script>"}
        answer = await client.get("/login/oidc/callback", params=given)
        assert answer.status_code == 401
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;" in answer.text


async def test_a_provider_that_is_down_is_named(provider):
    provider.is_down = True
    async with browser(provider) as client:
        answer = await client.get("/login/oidc")
        assert (answer.status_code, "it is down" in answer.text) == (503, True)


async def test_behind_a_proxy_that_ends_tls_the_way_back_is_https(provider):
    async with browser(provider) as client:
        await client.get("/login/oidc", headers={"x-forwarded-proto": "https"})
    assert provider.begun[0].redirect_uri.startswith("https://console.test/")


async def test_without_a_provider_there_is_no_such_page():
    async with browser(None) as client:
        assert "organization" not in (await client.get("/login")).text
        assert (await client.get("/login/oidc")).headers["location"].startswith("/login?next=")
