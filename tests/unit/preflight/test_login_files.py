"""Files of logins are read by ``hookferry check``: certificates of endpoints and token servers, and keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.preflight import files
from bridge.settings import check
from tests.support.settings_example import VALID
from tests.support.tls import make_authority

OAUTH2 = "token_url: https://login.test/token, client_id: bridge"
TLS = "{ca_file: ca.pem, cert_file: leaf.pem, key_file: leaf.key}"
Problems = Callable[[str], list[str]]


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """Return the mistakes in the login files of an endpoint with one more line."""
    (tmp_path / "avro").mkdir()

    def problems(line: str) -> list[str]:
        (tmp_path / "bridge.yaml").write_text(f"{VALID}    {line}\n")
        lines = check(tmp_path / "bridge.yaml", {}, files.RULES)
        return [each.replace(f"{tmp_path}/", "") for each in lines if "endpoints.crm" in each]

    return problems


@pytest.mark.parametrize(
    ("line", "section"),
    [
        (f"tls: {TLS}", "endpoints.crm.tls"),
        (f"auth: {{oauth2: {{{OAUTH2}, client_secret: s, tls: {TLS}}}}}", "endpoints.crm.auth.oauth2.tls"),
    ],
)
def test_certificates_that_cannot_be_used_are_reported(
    problems: Problems, tmp_path: Path, line: str, section: str
) -> None:
    make_authority(tmp_path)
    assert problems(line) == []
    (tmp_path / "ca.pem").write_text("hello")
    (tmp_path / "leaf.key").write_text("hello")
    first, second = problems(line)
    assert (
        f'{section}.ca_file "ca.pem": cannot be used (no certificate or crl found); set a PEM file' in first
    )
    assert f'{section}.cert_file "leaf.pem": cannot be used (' in second


def test_a_client_key_that_cannot_be_used_is_reported(problems: Problems, tmp_path: Path) -> None:
    make_authority(tmp_path)
    line = f"auth: {{oauth2: {{{OAUTH2}, auth_style: private_key_jwt, private_key: {{key_file: leaf.key}}}}}}"
    assert problems(line) == []
    (tmp_path / "leaf.key").write_text("hello")
    (problem,) = problems(line)
    assert (
        'private_key.key_file "leaf.key": cannot be used (not a private key, or a wrong password)' in problem
    )
    assert problem.endswith("a P-256 key or an Ed25519 key, and its key_password")
