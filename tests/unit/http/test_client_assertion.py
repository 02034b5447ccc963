"""Statements that log a client in with its key: an independent library verifies each kind of key."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from bridge.errors import ConfigError, TokenUnavailable
from bridge.http.client_assertion import PrivateKeyJwt

RSA = ("rsa", "-pkeyopt", "rsa_keygen_bits:2048")
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
SETTING = "endpoints.crm.auth.oauth2.private_key.key_file"


def key_file(folder: Path, *kind: str, name: str = "client.key", password: str = "") -> Path:
    """Create a private key with OpenSSL."""
    locked = ("-aes256", "-pass", f"pass:{password}") if password else ()
    file = folder / name
    command = ["openssl", "genpkey", "-algorithm", *kind, *locked, "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def statements(file: Path, padding: str = "PS256", **more: Any) -> PrivateKeyJwt:
    return PrivateKeyJwt(
        SETTING, "client-1", "https://login.test/token", file,
        more.get("key_password"), more.get("key_id"), padding,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # servers do not know its new name yet
@pytest.mark.parametrize(
    ("kind", "padding", "algorithm", "key_type"),
    [
        (RSA, "PS256", "PS256", "RSA"),
        (RSA, "RS256", "RS256", "RSA"),
        (P256, "PS256", "ES256", "EC"),
        (("ed25519",), "PS256", "EdDSA", "OKP"),
    ],
)
def test_a_statement_is_verified_by_another_library(
    tmp_path: Path, kind: tuple[str, ...], padding: str, algorithm: str, key_type: Any
) -> None:
    file = key_file(tmp_path, *kind)
    made = statements(file, padding, key_id="key-7")
    first, second = made.sign(), made.sign()
    key = jwk.import_key(file.read_bytes(), key_type)
    token = jwt.decode(first, key, algorithms=[algorithm])
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": "key-7"}
    assert token.claims["iss"] == token.claims["sub"] == "client-1"
    assert token.claims["aud"] == "https://login.test/token"
    assert 0 < token.claims["exp"] - time.time() <= 60
    assert token.claims["jti"] != jwt.decode(second, key, algorithms=[algorithm]).claims["jti"]


def test_an_encrypted_key_needs_its_password(tmp_path: Path) -> None:
    file = key_file(tmp_path, *P256, password="k3y-password")
    statements(file, key_password="k3y-password").sign()
    for password in (None, "wrong-password"):
        with pytest.raises(ConfigError, match=r"private_key\.key_file cannot be used") as caught:
            statements(file, key_password=password)
        assert "wrong-password" not in str(caught.value)


@pytest.mark.parametrize("kind", [("rsa", "-pkeyopt", "rsa_keygen_bits:1024"), ("x25519",), ("ed448",)])
def test_a_key_that_is_weak_or_of_another_kind_is_refused(tmp_path: Path, kind: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="has a key of an unsupported kind or size"):
        statements(key_file(tmp_path, *kind))


def test_a_new_key_is_used_for_the_next_statement_and_a_broken_one_is_named(tmp_path: Path) -> None:
    made = statements(key_file(tmp_path, *P256))
    made.sign()
    file = key_file(tmp_path, *P256)
    jwt.decode(made.sign(), jwk.import_key(file.read_bytes(), "EC"), algorithms=["ES256"])
    file.write_text("-----BEGIN")
    with pytest.raises(TokenUnavailable, match="cannot be used"):
        made.sign()
    file.unlink()
    with pytest.raises(TokenUnavailable, match="No such file or directory"):
        made.sign()
