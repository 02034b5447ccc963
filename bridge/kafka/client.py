"""How to reach the brokers: addresses, TLS, SASL, and the retry until one answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from bridge.errors import BrokerError, TokenUnavailable
from bridge.kafka.aiokafka_patches import batch_bytes as _batch_patch  # noqa: F401 - every consumer needs it
from bridge.kafka.aiokafka_patches import connection as _connection_patch  # noqa: F401 - every client needs it
from bridge.kafka.aiokafka_patches import failing_fetches as _fetch_patch  # noqa: F401 - every consumer needs it
from bridge.kafka.aiokafka_patches import fetch_codec as _codec_patch  # noqa: F401 - every consumer needs it
from bridge.kafka.aiokafka_patches import unreadable_records as _records_patch  # noqa: F401 - every consumer needs it
from bridge.kafka.broker_call import CHECK_BROKER
from bridge.telemetry import events

_log = structlog.get_logger()
_RETRY_DELAYS_S = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Everything aiokafka needs to reach the brokers; secrets never show in its ``repr``.

    ``compression`` is the codec of what is written (``record_size.CODECS``). ``fetch_token`` returns an
    access token for a login, and raises ``TokenUnavailable``.
    """

    bootstrap_servers: tuple[str, ...]
    client_id: str = "hookferry"
    security_protocol: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    fetch_token: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)
    compression: str = "zstd"

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client accepts."""
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


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no type information
    """Supplies an OAuth 2 access token each time aiokafka opens a connection."""

    def __init__(self, fetch: Callable[[], Awaitable[str]]) -> None:
        self._fetch = fetch

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - annotated None upstream
        try:
            return await self._fetch()
        except TokenUnavailable as exc:  # aiokafka retries only after its own exceptions
            raise KafkaConnectionError(str(exc)) from exc


async def start_when_reachable(start: Callable[[], Awaitable[None]], servers: Iterable[str]) -> None:
    """Call ``start`` until it raises no ``BrokerError``; log each failure, at most every ten seconds."""
    attempt = 0
    while True:
        try:
            await start()
        except BrokerError as exc:
            delay_s = _RETRY_DELAYS_S[min(attempt, len(_RETRY_DELAYS_S) - 1)]
            attempt += 1
            _log.warning(
                events.KAFKA_UNREACHABLE,
                servers=",".join(servers),
                cause=exc.cause,
                remedy=CHECK_BROKER,
                next_try_s=delay_s,
            )
            await asyncio.sleep(delay_s)
        else:
            if attempt:
                _log.info(events.KAFKA_CONNECTED, servers=",".join(servers))
            return
