"""TLS of an endpoint against a real TLS server: authorities, client certificates, version, name, renewal."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.errors import ConfigError, TransportError, TransportFault
from bridge.http import Transport
from bridge.telemetry import events
from tests.support.endpoint_transports import endpoint_settings, endpoint_transport, hook
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.tls import TestAuthority, make_authority
from tests.support.transports import ok

NO_CERTIFICATE = {TransportFault.TLS, TransportFault.READ}
"""In TLS 1.3 a client learns only after its handshake that the server wanted a certificate."""


class Receiver(ScriptedServer):
    """A receiver that closes each connection after one answer, so that the next request dials again."""

    def __init__(self, tls: ssl.SSLContext, port: int = 0) -> None:
        super().__init__(self._close_after_answer, tls=tls, port=port)
        self.clients: list[str] = []
        """The common name of each client certificate."""

    async def _close_after_answer(self, peer: Peer, received: Received) -> None:
        subject = (peer.writer.get_extra_info("peercert") or {}).get("subject", ())
        self.clients += [value for ((name, value),) in subject if name == "commonName"]
        await peer.answer(headers="connection: close\r\n")


def build(server: ScriptedServer, host: str = "receiver.test", **tls: Any) -> tuple[Transport, Any]:
    endpoint = endpoint_settings(f"https://{host}:{server.port}/hooks", tls=tls or None)
    return endpoint_transport(endpoint), hook(endpoint)


async def status(server: ScriptedServer, host: str = "receiver.test", **tls: Any) -> int:
    transport, request = build(server, host, **tls)
    try:
        return (await transport.send(request, 5)).status
    finally:
        await transport.close()


async def fault(server: ScriptedServer, host: str = "receiver.test", **tls: Any) -> TransportFault:
    with pytest.raises(TransportError) as caught:
        await status(server, host, **tls)
    return caught.value.fault


async def test_an_authority_of_its_own_replaces_those_of_the_system(authority: TestAuthority) -> None:
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        assert await fault(server) is TransportFault.TLS
        assert await status(server, ca_file=authority.ca_file) == 200


async def test_a_client_certificate_is_presented(authority: TestAuthority) -> None:
    cert, key = authority.issue("client-1")
    async with Receiver(authority.mutual_context()) as server:
        assert await fault(server, ca_file=authority.ca_file) in NO_CERTIFICATE
        assert await status(server, ca_file=authority.ca_file, cert_file=cert, key_file=key) == 200
    assert server.clients == ["client-1"]


async def test_an_encrypted_key_is_opened_with_its_password(authority: TestAuthority, tmp_path: Path) -> None:
    cert, key = authority.issue("client-2")
    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(locked), "-passout", "pass:k"]
    subprocess.run(encrypt, check=True, capture_output=True)
    files = {"ca_file": authority.ca_file, "cert_file": cert, "key_file": locked}
    async with Receiver(authority.mutual_context()) as server:
        assert await status(server, **files, key_password="k") == 200
        with pytest.raises(ConfigError) as caught:
            build(server, **files, key_password="wrong-password")
    assert "endpoints.crm.tls: the TLS files cannot be loaded" in str(caught.value)
    assert "wrong-password" not in str(caught.value)


async def test_the_minimum_version_refuses_an_older_server(authority: TestAuthority) -> None:
    context = authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with ScriptedServer(ok, tls=context) as server:
        assert await status(server, ca_file=authority.ca_file) == 200
        assert await status(server, ca_file=authority.ca_file, min_version=1.2) == 200
        assert await fault(server, ca_file=authority.ca_file, min_version="1.3") is TransportFault.TLS


async def test_server_name_is_sent_and_is_the_name_that_the_certificate_must_have(
    authority: TestAuthority,
) -> None:
    names: list[str | None] = []
    context = authority.server_context()
    context.sni_callback = lambda tls, name, _: names.append(name)
    async with ScriptedServer(ok, tls=context) as server:
        ca = {"ca_file": authority.ca_file}
        assert await fault(server, "10-1-2-3.internal.test", **ca) is TransportFault.TLS
        assert await status(server, "10-1-2-3.internal.test", **ca, server_name="receiver.test") == 200
        assert await fault(server, "receiver.test", **ca, server_name="other.test") is TransportFault.TLS
    assert names == ["10-1-2-3.internal.test", "receiver.test", "other.test"]


async def test_an_authority_in_ssl_cert_file_is_trusted(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        assert await fault(server) is TransportFault.TLS
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        assert await status(server) == 200


async def test_an_authority_in_ssl_cert_dir_is_trusted(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(authority.ca_file, tmp_path / "ours.pem")
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        assert await status(server) == 200


class Renewed:
    """An endpoint with a client certificate in files that the test replaces."""

    def __init__(self, authority: TestAuthority, folder: Path) -> None:
        self.authority = authority
        self.ca, self.cert, self.key = (folder / name for name in ("ca.pem", "tls.crt", "tls.key"))
        self.ca.write_bytes(authority.ca_file.read_bytes())
        self.write("before")

    def issue(self, name: str) -> tuple[bytes, bytes]:
        cert, key = self.authority.issue(name)
        return cert.read_bytes(), key.read_bytes()

    def write(self, name: str) -> None:
        cert, key = self.issue(name)
        self.cert.write_bytes(cert)
        self.key.write_bytes(key)

    @property
    def files(self) -> dict[str, Path]:
        return {"ca_file": self.ca, "cert_file": self.cert, "key_file": self.key}


@pytest.fixture
def renewed(authority: TestAuthority, tmp_path: Path) -> Renewed:
    return Renewed(authority, tmp_path)


async def until(condition: Callable[[], bool], send: Callable[[], Any]) -> None:
    """Send until a condition is true: files that did not load are tried again only after a second."""
    for _ in range(600):
        await send()
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_a_renewed_client_certificate_is_used_for_the_next_connection(renewed: Renewed) -> None:
    async with Receiver(renewed.authority.mutual_context()) as server:
        transport, request = build(server, **renewed.files)
        await transport.send(request, 5)
        renewed.write("after")
        with capture_logs() as logs:
            await transport.send(request, 5)
            await transport.send(request, 5)
        await transport.close()
    assert server.clients == ["before", "after", "after"]
    assert [line["event"] for line in logs] == [events.CERTIFICATES_READ]


async def test_a_certificate_that_kubernetes_replaces_through_a_link_is_used(
    renewed: Renewed, tmp_path: Path
) -> None:
    """A mounted Secret is a folder that a link points to; the link is replaced in one step."""
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tls.crt").write_bytes(renewed.cert.read_bytes())
        (folder / "tls.key").write_bytes(renewed.key.read_bytes())
        renewed.write("second")
    mount = tmp_path / "mount"
    mount.symlink_to(tmp_path / "first")
    files = {"ca_file": renewed.ca, "cert_file": mount / "tls.crt", "key_file": mount / "tls.key"}
    async with Receiver(renewed.authority.mutual_context()) as server:
        transport, request = build(server, **files)
        await transport.send(request, 5)
        (tmp_path / "new").symlink_to(tmp_path / "second")
        (tmp_path / "new").rename(mount)
        await transport.send(request, 5)
        await transport.close()
    assert server.clients == ["before", "second"]


@pytest.mark.parametrize("broken", ["half", "empty", "other key", "missing", "garbage"])
async def test_files_that_cannot_be_used_leave_the_old_certificate_in_use_and_are_logged(
    renewed: Renewed, broken: str
) -> None:
    cert, key = renewed.issue("after")
    half = cert[: len(cert) // 2]
    async with Receiver(renewed.authority.mutual_context()) as server:
        transport, request = build(server, **renewed.files)
        await transport.send(request, 5)
        match broken:
            case "missing":
                renewed.cert.unlink()
            case "other key":
                renewed.cert.write_bytes(cert)
            case _:
                renewed.cert.write_bytes({"half": half, "empty": b"", "garbage": b"\0\1\2"}[broken])
        with capture_logs() as logs:
            for _ in range(3):
                assert (await transport.send(request, 5)).status == 200
        (line,) = logs
        assert line["event"] == events.CERTIFICATES_IGNORED
        assert line["setting"] == "endpoints.crm.tls"
        assert line["cause"].startswith("the files changed and cannot be loaded")
        assert set(server.clients) == {"before"}
        renewed.cert.write_bytes(cert)
        renewed.key.write_bytes(key)
        with capture_logs() as logs:
            await until(lambda: server.clients[-1] == "after", lambda: transport.send(request, 5))
        assert [line["event"] for line in logs] == [events.CERTIFICATES_READ]
        await transport.close()


@pytest.mark.parametrize("part", [0.5, 0.03], ids=["in a certificate", "in its first line"])
async def test_a_half_written_bundle_of_authorities_never_replaces_a_whole_one(
    renewed: Renewed, part: float
) -> None:
    """If it ends in a first line, OpenSSL loads the certificates before it without an error."""
    whole = renewed.ca.read_bytes()
    async with Receiver(renewed.authority.mutual_context()) as server:
        transport, request = build(server, **renewed.files)
        renewed.ca.write_bytes(whole + whole[: int(len(whole) * part)])
        with capture_logs() as logs:
            assert (await transport.send(request, 5)).status == 200
        await transport.close()
    assert [line["event"] for line in logs] == [events.CERTIFICATES_IGNORED]


async def test_a_new_authority_is_trusted_and_the_old_one_no_longer(
    authority: TestAuthority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = make_authority(tmp_path / "other")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority.ca_file.read_bytes())
    async with Receiver(authority.server_context()) as old, Receiver(other.server_context()) as new:
        (transport, to_old), (_, to_new) = build(old, ca_file=bundle), build(new, ca_file=bundle)
        assert (await transport.send(to_old, 5)).status == 200
        with pytest.raises(TransportError, match="is not trusted"):
            await transport.send(to_new, 5)
        bundle.write_bytes(other.ca_file.read_bytes())
        assert (await transport.send(to_new, 5)).status == 200
        with pytest.raises(TransportError, match="is not trusted"):
            await transport.send(to_old, 5)
        await transport.close()
