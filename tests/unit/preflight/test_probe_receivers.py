"""The doctor reaches receivers as the bridge does: names, the address policy, TLS, and the certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from bridge.http.egress_policy import EgressPolicy
from bridge.http.tls import FixedTls
from bridge.preflight.probes.finding import Finding, Level
from bridge.preflight.probes.receivers import judge_keys, probe_receivers
from bridge.settings import EndpointSettings
from tests.support.ports import free_port
from tests.support.settings_example import SECRET
from tests.support.tls import TestAuthority, make_authority

LOOPBACK = [ip_network("127.0.0.0/8")]


async def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    if host == "nowhere.test":
        raise OSError(-2, "Name or service not known")
    return [(0, 0, 0, "", ("10.9.9.9" if host == "inside.test" else "127.0.0.1", port))]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def ports(authority: TestAuthority) -> AsyncIterator[tuple[int, int, list[bytes]]]:
    """Yield the port of a plain server, of one with TLS, and the bytes that either received."""
    received: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" if received[-1] else b"")
        writer.close()

    plain = await asyncio.start_server(take, "127.0.0.1", 0)
    secure = await asyncio.start_server(take, "127.0.0.1", 0, ssl=authority.server_context())
    async with plain, secure:
        yield plain.sockets[0].getsockname()[1], secure.sockets[0].getsockname()[1], received


async def probe(system: ssl.SSLContext, url: str, **more: Any) -> Finding:
    endpoint = EndpointSettings.model_validate({"url": url, **more})
    findings = await probe_receivers({"crm": endpoint}, EgressPolicy(LOOPBACK, resolve), FixedTls(system))
    assert {finding.part for finding in findings} == {"endpoint crm"}
    return findings[-1]


async def test_a_receiver_is_reached_without_a_request(
    ports: tuple[int, int, list[bytes]], authority: TestAuthority
) -> None:
    plain, secure, received = ports
    context = authority.client_context()
    found = await probe(context, f"http://receiver.test:{plain}/T0KEN")
    assert (found.level, "accepts connections" in found.text) == (Level.OK, True)
    found = await probe(context, f"https://receiver.test:{secure}/{{{{ entity }}}}")
    assert found.level is Level.WARNING, "the certificate ends in two days"
    assert "its certificate ends on" in found.text
    assert "T0KEN" not in str(found)
    assert set(received) <= {b""}


async def test_what_keeps_a_receiver_from_being_reached_is_named_with_a_remedy(
    ports: tuple[int, int, list[bytes]], authority: TestAuthority
) -> None:
    plain, secure, _ = ports
    trusting, strict = authority.client_context(), ssl.create_default_context()
    for context, url, said in (
        (strict, f"https://receiver.test:{secure}/", "is refused: "),
        (trusting, f"https://other.test:{secure}/", "is refused: Hostname mismatch"),
        (trusting, f"https://receiver.test:{plain}/", "TLS"),
        (trusting, f"http://receiver.test:{free_port()}/", "cannot connect to receiver.test"),
        (trusting, "https://nowhere.test/", "cannot resolve the name nowhere.test"),
        (trusting, "https://inside.test/", "inside.test has the address 10.9.9.9, which is not allowed"),
    ):
        found = await probe(context, url)
        assert (found.level, said in found.text) == (Level.ERROR, True), found
        assert found.remedy, found


async def test_with_a_proxy_the_proxy_is_tried(ports: tuple[int, int, list[bytes]]) -> None:
    plain, _, _ = ports
    tls = ssl.create_default_context()
    found = await probe(tls, "https://receiver.test/", proxy=f"http://user:pw@127.0.0.1:{plain}")
    assert (found.level, found.text) == (Level.OK, f"the proxy 127.0.0.1:{plain} accepts connections")
    found = await probe(tls, "https://receiver.test/", proxy=f"http://127.0.0.1:{free_port()}")
    assert found.level is Level.ERROR
    found = await probe(tls, "https://inside.test/", proxy=f"http://127.0.0.1:{plain}")
    assert (found.level, "which is not allowed" in found.text) == (Level.ERROR, True)


async def test_tls_files_of_an_endpoint_are_used(
    ports: tuple[int, int, list[bytes]], authority: TestAuthority
) -> None:
    _, secure, _ = ports
    url, strict = f"https://receiver.test:{secure}/", ssl.create_default_context()
    own = {"ca_file": authority.ca_file}
    assert "accepts TLS" in (await probe(strict, url, tls=own)).text
    named = await probe(strict, f"https://other.test:{secure}/", tls={**own, "server_name": "receiver.test"})
    assert "accepts TLS" in named.text
    missing = await probe(strict, url, tls={"ca_file": authority.ca_file.with_name("gone.pem")})
    assert (missing.level, "TLS files cannot be loaded" in missing.text) == (Level.ERROR, True)


async def test_a_token_server_that_issues_no_token_is_named_without_its_secret(
    ports: tuple[int, int, list[bytes]],
) -> None:
    plain, _, _ = ports
    login = {"token_url": f"http://127.0.0.1:{plain}/token", "client_id": "c", "client_secret": "s3cret-word"}
    found = await probe(
        ssl.create_default_context(), f"http://receiver.test:{plain}/", auth={"oauth2": login}
    )
    assert (found.level, "no access token" in found.text) == (Level.ERROR, True)
    assert found.remedy
    assert "s3cret-word" not in str(found)


@pytest.mark.parametrize(
    ("until", "level", "said"),
    [
        (None, Level.OK, "requests are signed with 1 key"),
        ("2027-01-20T00:00:00Z", Level.WARNING, "the last key ends on 2027-01-20"),
        ("2028-01-20T00:00:00Z", Level.OK, "requests are signed with 1 key"),
    ],
)
def test_a_last_signing_key_that_ends_soon_is_a_warning(until: str | None, level: Level, said: str) -> None:
    key = {"secret": SECRET, **({"until": until} if until else {})}
    endpoint = EndpointSettings.model_validate({"url": "https://x.test/", "signing": {"keys": (key,)}})
    (found,) = judge_keys("endpoint crm", endpoint, 1_800_000_000)
    assert (found.level, said in found.text) == (level, True)
    assert found.remedy == ("hookferry keys rotate crm" if level is Level.WARNING else "")


def test_an_endpoint_without_keys_has_no_finding_about_them() -> None:
    endpoint = EndpointSettings.model_validate({"url": "https://x.test/"})
    assert list(judge_keys("endpoint crm", endpoint, 1_800_000_000)) == []
