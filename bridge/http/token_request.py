"""Request an access token by the OAuth 2 client credentials grant, and read the answer (RFC 6749 4.4, 5).

Invariant: no text of an answer gets into an error, because a server may repeat the secret that it received.
"""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

from bridge.core.retry_after import parse_retry_after
from bridge.core.url import parse_url
from bridge.errors import TokenUnavailable, TransportError
from bridge.http import Transport
from bridge.model import Request, Response

MAX_ANSWER_BYTES = 65536
"""The limit of the transports, which read no more. A token of this size would fit into no header."""
TIMEOUT_S = 15.0
UNKNOWN_LIFETIME_S = 300.0
"""For an answer without a usable ``expires_in``, which RFC 6749 5.1 only recommends."""
LONGEST_LIFETIME_S = 86_400.0
"""A token is renewed at least once per day, however long it is valid: a client may lose its rights."""

AuthStyle = Literal["basic", "body", "tls", "private_key_jwt"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 2.2

_TOKEN = re.compile(r"[\x21-\x7e]+")  # RFC 6749 A.12, without the space, which a header value cannot end in
_ERRORS = frozenset(  # RFC 6749 5.2 and 4.1.2.1, RFC 8707 2
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "server_error",
        "temporarily_unavailable",
    ]
)
_CHECK_LOGIN = "check client_id, client_secret and scope"
_CHECK_SERVER = "check the URL and that its server is available"


class Grant(NamedTuple):
    """An access token, and for how many seconds from the request on it is valid."""

    token: str
    lifetime_s: float


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """The login of a client at its token server.

    ``style``: ``basic`` sends id and secret in the Authorization header, ``body`` in the form. With ``tls``
    the client certificate is the login, and only the id is sent (RFC 8705 2).
    ``private_key_jwt`` adds a statement that ``sign_statement`` signs.
    ``audience`` is a parameter that some servers require (Auth0), and that RFC 6749 does not have.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    audience: str | None = None
    style: AuthStyle = "basic"
    sign_statement: Callable[[], str] | None = field(default=None, repr=False)

    def request(self) -> Request:
        """Return the request for a token. Raises ``TokenUnavailable`` if no statement can be signed."""
        form = {"grant_type": "client_credentials"}
        if self.scope:
            form["scope"] = self.scope
        if self.audience:
            form["audience"] = self.audience
        headers = [
            (b"accept", b"application/json"),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ]
        if self.style != "basic":
            form["client_id"] = self.client_id
            if self.style == "body":
                form["client_secret"] = self.client_secret
            if self.sign_statement is not None:
                form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.sign_statement()}
        else:
            # RFC 6749 2.3.1: both are form-encoded before they are joined.
            login = ":".join(quote(part, safe="") for part in (self.client_id, self.client_secret))
            headers.append((b"authorization", b"Basic " + base64.b64encode(login.encode("ascii"))))
        return Request("POST", parse_url(self.url), tuple(headers), urlencode(form).encode("ascii"))


class TokenClient:
    """Fetches tokens of one client. Each fetch has a connection of its own: tokens are rarely fetched.

    ``setting`` is the name of the token URL, for messages; ``open_transport`` returns a new transport.
    """

    def __init__(self, setting: str, login: ClientLogin, open_transport: Callable[[], Transport]) -> None:
        self._setting = setting
        self._login = login
        self._open_transport = open_transport

    async def fetch(self) -> Grant:
        """Return a new token. Raises ``TokenUnavailable``."""
        request = self._login.request()
        transport = self._open_transport()
        try:
            answer = await transport.send(request, TIMEOUT_S)
        except TransportError as exc:
            raise TokenUnavailable(f"{self._setting} returned no token: {exc}", _CHECK_SERVER) from exc
        finally:
            await transport.close()
        return read_grant(self._setting, answer)


FetchGrant = Callable[[], Awaitable[Grant]]
"""Fetches a new token. Raises ``TokenUnavailable``."""


def read_grant(setting: str, answer: Response) -> Grant:
    """Return the token in an answer. Raises ``TokenUnavailable``, whose text begins with ``setting``."""
    if not 200 <= answer.status < 300:
        raise _refusal(setting, answer)
    if len(answer.body) >= MAX_ANSWER_BYTES:
        raise _unusable(setting, f"an answer of {MAX_ANSWER_BYTES // 1024} KiB or more")
    document = _document(answer.body)
    if not isinstance(document, dict):
        raise _unusable(setting, "an answer that is not a JSON object")
    token, kind = document.get("access_token"), document.get("token_type", "Bearer")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise _unusable(setting, "no access_token that fits into a header")
    if not isinstance(kind, str) or kind.lower() != "bearer":  # RFC 6749 5.1: any case
        raise TokenUnavailable(
            f"{setting} returned a token whose token_type is not Bearer",
            "configure this client for Bearer tokens at the token server",
        )
    return Grant(token, _lifetime_s(document.get("expires_in")))


def _lifetime_s(value: object) -> float:
    """Return ``expires_in`` within sensible bounds. What is not a positive number is taken as unknown.

    A token that ends earlier is refused by the receiver with 401, and is then renewed.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return UNKNOWN_LIFETIME_S
    try:
        seconds = float(value)  # some servers send a string
    except (ValueError, OverflowError):
        return UNKNOWN_LIFETIME_S
    if math.isnan(seconds) or seconds <= 0:
        return UNKNOWN_LIFETIME_S
    return min(seconds, LONGEST_LIFETIME_S)


def _document(body: bytes) -> Any:
    """Return the JSON document, or None. ``json`` accepts whatever number ``expires_in`` may be."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refusal(setting: str, answer: Response) -> TokenUnavailable:
    status = answer.status
    if 300 <= status < 400:
        return TokenUnavailable(
            f"{setting} answered with status {status}, and redirects are not followed",
            "set it to the URL that the server redirects to",
        )
    document = _document(answer.body[:MAX_ANSWER_BYTES])
    error = document.get("error") if isinstance(document, dict) else None
    named = f" ({error})" if isinstance(error, str) and error in _ERRORS else ""
    cause = f"{setting} answered with status {status}{named}"
    if status >= 500 or status in {408, 425, 429}:
        pause = answer.header(b"retry-after")
        retry_after_s = parse_retry_after(pause, time.time()) if pause is not None else None
        return TokenUnavailable(cause, _CHECK_SERVER, retry_after_s or 0.0)
    if status in {404, 405}:
        return TokenUnavailable(cause, "check the path of the URL")
    return TokenUnavailable(cause, _CHECK_LOGIN)


def _unusable(setting: str, what: str) -> TokenUnavailable:
    return TokenUnavailable(
        f"{setting} returned {what}", "check that it is the token endpoint of an OAuth 2 server"
    )
