"""Fetch access tokens by the OAuth 2 client credentials grant (RFC 6749 4.4), for the login to Kafka.

It uses httpx, because a token is fetched only once in several minutes.
"""

from __future__ import annotations

import time

import httpx

from bridge.errors import KafkaUnavailable

_RENEW_BEFORE_S = 30.0
_TIMEOUT_S = 15.0


class ClientCredentials:
    """Fetches a token and keeps it until shortly before it expires."""

    def __init__(self, url: str, client_id: str, client_secret: str, scope: str | None) -> None:
        self._url = url
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        self._token = ""
        self._valid_until = 0.0

    async def token(self) -> str:
        """Return a token that stays valid for a while. Raises ``KafkaUnavailable``, without any secret."""
        if time.monotonic() >= self._valid_until:
            try:
                async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
                    answer = await client.post(self._url, data=self._form, auth=self._auth)
                    answer.raise_for_status()
                    grant = answer.json()
                    self._token = str(grant["access_token"])
                    lifetime_s = float(grant.get("expires_in", 300))
            except httpx.HTTPStatusError as exc:
                raise KafkaUnavailable(
                    f"kafka.sasl.token_url answered with status {exc.response.status_code};"
                    " check client_id, client_secret and scope"
                ) from None
            except (httpx.HTTPError, KeyError, ValueError, TypeError) as exc:
                raise KafkaUnavailable(
                    f"kafka.sasl.token_url returned no token: {type(exc).__name__};"
                    " check the URL and that its server is available"
                ) from None
            self._valid_until = time.monotonic() + max(1.0, lifetime_s - _RENEW_BEFORE_S)
        return self._token
