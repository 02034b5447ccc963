"""Events for a receiver that requires mutual TLS and an access token: none is lost, parked or repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer
from tests.support.produce import outbox_events, produce
from tests.support.tls import TestAuthority, make_authority
from tests.support.watch import SOON, history, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
Result = TypeVar("Result")
GROUP = "login-of-an-endpoint"


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    (tmp_path / "tls").mkdir()
    return make_authority(tmp_path / "tls")


async def off_loop(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call what blocks in a thread: the server runs in this loop."""
    return await asyncio.to_thread(function, *arguments)


def install(authority: TestAuthority, name: str, files: dict[str, str]) -> None:
    """Write a new client certificate into the files of the endpoint."""
    cert, key = authority.issue(name)
    Path(files["cert_file"]).write_bytes(cert.read_bytes())
    Path(files["key_file"]).write_bytes(key.read_bytes())


async def test_outage_revocation_and_a_renewed_certificate_cost_no_event(
    kafka: RealKafka, bridges: Bridges, authority: TestAuthority, tmp_path: Path
) -> None:
    topic = kafka.fresh_topic("endpoint-login", partitions=1)
    files = {
        "ca_file": str(authority.ca_file),
        "cert_file": str(tmp_path / "client.crt"),
        "key_file": str(tmp_path / "client.key"),
    }
    install(authority, "client-before", files)
    produced = 0

    async def publish(count: int) -> None:
        nonlocal produced
        await off_loop(produce, kafka.bootstrap, topic, outbox_events(count, entities=5, seed=produced))
        produced += count

    async def all_accepted(server: OAuthServer) -> None:
        await off_loop(wait_until, lambda: len(set(server.accepted)) == produced, f"{produced} accepted")

    async with OAuthServer(authority.mutual_context(), keep_alive=False) as server:
        server.broken = web.Response(status=503)
        login = {
            "token_url": f"{server.origin}/token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "tls": files,
        }
        endpoint = {
            "url": f"{server.origin}/hooks",
            "auth": {"oauth2": login},
            "tls": files,
            "retry": SOON | {"max_attempts": 2},
            "breaker": {"open_s": 0.2, "max_open_s": 0.5},
        }
        egress = {"allow": ["127.0.0.0/8", "::1/128"]}
        bridge = bridges(quick_config(kafka, topic, {"crm": endpoint}, GROUP, egress=egress))
        await off_loop(bridge.start)
        await publish(20)

        def failed_often() -> bool:
            return sum("token: " in line["reason"] for line in logged(bridge, "delivery.attempted")) > 5

        await off_loop(wait_until, failed_often, "more failures than the event has attempts")
        assert server.hooks == []
        server.broken = None
        await all_accepted(server)

        server.revoke_all()
        await publish(20)
        await all_accepted(server)
        assert 401 in server.statuses
        assert len(server.issued) == 2

        await off_loop(install, authority, "client-after", files)
        await publish(20)
        await all_accepted(server)
        assert set(server.clients[-20:]) == {"client-after"}

        await off_loop(wait_settled, kafka, f"{GROUP}.crm", topic)
        rows = await off_loop(history, bridge)
        assert await off_loop(bridge.terminate) == 0

    assert len(server.accepted) == 60, "none was accepted twice"
    assert {row["verdict"] for row in rows} == {"again", "delivered"}, "none was parked"
    assert all(b"authorization: ***" in row["headers"] for row in rows)
    assert logged(bridge, "token.failed")[0]["cause"].endswith(
        "auth.oauth2.token_url answered with status 503"
    )
    assert len(logged(bridge, "token.fetched")) == 1
    assert logged(bridge, "certificates.read")
    text = bridge.log.read_text()
    assert not any(secret in text for secret in (CLIENT_SECRET, *server.issued))
