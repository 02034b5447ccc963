"""Problems in files that settings name are reported with all others, at the key that names the file."""

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
from tests.support.settings_example import VALID
from tests.support.tls import make_authority

Check = Callable[..., list[str]]
SECURE = (
    "kafka:\n  security_protocol: SSL\n  tls: {ca_file: ca.pem, cert_file: leaf.pem, key_file: leaf.key}\n"
)


@pytest.fixture
def problems(tmp_path: Path) -> Check:
    """Return the mistakes of ``VALID`` after replacing each ``old`` by ``new``, without the folder's name."""
    (tmp_path / "avro").mkdir()

    def problems(*swaps: str) -> list[str]:
        text = VALID
        for old, new in zip(swaps[::2], swaps[1::2], strict=True):
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "bridge.yaml").write_text(text)
        lines = check(tmp_path / "bridge.yaml", {}, files.RULES)
        return [line.replace(f"{tmp_path}/", "") for line in lines]

    return problems


def lock_key(folder: Path) -> None:
    """Write ``locked.key``: the key of ``make_authority``, encrypted with the password k."""
    openssl = shutil.which("openssl")
    assert openssl
    encrypt = [openssl, "pkcs8", "-topk8", "-in", "leaf.key", "-out", "locked.key", "-passout", "pass:k"]
    subprocess.run(encrypt, cwd=folder, check=True, capture_output=True)


def test_an_empty_schema_folder_is_reported_with_its_place(problems: Check) -> None:
    assert problems() == [
        "bridge.yaml:4:68: sources.fineract.schemas: avro: contains no .avsc file; "
        "import them with `hookferry schemas import JAR --into avro`"
    ]


def test_problems_in_files_are_reported_with_all_others_in_file_order(
    problems: Check, tmp_path: Path
) -> None:
    (tmp_path / "avro" / "a.avsc").write_text('{"type": "rec\n"}')
    (tmp_path / "one.avsc").write_text("{")
    lines = problems(
        "format: json, id: id, type: type", "format: avro, id: id, type: type, schema_file: one.avsc",
        "    url: https", "    url: ftp",
    )  # fmt: skip
    assert lines[0] == (
        "bridge.yaml:4:68: sources.fineract.schemas: avro/a.avsc:1:14: is not JSON: "
        "Invalid control character; correct the file, or create it again"
    )
    assert [line.split(": ")[1] for line in lines[1:]] == ["sources.orders.schema_file", "endpoints.crm.url"]


def test_a_missing_file_is_reported_once(problems: Check) -> None:
    assert len(problems("schemas: avro", "schemas: nowhere")) == 1
    assert len(problems("schemas: avro", 'schemas: "a\\0b"')) == 1


@pytest.mark.parametrize(("name", "whole"), [("folders/" * 20 + "ca.pem", True), ("x" * 5000, False)])
def test_the_path_of_a_file_is_shown_whole_unless_it_is_too_long_for_a_path(
    problems: Check, name: str, whole: bool
) -> None:
    line = problems("kafka:\n", SECURE.replace("ca.pem", name))[0]
    assert line.startswith('bridge.yaml:3:18: kafka.tls.ca_file "')
    assert (f'{name}": ' in line) is whole


def test_each_invalid_certificate_is_reported(problems: Check, tmp_path: Path) -> None:
    for name in ("ca.pem", "leaf.pem", "leaf.key"):
        (tmp_path / name).write_text("hello")
    lines = problems("kafka:\n", SECURE, "schemas: avro", "schemas: avro, bulk: split")
    assert lines[0] == (
        'bridge.yaml:3:18: kafka.tls.ca_file "ca.pem": cannot be used (no certificate or crl found); '
        "set a PEM file with the certificates of the authority"
    )
    assert lines[1].startswith('bridge.yaml:3:37: kafka.tls.cert_file "leaf.pem": cannot be used (')
    assert [line.split(": ")[1] for line in lines[2:]] == ["sources.fineract.schemas"]


def test_a_key_without_its_password_is_reported_without_a_prompt(problems: Check, tmp_path: Path) -> None:
    """OpenSSL would prompt for the password on the terminal."""
    make_authority(tmp_path)
    assert not [line for line in problems("kafka:\n", SECURE) if "kafka.tls" in line]
    lock_key(tmp_path)
    locked = SECURE.replace("leaf.key", "locked.key")
    (line,) = [line for line in problems("kafka:\n", locked) if "kafka.tls" in line]
    assert "kafka.tls.cert_file" in line
    assert "key_password" in line
    opened = locked.replace("locked.key", "locked.key, key_password: k")
    assert not [line for line in problems("kafka:\n", opened) if "kafka.tls" in line]


def test_a_missing_certificate_is_reported_once(problems: Check) -> None:
    without = SECURE.replace(", cert_file: leaf.pem, key_file: leaf.key", "")
    (line,) = [line for line in problems("kafka:\n", without) if "kafka.tls" in line]
    assert "there is no such file" in line


PROMPT = """
import fcntl, sys, termios
from bridge.http.tls import load_context
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
try:
    load_context(None, "leaf.pem", "locked.key", None)
except OSError:
    sys.exit("refused")
"""


def test_openssl_never_prompts_for_a_password_on_a_terminal(tmp_path: Path) -> None:
    make_authority(tmp_path)
    lock_key(tmp_path)
    outer, inner = os.openpty()
    with open(outer, "rb", buffering=0) as terminal:
        child = subprocess.Popen(
            [sys.executable, "-c", PROMPT], cwd=tmp_path, stdin=inner, stdout=inner, stderr=inner,
            start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        os.close(inner)
        output = terminal.read(100)
        child.kill()
        child.wait()
    assert output.strip() == b"refused"
