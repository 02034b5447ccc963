"""A temporary certificate authority, created with the openssl command when a test needs TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True)
class TestAuthority:
    """An authority and a certificate it issued for ``localhost`` and ``receiver.test``."""

    __test__ = False

    ca_file: Path
    cert_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def mutual_context(self) -> ssl.SSLContext:
        """Return a server context that requires a client certificate of this authority."""
        context = self.server_context()
        context.load_verify_locations(self.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def issue(self, name: str, folder: Path | None = None) -> tuple[Path, Path]:
        """Issue another certificate, with the common name ``name``; return its file and that of its key."""
        folder = folder or self.ca_file.parent
        key, request, cert = (folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        _openssl(folder, "req", *_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        authority = ("-CA", str(self.ca_file), "-CAkey", str(self.ca_file.with_suffix(".key")))
        made = ("-in", str(request), "-out", str(cert), "-days", "2", "-CAcreateserial")
        _openssl(folder, "x509", "-req", *authority, *made)
        return cert, key


def make_authority(folder: Path) -> TestAuthority:
    """Create both certificates in ``folder``; skip the test if openssl is not installed."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is missing; it makes the certificates of this test")

    def openssl(*args: str) -> None:
        _openssl(folder, *args)

    openssl(
        *("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),  # required by Python 3.13
    )
    openssl("req", *_KEY, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost")
    (folder / "ext").write_text(
        "subjectAltName=DNS:localhost,DNS:receiver.test\nauthorityKeyIdentifier=keyid\n"
    )
    openssl(
        *("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "leaf.pem", "-days", "2", "-extfile", "ext"),
    )
    return TestAuthority(folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key")
