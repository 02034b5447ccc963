"""What is in the files that settings name is said with everything else, at the key that names them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.preflight import files
from bridge.settings import check
from tests.support.tls import make_authority
from tests.unit.settings.example import VALID

Check = Callable[..., list[str]]
SECURE = (
    "kafka:\n  security_protocol: SSL\n  tls: {ca_file: ca.pem, cert_file: leaf.pem, key_file: leaf.key}\n"
)


@pytest.fixture
def found(tmp_path: Path) -> Check:
    """``found(old, new, …)``: the mistakes of VALID with replacements, without the folder's name."""
    (tmp_path / "avro").mkdir()

    def found(*swaps: str) -> list[str]:
        text = VALID
        for old, new in zip(swaps[::2], swaps[1::2], strict=True):
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "bridge.yaml").write_text(text)
        lines = check(tmp_path / "bridge.yaml", {}, files.RULES)
        return [line.replace(f"{tmp_path}/", "") for line in lines]

    return found


def lock_key(folder: Path) -> None:
    """``locked.key``: the key of ``make_authority`` with a password, k."""
    openssl = shutil.which("openssl")
    assert openssl
    encrypt = [openssl, "pkcs8", "-topk8", "-in", "leaf.key", "-out", "locked.key", "-passout", "pass:k"]
    subprocess.run(encrypt, cwd=folder, check=True, capture_output=True)


def test_an_empty_folder_of_schemas_is_said_with_its_place(found: Check) -> None:
    assert found() == [
        "bridge.yaml:4:68: sources.fineract.schemas: avro: holds no .avsc file; "
        "`hookferry schemas import JAR --into avro` writes them there"
    ]


def test_what_is_wrong_in_files_comes_with_all_the_rest_in_file_order(found: Check, tmp_path: Path) -> None:
    (tmp_path / "avro" / "a.avsc").write_text('{"type": "rec\n"}')
    (tmp_path / "one.avsc").write_text("{")
    lines = found(
        "format: json, id: id, type: type", "format: avro, id: id, type: type, schema_file: one.avsc",
        "    url: https", "    url: ftp",
    )  # fmt: skip
    assert lines[0] == (
        "bridge.yaml:4:68: sources.fineract.schemas: avro/a.avsc:1:14: not JSON: "
        "Invalid control character; mend the file, or write it anew"
    )
    assert [line.split(": ")[1] for line in lines[1:]] == ["sources.orders.schema_file", "endpoints.crm.url"]


def test_a_file_that_is_not_there_is_said_once(found: Check) -> None:
    assert len(found("schemas: avro", "schemas: nowhere")) == 1
    assert len(found("schemas: avro", 'schemas: "a\\0b"')) == 1


@pytest.mark.parametrize(("name", "whole"), [("folders/" * 20 + "ca.pem", True), ("x" * 5000, False)])
def test_the_path_of_a_file_is_shown_whole_if_it_can_be_one(found: Check, name: str, whole: bool) -> None:
    line = found("kafka:\n", SECURE.replace("ca.pem", name))[0]
    assert line.startswith('bridge.yaml:3:18: kafka.tls.ca_file "')
    assert (f'{name}": ' in line) is whole


def test_certificates_that_are_none_are_said_each(found: Check, tmp_path: Path) -> None:
    for name in ("ca.pem", "leaf.pem", "leaf.key"):
        (tmp_path / name).write_text("hello")
    lines = found("kafka:\n", SECURE, "schemas: avro", "schemas: avro, bulk: split")
    assert lines[0] == (
        'bridge.yaml:3:18: kafka.tls.ca_file "ca.pem": cannot be used (no certificate or crl found); '
        "give the authority's certificates as a PEM file"
    )
    assert lines[1].startswith('bridge.yaml:3:37: kafka.tls.cert_file "leaf.pem": cannot be used (')
    assert [line.split(": ")[1] for line in lines[2:]] == ["sources.fineract.schemas"]


def test_a_key_without_its_password_is_said_and_not_asked_for(found: Check, tmp_path: Path) -> None:
    """OpenSSL would ask at the terminal."""
    make_authority(tmp_path)
    assert not [line for line in found("kafka:\n", SECURE) if "kafka.tls" in line]
    lock_key(tmp_path)
    locked = SECURE.replace("leaf.key", "locked.key")
    (line,) = [line for line in found("kafka:\n", locked) if "kafka.tls" in line]
    assert "kafka.tls.cert_file" in line
    assert "key_password" in line
    opened = locked.replace("locked.key", "locked.key, key_password: k")
    assert not [line for line in found("kafka:\n", opened) if "kafka.tls" in line]


def test_a_certificate_that_is_not_there_is_said_once(found: Check) -> None:
    without = SECURE.replace(", cert_file: leaf.pem, key_file: leaf.key", "")
    (line,) = [line for line in found("kafka:\n", without) if "kafka.tls" in line]
    assert "there is no such file" in line


ASK = """
import fcntl, sys, termios
from bridge.http.tls import load_context
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
try:
    load_context(None, "leaf.pem", "locked.key", None)
except OSError:
    sys.exit("refused")
"""


def test_nobody_is_asked_for_a_password_at_a_terminal(tmp_path: Path) -> None:
    make_authority(tmp_path)
    lock_key(tmp_path)
    outer, inner = os.openpty()
    with open(outer, "rb", buffering=0) as terminal:
        child = subprocess.Popen(
            [sys.executable, "-c", ASK], cwd=tmp_path, stdin=inner, stdout=inner, stderr=inner,
            start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        os.close(inner)
        said = terminal.read(100)
        child.kill()
        child.wait()
    assert said.strip() == b"refused"
