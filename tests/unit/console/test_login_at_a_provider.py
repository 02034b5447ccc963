"""A person logs in to the pages at an OpenID provider, and nobody else gets a session by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from bridge.console.oidc import OidcProvider
from bridge.console.oidc_login import OidcLogin
from bridge.console.pages.app import pages
from bridge.settings.models.console import ConsoleOidcSettings
from tests.support.console_fake import FakeConsole
from tests.support.console_pages import FakeLogins
from tests.support.oidc_issuer import ISSUER, Issuer

SETTINGS = ConsoleOidcSettings(
    issuer=ISSUER, audience="hookferry", client_id="pages", client_secret=SecretStr("word-of-the-client")
)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def browser(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    provider = OidcProvider(SETTINGS, lambda: issuer, lambda: issuer.now_s)  # type: ignore[arg-type,return-value]
    fake = FakeConsole()
    app = pages("bank", fake, fake, FakeLogins(browser=OidcLogin(SETTINGS, provider)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8090"
    ) as client:
        yield client


async def begun(browser: httpx.AsyncClient, issuer: Issuer, **claims: object) -> dict[str, str]:
    """Begin a login; return what the provider sends back."""
    answer = await browser.get("/login/provider?next=/parked")
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert query["redirect_uri"] == "http://127.0.0.1:8090/login/callback"
    issuer.tokens = {"id_token": issuer.token(aud="pages", nonce=query["nonce"], **claims)}
    return {"state": query["state"], "code": "c1"}


async def test_the_login_page_offers_the_provider(browser: httpx.AsyncClient) -> None:
    assert "/login/provider?next=" in (await browser.get("/login?next=/jobs")).text


async def test_a_person_with_a_role_gets_a_session_and_the_page_that_was_asked_for(
    browser: httpx.AsyncClient, issuer: Issuer
) -> None:
    answer = await browser.get("/login/callback", params=await begun(browser, issuer))
    assert (answer.status_code, answer.headers["location"]) == (303, "/parked")
    page = await browser.get("/parked")
    assert page.status_code == 200
    assert "ann" in page.text


async def test_a_code_is_redeemed_once_and_only_in_the_browser_that_began(
    browser: httpx.AsyncClient, issuer: Issuer
) -> None:
    back = await begun(browser, issuer)
    cookies = dict(browser.cookies)
    browser.cookies.clear()
    assert (await browser.get("/login/callback", params=back)).status_code == 400, "of another browser"
    browser.cookies.update(cookies)
    assert (await browser.get("/login/callback", params=back)).status_code == 400, "it is used up"
    back = await begun(browser, issuer)
    assert (await browser.get("/login/callback", params=back | {"state": "x"})).status_code == 400
    assert (await browser.get("/login/callback", params={"error": "access_denied"})).status_code == 400
    assert (await browser.get("/parked")).status_code == 303, "there is no session"


async def test_a_person_without_a_role_gets_no_session(browser: httpx.AsyncClient, issuer: Issuer) -> None:
    back = await begun(browser, issuer, roles=["cook"])
    answer = await browser.get("/login/callback", params=back)
    assert answer.status_code == 403
    assert "no role" in answer.text
    assert (await browser.get("/parked")).status_code == 303


async def test_a_provider_that_is_down_is_named(browser: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.is_down = True
    answer = await browser.get("/login/provider")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
