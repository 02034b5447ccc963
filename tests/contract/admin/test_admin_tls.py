"""The admin port over TLS: with the configured certificate, and with a renewed one without a restart."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.app.admin_connection import AdminLimits
from bridge.app.admin_server import AdminServer
from bridge.app.admin_tls import AdminTls
from bridge.errors import ConfigError
from bridge.settings import AdminTlsSettings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.admin_clients import connect
from tests.support.ports import free_port
from tests.support.tls import TestAuthority, make_authority

Two = tuple[TestAuthority, TestAuthority]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    return make_authority(tmp_path_factory.mktemp("old")), make_authority(tmp_path_factory.mktemp("new"))


def installed(authority: TestAuthority, folder: Path) -> AdminTlsSettings:
    """Copy certificate and key to where the settings name them."""
    for source, name in ((authority.cert_file, "tls.crt"), (authority.key_file, "tls.key")):
        shutil.copy(source, folder / f"{name}.new")
        (folder / f"{name}.new").replace(folder / name)
    return AdminTlsSettings(cert_file=folder / "tls.crt", key_file=folder / "tls.key")


async def health(port: int, authority: TestAuthority) -> bytes:
    """Return the answer of /healthz to a client that trusts only this authority."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=authority.client_context())
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_renewed_certificate_is_used_without_a_restart_and_a_broken_one_is_not(
    two: Two, tmp_path: Path
) -> None:
    clock = Clock()
    tls = AdminTls(installed(two[0], tmp_path), clock)
    port = free_port()
    server = AdminServer("127.0.0.1", port, Metrics().registry, lambda: (True, ""), dict, tls=tls)
    await server.start()
    try:
        assert b"alive" in await health(port, two[0])
        (tmp_path / "tls.crt").write_text("-----BEGIN CERTIFICATE-----\nhalf of it")
        clock.now += 2
        with capture_logs() as lines:
            assert b"alive" in await health(port, two[0]), "the old certificate stays in use"
        assert [line["event"] for line in lines] == [events.ADMIN_CERTIFICATE_KEPT]
        installed(two[1], tmp_path)
        clock.now += 2
        assert b"alive" in await health(port, two[1])
        with pytest.raises(ssl.SSLCertVerificationError):
            await health(port, two[0])
    finally:
        await server.stop()


async def test_half_handshakes_leave_room_for_a_probe(two: Two, tmp_path: Path) -> None:
    port = free_port()
    server = AdminServer(
        "127.0.0.1",
        port,
        Metrics().registry,
        lambda: (True, ""),
        dict,
        tls=AdminTls(installed(two[0], tmp_path)),
        client_limits=AdminLimits(8),
    )
    await server.start()
    try:
        halves = [await connect(port) for _ in range(50)]
        for half in halves:
            half.writer.write(b"\x16\x03\x01\x02\x00")
        for _ in range(3):
            assert b"alive" in await health(port, two[0])
        for half in halves:
            half.close()
        plain = await connect(port)
        await plain.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"hookferry" not in await asyncio.wait_for(plain.rest(), 60), "nothing is served without TLS"
        plain.close()
    finally:
        await server.stop()


def test_files_that_cannot_be_loaded_are_a_mistake_in_the_settings(two: Two, tmp_path: Path) -> None:
    files = installed(two[0], tmp_path)
    (tmp_path / "tls.key").write_text("no key")
    with pytest.raises(ConfigError, match=r"admin\.tls: the TLS files cannot be loaded .*check cert_file"):
        AdminTls(files)
