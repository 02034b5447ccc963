"""A temporary certificate authority, created with the openssl command when a test needs TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


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


def make_authority(folder: Path) -> TestAuthority:
    """Create both certificates in ``folder``; skip the test if openssl is not installed."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is missing; it makes the certificates of this test")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        *("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),  # required by Python 3.13
    )
    openssl("req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost")
    (folder / "ext").write_text(
        "subjectAltName=DNS:localhost,DNS:receiver.test\nauthorityKeyIdentifier=keyid\n"
    )
    openssl(
        *("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "leaf.pem", "-days", "2", "-extfile", "ext"),
    )
    return TestAuthority(folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key")
