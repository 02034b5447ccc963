"""A real OAuth 2 server and a receiver that accepts only its tokens, on loopback.

Authlib's authorization server issues the tokens (RFC 6749: client authentication, client credentials grant,
errors), and Authlib's bearer validator checks them at the receiver (RFC 6750). aiohttp serves both.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Error, OAuth2Request, TokenMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwk

CLIENT_ID = "hookferry"
ASSERTION = JWTBearerClientAssertion.CLIENT_AUTH_METHOD
CLIENT_SECRET = "client-secret-2b7d+/=:%"
"""With characters that must be encoded in Basic (RFC 6749 2.3.1)."""
SCOPE = "hooks.write"


class _Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, auth_method: str) -> None:
        self._auth_method = auth_method

    def get_allowed_scope(self, scope: str | None) -> str:
        return SCOPE if not scope or scope == SCOPE else ""

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret, CLIENT_SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self._auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


@dataclass
class Issued(TokenMixin):  # type: ignore[misc]
    """A token that was issued."""

    text: str
    scope: str
    expires_at: float
    revoked: bool = False

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return time.monotonic() >= self.expires_at

    def is_revoked(self) -> bool:
        return self.revoked


class _Request(OAuth2Request):  # type: ignore[misc]
    """A request of aiohttp whose form was read."""

    def __init__(self, request: web.Request, form: dict[str, str]) -> None:
        super().__init__(request.method, str(request.url), headers=dict(request.headers))
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data  # type: ignore[no-any-return]


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", ASSERTION]  # noqa: RUF012


class _Statements(JWTBearerClientAssertion):  # type: ignore[misc]
    """Checks signed statements in place of a secret (RFC 7523)."""

    def __init__(self, owner: OAuthServer) -> None:
        super().__init__()
        self._owner = owner
        self._seen: set[str] = set()

    def get_audiences(self) -> list[str]:
        return [f"{self._owner.origin}/token"]

    def validate_jti(self, claims: Any, jti: str) -> bool:
        is_new = jti not in self._seen
        self._seen.add(jti)
        return is_new

    def resolve_client_public_key(self, client: _Client) -> jwk.Key:
        return jwk.import_key(self._owner.public_key, self._owner.key_type)


class _Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, owner: OAuthServer) -> None:
        super().__init__(scopes_supported=[SCOPE])
        self._owner = owner
        self.register_grant(_Grant)
        self.register_client_auth_method(ASSERTION, _Statements(owner))
        generator = BearerTokenGenerator(
            lambda **_: secrets.token_urlsafe(32), expires_generator=lambda *_: owner.lifetime_s
        )
        self.register_token_generator("default", generator)

    def query_client(self, client_id: str) -> _Client | None:
        return _Client(self._owner.auth_method) if client_id == CLIENT_ID else None

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        expires_at = time.monotonic() + token["expires_in"]
        text = token["access_token"]
        self._owner.issued[text] = Issued(
            text, token.get("scope", ""), expires_at, revoked=self._owner.revokes_new
        )

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        return

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> web.Response:
        return web.json_response(body, status=status)


class _Validator(BearerTokenValidator):  # type: ignore[misc]
    def __init__(self, issued: dict[str, Issued]) -> None:
        super().__init__()
        self._issued = issued

    def authenticate_token(self, token_string: str) -> Issued | None:
        return self._issued.get(token_string)


@dataclass
class OAuthServer:
    """``/token`` issues tokens, ``/hooks`` requires one. Change an attribute to change what they do.

    ``broken`` replaces the answers of the token endpoint; ``gate`` delays them while it is not set.
    """

    tls: ssl.SSLContext | None = None
    lifetime_s: int = 3600
    auth_method: str = "client_secret_basic"
    public_key: str = ""
    """With ``auth_method`` ``ASSERTION``: the key of the client, in PEM, and its type."""
    key_type: Literal["RSA", "EC", "OKP"] = "RSA"
    broken: web.Response | None = None
    issued: dict[str, Issued] = field(default_factory=dict)
    token_requests: int = 0
    hooks: list[tuple[int, str]] = field(default_factory=list)
    """Status and token of each request at ``/hooks``."""
    accepted: list[str] = field(default_factory=list)
    """The ``webhook-id`` of each request that was answered with 200."""
    clients: list[str] = field(default_factory=list)
    """The common name of the client certificate of each of these, if the server requires one."""
    keep_alive: bool = True
    revokes_new: bool = False
    """Issue only tokens that ``/hooks`` refuses; it repeats them in its answers."""

    async def __aenter__(self) -> OAuthServer:
        self.gate = asyncio.Event()
        self.gate.set()
        self._server, self._validator = _Server(self), _Validator(self.issued)
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_post("/hooks", self._hook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gate.set()
        await self._runner.cleanup()

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    def revoke_all(self) -> None:
        """Revoke every token that was issued so far."""
        for token in self.issued.values():
            token.revoked = True

    @property
    def statuses(self) -> list[int]:
        return [status for status, _ in self.hooks]

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.token_requests += 1
        form = {name: str(value) for name, value in (await request.post()).items()}
        await self.gate.wait()
        if self.broken is not None:
            broken = self.broken
            return web.Response(status=broken.status, body=broken.body, headers=broken.headers)
        return self._server.create_token_response(_Request(request, form))  # type: ignore[no-any-return]

    async def _hook(self, request: web.Request) -> web.Response:
        await request.read()
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        status = 200
        try:
            self._validator.validate_token(self.issued.get(text) if kind == "Bearer" else None, [SCOPE], None)
        except OAuth2Error as exc:
            status = exc.status_code or 401
        self.hooks.append((status, text))
        if status == 200:
            self.accepted.append(request.headers.get("webhook-id", ""))
            self.clients += _common_names(request)
        response = web.Response(status=status, text=f"received: {text}" if status != 200 else "ok")
        if not self.keep_alive:
            response.force_close()
        return response


def _common_names(request: web.Request) -> list[str]:
    assert request.transport is not None
    subject = (request.transport.get_extra_info("peercert") or {}).get("subject", ())
    return [value for ((name, value),) in subject if name == "commonName"]
