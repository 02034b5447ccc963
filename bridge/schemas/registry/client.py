"""GET requests to a registry: credentials, bounds, and what an answer means.

Edge of HTTP. The address policy does not hold here: who may write the settings chooses this host.
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
from bridge.errors import HookferryError, RegistryUnavailable

MAX_ANSWER_BYTES = 2 * 1024 * 1024


class TooLarge(HookferryError):
    """An answer beyond ``MAX_ANSWER_BYTES``."""


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How a registry is reached; secrets never show in its ``repr``."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = 10.0


class Answer(NamedTuple):
    """A 200, with the header that tells Apicurio's types."""

    body: bytes
    artifact_type: str | None

    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class RegistryClient:
    """Asks one registry. Only its origin shows in errors, since paths and headers carry secrets."""

    def __init__(self, options: RegistryOptions) -> None:
        parts = urlsplit(options.url)
        self.url = options.url.rstrip("/")
        self.origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._timeout_s = options.timeout_s
        headers = {
            "user-agent": f"hookferry/{__version__}",
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
        """Close its connections."""
        await self._client.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer | None:
        """What stands at a path; None when the registry says that it has no such schema.

        Raises ``RegistryUnavailable`` for everything that says nothing about the schema, and ``TooLarge``.
        """
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("GET", self.url + path, params=dict(params or {})) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise TooLarge(f"its answer is larger than {MAX_ANSWER_BYTES} bytes")
        except TimeoutError as exc:
            raise RegistryUnavailable(
                f"the registry {self.origin} did not answer in {self._timeout_s:g} s"
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as exc:
            said = str(exc)[:200] if isinstance(exc, httpx.ConnectError) else type(exc).__name__
            raise RegistryUnavailable(f"the registry {self.origin} cannot be reached: {said}") from exc
        answer = Answer(bytes(body), response.headers.get("x-registry-artifacttype"))
        if response.status_code == 200:
            return answer
        if response.status_code == 404 and _says_no_such_schema(answer.json()):
            return None
        raise RegistryUnavailable(self._trouble(response.status_code))

    def _trouble(self, status: int) -> str:
        said = f"the registry {self.origin} answered {status}"
        if status in (401, 403):
            return f"{said}: check the credentials in the source's registry settings"
        if status == 404 or 300 <= status < 400:
            return f"{said}, but not about a schema: check registry.url and registry.api"
        return said


def _says_no_such_schema(body: Any) -> bool:
    """Tell a missing schema from a missing page, which a wrong URL gives: that one must park nothing.

    Confluent's API: error codes 40401 to 40403. Apicurio's: 404 and the name of an exception.
    """
    if not isinstance(body, dict):
        return False
    code, name = body.get("error_code"), str(body.get("name", ""))
    if isinstance(code, int) and 40400 < code < 40500:
        return True
    return name.endswith("NotFoundException") and name != "NotFoundException"


def unusable(client: RegistryClient) -> RegistryUnavailable:
    """A 200 that is no answer of the API: a login page, another service."""
    return RegistryUnavailable(
        f"the registry {client.origin} answered with something that is no schema:"
        " check registry.url and registry.api"
    )
