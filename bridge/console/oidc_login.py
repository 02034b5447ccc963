"""Log a person in with a browser at an OpenID provider: authorization code with PKCE.

RFC 6749 4.1, RFC 7636, OpenID Connect Core 3.1.

Invariant: a code is redeemed only with the verifier of the login that it belongs to, and the id token must
have the nonce of that login.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import NamedTuple
from urllib.parse import quote, urlencode

from bridge.console.actor import Actor
from bridge.console.oidc import OidcProvider, require_confidential
from bridge.settings.models.console import ConsoleOidcSettings

_SCOPE = "openid profile email"


class Attempt(NamedTuple):
    """One login that has begun: kept by the console, bound to the browser, until the code arrives."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class OidcLogin:
    """Logins of one client. Methods raise ``ProviderUnavailable``."""

    def __init__(self, settings: ConsoleOidcSettings, provider: OidcProvider) -> None:
        """``settings`` have a ``client_id``."""
        assert settings.client_id is not None
        self._client_id = settings.client_id
        self._secret = settings.client_secret.get_secret_value() if settings.client_secret else None
        self._redirect_uri = settings.redirect_uri
        self._provider = provider

    async def begin(self, redirect_uri: str) -> tuple[Attempt, str]:
        """Return a new login, and the address at the provider to which the browser goes.

        ``redirect_uri`` is where it returns to, unless the settings name another address.
        """
        redirect_uri = self._redirect_uri or redirect_uri
        attempt = Attempt(
            secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), redirect_uri
        )
        endpoint = str((await self._provider.discover()).get("authorization_endpoint", ""))
        require_confidential(endpoint)
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": _SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return attempt, f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def redeem(self, attempt: Attempt, code: str) -> Actor | None:
        """Return who has logged in; None if the tokens are not valid, or name no role."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "client_id": self._client_id,
            "code_verifier": attempt.verifier,
        }
        headers = [(b"content-type", b"application/x-www-form-urlencoded")]
        if self._secret is not None:  # RFC 6749 2.3.1: both are form-encoded before they are joined
            login = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
            headers.append((b"authorization", b"Basic " + base64.b64encode(login.encode())))
        endpoint = str((await self._provider.discover()).get("token_endpoint", ""))
        answer = await self._provider.request("POST", endpoint, tuple(headers), urlencode(form).encode())
        claims = await self._provider.claims(str(answer.get("id_token", "")), self._client_id)
        if claims is None or not secrets.compare_digest(str(claims.get("nonce", "")), attempt.nonce):
            return None
        actor = self._provider.actor_of(claims)
        if actor is None:  # some providers put the roles into the access token alone
            actor = await self._provider.actor(str(answer.get("access_token", "")))
        return actor


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
