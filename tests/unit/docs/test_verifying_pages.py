"""The code on the pages for receivers runs: it accepts genuine requests, and refuses all others."""

from __future__ import annotations

import base64
import hmac
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.core.signing import SigningKey, StandardSigner
from bridge.core.signing.jwks import public_text
from bridge.core.signing.key_text import standard_key

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "how-to" / "verifying"
HARNESSES = ROOT / "tests" / "support" / "verifiers"

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": "ä 2432232314"}\n'.encode()


def public(pair: str) -> str:
    key = standard_key(pair)
    assert key.public is not None
    return public_text(key.public)


def sign(*keys: str, body: bytes = BODY) -> str:
    signing = [standard_key(key) for key in keys]
    return dict(StandardSigner(signing).headers(ID, AT, body))[b"webhook-signature"].decode()


WHPK = public(PAIR)
OTHER_PUBLIC = public("whsk_" + base64.b64encode(bytes(32)).decode())
V1, V1A = sign(SECRET), sign(PAIR)


class Case(NamedTuple):
    """A request, the keys of the receiver, and whether it must accept the request."""

    genuine: bool
    keys: tuple[str, ...] = (SECRET,)
    id: str = ID
    timestamp: str = str(AT)
    signature: str = V1
    now_s: int = AT
    body: bytes = BODY

    def line(self) -> str:
        """Return the fields as base64, separated by tabs, as the harnesses read them."""
        texts = (",".join(self.keys), self.id, self.timestamp, self.signature, str(self.now_s))
        fields = [text.encode() for text in texts] + [self.body]
        return "\t".join("=" + base64.b64encode(field).decode() for field in fields)


CASES = {
    "v1": Case(True),
    "v1a": Case(True, keys=(WHPK,), signature=V1A),
    "v1 of v1 and v1a": Case(True, signature=f"{V1A} {V1}"),
    "v1a of v1 and v1a": Case(True, keys=(WHPK,), signature=f"{V1} {V1A}"),
    "either key of the receiver": Case(True, keys=(OTHER, WHPK, SECRET)),
    "the old key of a rotation": Case(True, signature=sign(OTHER, SECRET)),
    "an unknown version in front": Case(True, signature=f"v9,abc {V1}"),
    "a damaged signature in front": Case(True, signature=f"v1,? {V1}"),
    "a secret without its prefix": Case(True, keys=(SECRET.removeprefix("whsec_"),)),
    "a secret without padding": Case(True, keys=(OTHER.rstrip("="),), signature=sign(OTHER)),
    "an empty body": Case(True, body=b"", signature=sign(SECRET, body=b"")),
    "a body that is not UTF-8": Case(True, body=b"\xff\x00", signature=sign(SECRET, body=b"\xff\x00")),
    "five minutes old": Case(True, now_s=AT + 300),
    "five minutes ahead": Case(True, now_s=AT - 300),
    "too old": Case(False, now_s=AT + 301),
    "too far ahead": Case(False, now_s=AT - 301),
    "a changed body": Case(False, body=BODY + b" "),
    "a changed body, v1a": Case(False, keys=(WHPK,), signature=V1A, body=BODY + b" "),
    "another id": Case(False, id="msg_other"),
    "no id": Case(False, id=""),
    "another timestamp": Case(False, timestamp=str(AT + 1)),
    "no timestamp": Case(False, timestamp=""),
    "a timestamp that is no number": Case(False, timestamp=f"{AT}x"),
    "a signed timestamp": Case(False, timestamp=f"+{AT}"),
    "another key": Case(False, keys=(OTHER,)),
    "another public key": Case(False, keys=(OTHER_PUBLIC,), signature=V1A),
    "no signature": Case(False, signature=""),
    "a signature without a version": Case(False, signature=V1.removeprefix("v1,")),
    "a shortened signature": Case(False, signature=V1[:-8]),
    "a shortened signature, v1a": Case(False, keys=(WHPK,), signature=V1A[:-8]),
    "v1 written as v1a": Case(False, keys=(WHPK,), signature=V1.replace("v1,", "v1a,")),
    "v1a written as v1": Case(False, signature=V1A.replace("v1a,", "v1,")),
    "a MAC whose key is the public key": Case(
        False,
        keys=(WHPK,),
        signature="v1,"
        + base64.b64encode(
            hmac.digest(base64.b64decode(WHPK[5:]), b"%b.%d.%b" % (ID.encode(), AT, BODY), "sha256")
        ).decode(),
    ),
}


def block(page: str, language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", (PAGES / page).read_text("utf-8"), re.DOTALL)
    return str(code)


def harness(name: str) -> str:
    return (HARNESSES / name).read_text("utf-8")


def python(folder: Path) -> list[str]:
    shutil.copy(ROOT / "bridge" / "verifier.py", folder / "webhook_verifier.py")
    (folder / "page.py").write_text(block("python.md", "python"), "utf-8")
    shutil.copy(HARNESSES / "harness.py", folder)
    return [sys.executable, "harness.py"]


def javascript(folder: Path) -> list[str]:
    (folder / "verify.mjs").write_text(block("javascript.md", "javascript"), "utf-8")
    shutil.copy(HARNESSES / "harness.mjs", folder)
    return ["node", "harness.mjs"]


def go(folder: Path) -> list[str]:
    (folder / "verify.go").write_text(
        block("go.md", "go").replace("package webhooks", "package main"), "utf-8"
    )
    (folder / "main.go").write_text(harness("main.go.txt"), "utf-8")
    (folder / "go.mod").write_text("module verifying\n\ngo 1.21\n", "utf-8")
    return ["go", "run", "."]


def java(folder: Path) -> list[str]:
    imports, _, rest = block("java.md", "java").partition("public final class")
    (folder / "Harness.java").write_text(f"{imports}{harness('Harness.java.txt')}final class{rest}", "utf-8")
    return ["java", "-XX:TieredStopAtLevel=1", "Harness.java"]


def php(folder: Path) -> list[str]:
    (folder / "verify.php").write_text(block("php.md", "php"), "utf-8")
    shutil.copy(HARNESSES / "harness.php", folder)
    return ["php", "harness.php"]


@pytest.mark.parametrize(
    "language",
    [
        python,
        javascript,
        pytest.param(go, marks=pytest.mark.slow),
        java,
        php,
    ],  # Go compiles its library first
    ids=lambda build: build.__name__,
)
def test_the_code_of_a_page_accepts_genuine_requests_and_no_others(
    language: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    command = language(tmp_path)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed, so the code of this page is not run")
    done = subprocess.run(
        command, input="".join(f"{case.line()}\n" for case in CASES.values()), cwd=tmp_path,
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = dict(zip(CASES, done.stdout.splitlines(), strict=True))
    assert answers == {name: f"ok {ID}" if case.genuine else "no" for name, case in CASES.items()}


def test_the_keys_of_the_cases_are_the_published_ones() -> None:
    """Else the cases could agree with each other, and with nothing else."""
    key = standard_key(SECRET)
    assert isinstance(key, SigningKey)
    headers = StandardSigner([key, standard_key(PAIR)]).headers(ID, AT, b'{"test": 2432232314}')
    assert dict(headers)[b"webhook-signature"].decode() == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        " v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )
