"""How a broker is reached: addresses, TLS, SASL; and what must exist there before work begins.

Edge floor.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
)

from bridge.errors import KafkaUnavailable
from bridge.kafka import connection_patch as _mended  # noqa: F401 - every client has its options from here
from bridge.telemetry import events

_log = structlog.get_logger()
_WAIT_S = (1.0, 2.0, 5.0, 10.0)
PARK_TIMEOUT_MS = 10_000
"""How long a dead letter is waited for: then its topic is said to be in trouble, and it is tried again."""


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Everything aiokafka needs to reach the brokers; secrets never show in its ``repr``."""

    bootstrap_servers: tuple[str, ...]
    client_id: str = "hookferry"
    security_protocol: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    fetch_token: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that every aiokafka client takes."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap_servers),
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
        }
        if self.security_protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
            if self.fetch_token is not None:
                arguments["sasl_oauth_token_provider"] = _TokenProvider(self.fetch_token)
        return arguments


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """Hands an OAuth 2 access token to aiokafka each time it opens a connection."""

    def __init__(self, fetch: Callable[[], Awaitable[str]]) -> None:
        self._fetch = fetch

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - the base says None
        try:
            return await self._fetch()
        except KafkaUnavailable as exc:  # aiokafka tries again after its own exceptions only
            raise KafkaConnectionError(str(exc)) from exc


async def start_when_reachable(start: Callable[[], Awaitable[None]], servers: Iterable[str]) -> None:
    """Call ``start`` until the broker answers, saying so once and then at most every ten seconds."""
    attempt = 0
    while True:
        try:
            await start()
        except (KafkaError, OSError) as exc:
            wait_s = _WAIT_S[min(attempt, len(_WAIT_S) - 1)]
            attempt += 1
            _log.warning(
                events.KAFKA_UNREACHABLE,
                servers=",".join(servers),
                cause=str(exc),
                remedy="check kafka.bootstrap_servers, kafka.tls, kafka.sasl and that the broker is up",
                next_try_s=wait_s,
            )
            await asyncio.sleep(wait_s)
        else:
            if attempt:
                _log.info(events.KAFKA_CONNECTED, servers=",".join(servers))
            return
