"""Logins to Kafka with an access token, which is fetched, cached and renewed; failures are retried."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from bridge.errors import TokenUnavailable
from bridge.kafka.client import KafkaOptions
from bridge.settings import SaslSettings
from bridge.wiring.tokens import build_kafka_token
from tests.support.kafka import RealKafka

MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
SECRET = "client-secret-2b7d"


def token(lifetime_s: float = 600) -> str:
    """Return an unsecured token, which Kafka's validator for tests accepts (RFC 7515 with alg none)."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": "hookferry", "iat": now, "exp": now + lifetime_s})
    return (
        ".".join(base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts) + "."
    )


class TokenServer:
    """An authorization server that records its requests; ``answer`` is its next response."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, dict[str, Any]]] = []
        self.status = 200
        self.url = ""
        self.answer: object = {"access_token": token(), "expires_in": 600}

    async def grant(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization"), dict(await request.post())))
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    server = TokenServer()
    app = web.Application()
    app.router.add_post("/token", server.grant)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    yield server
    await runner.cleanup()


@pytest.fixture(scope="module")
def oauth_kafka(kafka: RealKafka) -> Iterator[RealKafka]:
    prefix = "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config"
    config = {
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        prefix: f'{MODULE} required unsecuredLoginStringClaim_sub="broker";',
    }
    with RealKafka(sasl=True, config=config) as broker:
        yield broker


def fetcher(tokens: Any) -> Callable[[], Awaitable[str]]:
    """Return the function that a Kafka client calls for a token, as the wiring builds it."""
    fetch_token = build_kafka_token(
        SaslSettings.model_validate(
            {
                "mechanism": "OAUTHBEARER",
                "token_url": tokens.url,
                "client_id": "bridge",
                "client_secret": SECRET,
                "scope": "kafka",
            }
        )
    )
    assert fetch_token is not None
    return fetch_token


def options(broker: RealKafka, tokens: Any) -> KafkaOptions:
    return KafkaOptions(
        bootstrap_servers=(broker.sasl_bootstrap,),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        fetch_token=fetcher(tokens),
    )


async def test_a_broker_accepts_the_token(oauth_kafka: RealKafka, tokens: TokenServer) -> None:
    admin = AIOKafkaAdminClient(**options(oauth_kafka, tokens).arguments())
    await admin.start()
    assert await admin.list_topics() is not None
    await admin.close()
    basic = "Basic " + base64.b64encode(f"bridge:{SECRET}".encode()).decode()
    assert tokens.asked == [(basic, {"grant_type": "client_credentials", "scope": "kafka"})]


async def test_a_failed_token_request_raises_an_error_that_kafka_clients_retry(
    oauth_kafka: RealKafka, tokens: TokenServer
) -> None:
    """An exception other than aiokafka's own would end its background tasks."""
    tokens.status = 503
    admin = AIOKafkaAdminClient(**options(oauth_kafka, tokens).arguments())
    with pytest.raises(KafkaError):
        await admin.start()
    await admin.close()


async def test_a_token_is_cached(tokens: TokenServer) -> None:
    kept = fetcher(tokens)
    assert await kept() == await kept()
    assert len(tokens.asked) == 1


async def test_many_clients_that_connect_at_once_cause_one_request(tokens: TokenServer) -> None:
    kept = fetcher(tokens)
    assert len({*await asyncio.gather(*(kept() for _ in range(20)))}) == 1
    assert len(tokens.asked) == 1


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (
            401,
            {},
            r"kafka\.sasl\.token_url answered with status 401; check client_id, client_secret and scope",
        ),
        (200, {}, "returned no access_token"),
        (200, [], "returned an answer that is not a JSON object"),
        (200, {"access_token": "t", "pad": "x" * 70_000}, "returned an answer of 64 KiB or more"),
    ],
)
async def test_the_error_message_names_the_cause_without_the_secret(
    tokens: TokenServer, status: int, answer: object, message: str
) -> None:
    tokens.status, tokens.answer = status, answer
    with pytest.raises(TokenUnavailable, match=message) as caught:
        await fetcher(tokens)()
    assert SECRET not in str(caught.value)
