"""The admin port, over a real socket on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from bridge.app.admin_server import AdminServer
from bridge.errors import ConfigError
from bridge.telemetry.metrics import Metrics


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class FakeReadiness:
    ready = False
    what = "starting"

    def __call__(self) -> tuple[bool, str]:
        return self.ready, self.what


@asynccontextmanager
async def serving(readiness: FakeReadiness, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    admin = AdminServer("127.0.0.1", port, metrics.registry, readiness, dict)
    await admin.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        await admin.stop()


async def test_readiness_reflects_the_process_and_health_does_not() -> None:
    readiness = FakeReadiness()
    async with serving(readiness, Metrics()) as client:
        answers = [await client.get("/readyz"), await client.get("/healthz")]
        assert [(one.status_code, one.text) for one in answers] == [(503, "starting\n"), (200, "alive\n")]
        readiness.ready, readiness.what = True, "assigned: 3 partitions"
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (200, "assigned: 3 partitions\n")


async def test_metrics_are_those_of_the_registry_in_prometheus_form() -> None:
    metrics = Metrics()
    metrics.endpoint("crm").parked.inc(3)
    async with serving(FakeReadiness(), metrics) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'hookferry_parked_total{endpoint="crm"} 3.0' in answer.text.splitlines()


async def test_the_public_keys_are_served_as_a_key_set() -> None:
    port, keys = free_port(), {"keys": [{"kty": "OKP", "kid": "a1"}]}
    admin = AdminServer("127.0.0.1", port, Metrics().registry, FakeReadiness(), dict, lambda: keys)
    await admin.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            answer = await client.get("/.well-known/jwks.json")
    finally:
        await admin.stop()
    assert answer.headers["content-type"].startswith("application/jwk-set+json")
    assert answer.json() == keys


async def test_every_other_path_is_not_found() -> None:
    async with serving(FakeReadiness(), Metrics()) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405


async def test_a_port_in_use_is_a_settings_mistake() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        admin = AdminServer("127.0.0.1", port, Metrics().registry, FakeReadiness(), dict)
        with pytest.raises(ConfigError, match=f"admin.port {port}: cannot listen"):
            await admin.start()


async def test_the_port_is_free_after_stop() -> None:
    port = free_port()
    for _ in range(2):
        admin = AdminServer("127.0.0.1", port, Metrics().registry, FakeReadiness(), dict)
        await admin.start()
        await admin.stop()
