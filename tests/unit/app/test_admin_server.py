"""The admin port, over a real socket on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from bridge.app.admin_server import AdminServer
from bridge.errors import ConfigError
from bridge.telemetry import events
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
async def serving(
    readiness: FakeReadiness, metrics: Metrics, hosts: Sequence[str] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    admin = AdminServer("127.0.0.1", port, metrics.registry, readiness, dict, hosts=hosts)
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
    metrics.endpoint("crm").retries_needed.inc(3)
    async with serving(FakeReadiness(), metrics) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'hookferry_retries_needed_total{endpoint="crm"} 3.0' in answer.text.splitlines()


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


PATHS = ("/metrics", "/readyz", "/limits", "/nowhere")


async def test_an_unknown_host_gets_only_the_health_of_the_process() -> None:
    """A name that resolves to this port must not let a web page read what the port serves."""
    async with serving(FakeReadiness(), Metrics()) as client:
        with capture_logs() as lines:
            for path in PATHS:
                answer = await client.get(path, headers={"Host": "rebound.example:8080"})
                assert answer.status_code == 421
                assert "add the name to admin.hosts" in answer.text
                assert "hookferry_" not in answer.text
            answer = await client.get("/healthz", headers={"Host": "rebound.example"})
            assert (answer.status_code, answer.text) == (200, "alive\n")
    assert [line["event"] for line in lines] == [events.ADMIN_REFUSED], "once a minute"


async def test_the_names_that_clients_really_use_are_served() -> None:
    """The address of the pod, the host name of the machine, and the names in ``admin.hosts``."""
    hosts = ["hookferry.default.svc"]
    async with serving(FakeReadiness(), Metrics(), hosts) as client:
        for host in ("10.244.1.17:8080", "[fd00::1]:8080", "localhost", socket.gethostname(), *hosts):
            assert (await client.get("/metrics", headers={"Host": host})).status_code == 200


async def test_a_page_of_another_site_changes_nothing() -> None:
    """Also on paths that do not exist yet: the check comes before them."""
    async with serving(FakeReadiness(), Metrics()) as client:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            for path in PATHS:
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    assert (await client.request(method, path, headers=headers)).status_code == 403
        own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        assert (await client.post("/limits", headers=own)).status_code == 405


async def test_no_answer_names_a_version_or_lets_another_site_read_it() -> None:
    async with serving(FakeReadiness(), Metrics()) as client:
        for path in (*PATHS, "/healthz"):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                answer = await client.request(method, path, headers={"Origin": "https://evil.example"})
                assert answer.headers["server"] == "hookferry"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert "access-control-allow-origin" not in answer.headers


async def test_a_handler_that_fails_shows_nothing_of_the_cause() -> None:
    class Fails(FakeReadiness):
        def __call__(self) -> tuple[bool, str]:
            raise ValueError("the cause")

    async with serving(Fails(), Metrics()) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 500
    assert "the cause" not in answer.text
    assert answer.headers["server"] == "hookferry"
