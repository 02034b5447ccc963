"""Accept tokens of an OpenID provider (OpenID Connect Discovery 1.0, RFC 7519, RFC 9068).

Invariant: a token is accepted only with a signature by a key that the issuer publishes now, made by an
asymmetric algorithm, for our audience, within its time, and with a role that the settings name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bridge.console.actor import OPERATE, READ, Actor
from bridge.core.url import is_in_clear, parse_url
from bridge.errors import HookferryError, TransportError
from bridge.http import Transport
from bridge.model import Request, Url
from bridge.settings.models.console import ConsoleOidcSettings
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
Headers = tuple[tuple[bytes, bytes], ...]
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_TIMEOUT_S = 10.0
_KEPT_S = 3600.0
"""A key that the issuer withdraws is accepted for this long at most, if the issuer answers."""
_PAUSE_S = 10.0
"""Time between two requests to the issuer, however many tokens name an unknown key."""
_LEEWAY_S = 60
_MOST_TOKEN = 16_384
_NAMES = ("preferred_username", "email", "name", "client_id", "sub")


class ProviderUnavailable(HookferryError):
    """The issuer did not answer with its keys."""


class OidcProvider:
    """One issuer: what it publishes, and whose token a token is.

    ``open_transport`` returns a new transport; ``clock`` returns Unix seconds.
    """

    def __init__(
        self,
        settings: ConsoleOidcSettings,
        open_transport: Callable[[], Transport],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._open_transport = open_transport
        self._clock = clock
        self._keys: KeySet | None = None
        self._read_s = self._asked_s = 0.0
        self._lock = asyncio.Lock()
        self._throttle = Throttle()

    async def actor(self, token: str) -> Actor | None:
        """Return whose token this is; None if it is not valid, or has no role."""
        claims = await self.claims(token, self._settings.audience)
        return None if claims is None else self.actor_of(claims)

    async def claims(self, token: str, audience: str) -> Mapping[str, Any] | None:
        """Return what a token contains; None if it is not valid for this audience."""
        if len(token) > _MOST_TOKEN or token.count(".") != 2:
            return None
        wanted = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        return await self._verified(token, wanted)

    async def discover(self) -> Mapping[str, Any]:
        """Return what the issuer publishes about itself. Raises ``ProviderUnavailable``."""
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await self.request("GET", url)
        if document.get("issuer") != self._settings.issuer:
            raise ProviderUnavailable(
                f"{url} is of another issuer; write console.oidc.issuer exactly as it names itself"
            )
        return document

    async def _verified(self, token: str, wanted: jwt.JWTClaimsRegistry) -> Mapping[str, Any] | None:
        for renew in (False, True):
            keys = await self._current_keys(renew=renew)
            if keys is None:
                return None
            try:
                claims = jwt.decode(token, keys, algorithms=[*ALGORITHMS]).claims
                wanted.validate(claims)
            except (JoseError, ValueError, TypeError, KeyError):
                continue  # it may be signed with a key that is newer than ours
            else:
                return claims
        return None

    async def _current_keys(self, *, renew: bool) -> KeySet | None:
        """Return the keys; request them if they are old, or if ``renew``, but not too often."""
        async with self._lock:
            now_s = self._clock()
            is_due = renew or self._keys is None or now_s - self._read_s > _KEPT_S
            if is_due and now_s - self._asked_s >= _PAUSE_S:
                self._asked_s = now_s
                try:
                    document = await self.request("GET", str((await self.discover()).get("jwks_uri", "")))
                    self._keys = KeySet.import_key_set(document)  # type: ignore[arg-type]  # it checks it
                    self._read_s = now_s
                except (HookferryError, JoseError, ValueError, TypeError, KeyError) as exc:
                    if self._throttle.allows():
                        _log.warning(
                            events.CONSOLE_OIDC_FAILED,
                            issuer=self._settings.issuer,
                            cause=str(exc),
                            remedy="check console.oidc.issuer and ca_file; known keys stay in use meanwhile",
                        )
            return self._keys

    async def request(
        self, method: str, address: str, headers: Headers = (), body: bytes = b""
    ) -> dict[str, Any]:
        """Return the document that the issuer answers. Raises ``ProviderUnavailable``."""
        url = require_confidential(address)
        transport = self._open_transport()
        try:
            accept = (b"accept", b"application/json")
            request = Request(method, url, (accept, *headers), body)
            answer = await transport.send(request, _TIMEOUT_S)
        except TransportError as exc:
            raise ProviderUnavailable(f"{address} did not answer: {exc}") from exc
        finally:
            await transport.close()
        try:
            document = orjson.loads(answer.body) if answer.status == 200 else None
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise ProviderUnavailable(f"{address} answered {answer.status} without a JSON object")
        return document

    def actor_of(self, claims: Mapping[str, Any]) -> Actor | None:
        """Return whose claims these are; None if they have no role that the settings name."""
        roles = _roles(claims, self._settings.role_claim)
        name = next((str(claims[key]) for key in _NAMES if claims.get(key)), "someone")[:200]
        if roles & set(self._settings.operate):
            return Actor(name, OPERATE)
        return Actor(name, READ) if roles & set(self._settings.read) else None


def require_confidential(address: str) -> Url:
    """Return an address that an issuer names. Raises ``ProviderUnavailable`` if it is no https URL."""
    with suppress(ValueError):
        url = parse_url(address)
        if not is_in_clear(url):
            return url
    raise ProviderUnavailable(f"the issuer names no https URL: {address[:200]!r}")


def _roles(claims: Mapping[str, Any], path: str) -> set[str]:
    """Return the roles in a claim: its name may contain dots, or they lead into objects."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return set(value.split())
    return {role for role in value if isinstance(role, str)} if isinstance(value, list) else set()
