"""Which tokens of an OpenID provider the console accepts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from joserfc import jwk, jwt
from pydantic import SecretStr, ValidationError

from bridge.console.actor import Actor
from bridge.console.oidc import OidcProvider
from bridge.console.oidc_login import OidcLogin
from bridge.settings.models.console import ConsoleOidcSettings
from tests.support.oidc_issuer import ISSUER, NOW_S, Issuer

SETTINGS = ConsoleOidcSettings(issuer=ISSUER, audience="hookferry")


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def provider(issuer: Issuer) -> OidcProvider:
    return OidcProvider(SETTINGS, lambda: issuer, lambda: issuer.now_s)  # type: ignore[arg-type,return-value]


async def test_a_valid_token_has_the_name_and_the_role_of_its_claims(
    issuer: Issuer, provider: OidcProvider
) -> None:
    assert await provider.actor(issuer.token()) == Actor("ann", "operate")
    assert await provider.actor(issuer.token(roles=["hookferry-read", "x"])) == Actor("ann", "read")
    assert await provider.actor(issuer.token(roles="a hookferry-read")) == Actor("ann", "read")
    assert await provider.actor(issuer.token(aud=["other", "hookferry"])) == Actor("ann", "operate")
    assert issuer.requests == 2, "the keys are read once"


def symmetric(issuer: Issuer) -> str:
    """A token that is signed with the public key as a password (CVE-2015-9235)."""
    text = orjson.dumps(issuer.keys[0].as_dict(private=False)).decode()
    key = jwk.OctKey.import_key(text)
    return jwt.encode({"alg": "HS256", "kid": "k1"}, {"iss": ISSUER, "aud": "hookferry", "exp": NOW_S + 60,
                      "roles": ["hookferry-operate"]}, key)  # fmt: skip


WRONG: list[Callable[[Issuer], str]] = [
    lambda issuer: issuer.token(iss="https://login.bank/other"),
    lambda issuer: issuer.token(iss=None),
    lambda issuer: issuer.token(aud="someone-else"),
    lambda issuer: issuer.token(aud=None),
    lambda issuer: issuer.token(exp=NOW_S - 120),
    lambda issuer: issuer.token(exp=None),
    lambda issuer: issuer.token(nbf=NOW_S + 600),
    lambda issuer: issuer.token(roles=[]),
    lambda issuer: issuer.token(roles=None),
    lambda issuer: issuer.token(roles={"hookferry-operate": 1}),
    lambda issuer: issuer.token(key=Issuer.new_key("k1")),
    lambda issuer: issuer.token()[:-4] + "AAAA",
    lambda issuer: "eyJhbGciOiJub25lIn0." + issuer.token().split(".")[1] + ".",
    symmetric,
    lambda issuer: "",
    lambda issuer: "a.b.c",
    lambda issuer: "x" * 100_000,
]


@pytest.mark.parametrize("build", WRONG)
async def test_any_other_token_is_refused(
    issuer: Issuer, provider: OidcProvider, build: Callable[[Issuer], str]
) -> None:
    assert await provider.actor(issuer.token()) is not None
    assert await provider.actor(build(issuer)) is None
    assert await provider.actor(issuer.token()) is not None


async def test_a_new_key_of_the_issuer_is_found_and_unknown_ones_do_not_flood_it(
    issuer: Issuer, provider: OidcProvider
) -> None:
    assert await provider.actor(issuer.token()) is not None
    issuer.keys.append(Issuer.new_key("k2"))
    issuer.now_s += 11
    assert await provider.actor(issuer.token()) is not None
    asked = issuer.requests
    for number in range(20):
        assert await provider.actor(issuer.token(key=Issuer.new_key(f"x{number}"))) is None
    assert issuer.requests <= asked + 2


async def test_a_key_that_the_issuer_withdrew_is_refused_after_an_hour(
    issuer: Issuer, provider: OidcProvider
) -> None:
    old = issuer.token(exp=NOW_S + 100_000)
    assert await provider.actor(old) is not None
    issuer.keys = [Issuer.new_key("k2")]
    issuer.now_s += 3700
    assert await provider.actor(old) is None


async def test_known_keys_stay_in_use_while_the_issuer_is_down(
    issuer: Issuer, provider: OidcProvider
) -> None:
    assert await provider.actor(issuer.token()) is not None
    issuer.is_down = True
    issuer.now_s += 4000
    assert await provider.actor(issuer.token(exp=NOW_S + 9999)) is not None


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("issuer", "http://login.bank/realm"),
        ("jwks_uri", "http://login.bank/realm"),
        ("jwks_uri", "http://localhost.bank/realm"),
        ("jwks_uri", "http://127.0.0.1.bank/realm"),
        ("jwks_uri", "http://localhost@login.bank/realm"),
        ("jwks_uri", "https://login.bank/a realm"),
    ],
)
async def test_a_description_of_another_issuer_or_without_tls_is_not_used(
    issuer: Issuer, provider: OidcProvider, field: str, address: str
) -> None:
    setattr(issuer, field, address)
    requests = issuer.requests
    assert await provider.actor(issuer.token()) is None
    assert issuer.requests == requests + 1, "the address is not requested"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080"])
async def test_a_provider_on_this_machine_needs_no_tls(
    issuer: Issuer, provider: OidcProvider, host: str
) -> None:
    ConsoleOidcSettings(issuer=f"http://{host}/realm", audience="hookferry")
    issuer.jwks_uri = f"http://{host}/keys"
    assert await provider.actor(issuer.token()) is not None


@pytest.mark.parametrize("url", ["http://login.bank/", "http://localhost.bank/", "login.bank", "https://"])
def test_an_issuer_without_tls_is_a_mistake(url: str) -> None:
    with pytest.raises(ValidationError, match="https"):
        ConsoleOidcSettings(issuer=url, audience="hookferry")


async def test_roles_may_be_inside_an_object(issuer: Issuer) -> None:
    settings = SETTINGS.model_copy(update={"role_claim": "realm_access.roles"})
    provider = OidcProvider(settings, lambda: issuer, lambda: issuer.now_s)  # type: ignore[arg-type,return-value]
    token = issuer.token(roles=None, realm_access={"roles": ["hookferry-read"]})
    assert await provider.actor(token) == Actor("ann", "read")


CLIENT = SETTINGS.model_copy(update={"client_id": "pages", "client_secret": SecretStr("p:w")})
BACK = "https://console.bank/login/callback"


async def test_a_person_logs_in_with_a_code_that_only_this_login_can_redeem(
    issuer: Issuer, provider: OidcProvider
) -> None:
    login = OidcLogin(CLIENT, provider)
    attempt, address = await login.begin(BACK)
    query = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(f"{ISSUER}/auth?")
    assert (query["code_challenge_method"], query["redirect_uri"]) == ("S256", BACK)
    assert (query["state"], query["nonce"]) == (attempt.state, attempt.nonce)
    issuer.tokens = {"id_token": issuer.token(aud="pages", nonce=attempt.nonce)}
    assert await login.redeem(attempt, "code-1") == Actor("ann", "operate")
    (form,) = issuer.redeemed
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == query["code_challenge"]
    assert form["login"][b"authorization"] == b"Basic " + base64.b64encode(b"pages:p%3Aw")


async def test_an_id_token_of_another_login_client_or_role_lets_nobody_in(
    issuer: Issuer, provider: OidcProvider
) -> None:
    login = OidcLogin(CLIENT, provider)
    attempt, _ = await login.begin(BACK)
    for claims in (
        {"nonce": "other"}, {"nonce": None}, {"nonce": attempt.nonce, "aud": "hookferry"},
        {"nonce": attempt.nonce, "roles": ["x"]},
    ):  # fmt: skip
        issuer.tokens = {"id_token": issuer.token(**{"aud": "pages", **claims})}
        assert await login.redeem(attempt, "code") is None
    issuer.tokens["access_token"] = issuer.token()
    assert await login.redeem(attempt, "code") == Actor("ann", "operate"), "the role is in the access token"
