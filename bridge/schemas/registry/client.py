"""GET requests to a registry: credentials, limits, and the meaning of answers.

The egress policy does not apply here: the operator chose this host in the settings.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import orjson

from bridge import __version__
from bridge.errors import RegistryUnavailable
from bridge.http.bounded_answer import UNPACKED, AnswerEncodedError, read_bounded

MAX_ANSWER_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How to connect to a registry; its ``repr`` contains no secrets."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = 10.0


class Answer(NamedTuple):
    """The body of a 200, and Apicurio's header with the type of the schema."""

    body: bytes
    artifact_type: str | None

    def json(self) -> Any:
        """Return the body as JSON, or None if it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class RegistryClient:
    """Sends requests to one registry. Errors contain only its origin: paths and headers may be secret."""

    def __init__(self, options: RegistryOptions) -> None:
        parts = urlsplit(options.url)
        self.url = options.url.rstrip("/")
        self.origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._timeout_s = options.timeout_s
        headers = {
            "user-agent": f"hookferry/{__version__}",
            **UNPACKED,
            "accept": "application/vnd.schemaregistry.v1+json, application/json, */*;q=0.1",
        }
        if options.token:
            headers["authorization"] = f"Bearer {options.token}"
        self._client = httpx.AsyncClient(
            auth=httpx.BasicAuth(options.username, options.password or "") if options.username else None,
            headers=headers,
            verify=options.tls or ssl.create_default_context(),
            timeout=options.timeout_s,
            trust_env=False,
            limits=httpx.Limits(max_connections=4, keepalive_expiry=30),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer | None:
        """Return the answer for a path; None if the registry answers that it has no such schema.

        Raises ``RegistryUnavailable`` for every answer that is not about the schema, and
        ``AnswerTooLargeError``.
        """
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("GET", self.url + path, params=dict(params or {})) as response,
            ):
                body = await read_bounded(response, MAX_ANSWER_BYTES)
        except AnswerEncodedError as exc:
            raise RegistryUnavailable(f"the registry {self.origin}: {exc}") from exc
        except TimeoutError as exc:
            raise RegistryUnavailable(
                f"the registry {self.origin} did not answer in {self._timeout_s:g} s"
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as exc:
            cause = str(exc)[:200] if isinstance(exc, httpx.ConnectError) else type(exc).__name__
            raise RegistryUnavailable(f"the registry {self.origin} cannot be reached: {cause}") from exc
        answer = Answer(body, response.headers.get("x-registry-artifacttype"))
        if response.status_code == 200:
            return answer
        if response.status_code == 404 and _is_missing_schema(answer.json()):
            return None
        raise RegistryUnavailable(self._describe(response.status_code))

    def _describe(self, status: int) -> str:
        answer = f"the registry {self.origin} answered {status}"
        if status in (401, 403):
            return f"{answer}: check the credentials in the source's registry settings"
        if status == 404 or 300 <= status < 400:
            return f"{answer}, but not about a schema: check registry.url and registry.api"
        return answer


def _is_missing_schema(body: Any) -> bool:
    """Return True if a 404 means a missing schema, not a missing page because of a wrong URL.

    Only a missing schema may park records. Confluent's API has error codes 40401 to 40403 for it, Apicurio's
    the name of an exception.
    """
    if not isinstance(body, dict):
        return False
    code, name = body.get("error_code"), str(body.get("name", ""))
    if isinstance(code, int) and 40400 < code < 40500:
        return True
    return name.endswith("NotFoundException") and name != "NotFoundException"


def unexpected_answer(client: RegistryClient) -> RegistryUnavailable:
    """Create the error for a 200 that is not an answer of the API, such as a login page."""
    return RegistryUnavailable(
        f"the registry {client.origin} answered without a schema: check registry.url and registry.api"
    )
