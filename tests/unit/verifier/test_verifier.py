"""The file that receivers copy: what each refusal names, and keys that it does not accept."""

from __future__ import annotations

import ast
import base64
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.verifier
from bridge.core.signing import StandardSigner
from bridge.core.signing.key_text import standard_key
from bridge.verifier import VerificationError, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"a": 1}'


def signed(webhook_id: str = "evt_1", at_s: int = 1000, body: bytes = BODY) -> dict[str, str]:
    headers = StandardSigner([standard_key(SECRET)]).headers(webhook_id, at_s, body)
    return {name.decode(): value.decode() for name, value in headers}


def test_a_genuine_request_gives_its_id_whatever_the_case_of_the_header_names() -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert verify([SECRET], headers, BODY, now_s=1000) == "evt_1"


def test_without_a_time_the_clock_of_the_machine_counts() -> None:
    assert verify([SECRET], signed(at_s=int(time.time())), BODY) == "evt_1"
    with pytest.raises(VerificationError, match="s old"):
        verify([SECRET], signed(at_s=int(time.time()) - 900), BODY)


@pytest.mark.parametrize(
    ("change", "part", "reason"),
    [
        ({"webhook-id": ""}, "webhook-id", "is missing"),
        ({"webhook-timestamp": ""}, "webhook-timestamp", "is missing"),
        ({"webhook-timestamp": "soon"}, "webhook-timestamp", "is not a number"),
        ({"webhook-timestamp": "٣"}, "webhook-timestamp", "is not a number"),
        ({"webhook-timestamp": "9" * 5000}, "webhook-timestamp", "is not a number"),
        ({"webhook-timestamp": "1"}, "webhook-timestamp", "is 999 s old, and at most 300 s are allowed"),
        ({"webhook-timestamp": "2000"}, "webhook-timestamp", "is 1000 s in the future"),
        ({"webhook-signature": " "}, "webhook-signature", "is missing"),
        ({"webhook-signature": "v9,abc"}, "webhook-signature", "has no signature of the form"),
        ({"webhook-signature": "sha256=abc"}, "webhook-signature", "has no signature of the form"),
        ({"webhook-id": "evt_2"}, "webhook-signature", "matches no key"),
        ({"webhook-id": "\udcff"}, "webhook-id", "outside of ASCII"),
        ({"webhook-signature": "v1,\udcff v1a,\ud800"}, "webhook-signature", "has no signature of the form"),
    ],
)
def test_a_refusal_names_the_part_that_failed(change: dict[str, str], part: str, reason: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify([SECRET], signed() | change, BODY, now_s=1000)
    assert caught.value.part == part
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "there is no key"),
        (SECRET, "keys is one text"),
        (["whsk_" + base64.b64encode(bytes(64)).decode()], "the sender's signing key"),
        (["whsec_abc"], "has 2 bytes"),
        (["whpk_" + base64.b64encode(bytes(31)).decode()], "has 31 bytes"),
        (["whsec_?"], "base64"),
    ],
)
def test_a_key_that_cannot_be_used_is_the_mistake_of_the_receiver(keys: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        verify(keys, signed(), BODY, now_s=1000)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_a_body_that_differs_in_any_byte_is_refused(body: bytes, at: int) -> None:
    headers = signed(body=body)
    assert verify([SECRET], headers, body, now_s=1000) == "evt_1"
    changed = bytearray(body or b"x")
    changed[at % len(changed)] ^= 1
    with pytest.raises(VerificationError):
        verify([SECRET], headers, bytes(changed), now_s=1000)


@given(st.integers(0, 31))
def test_a_signature_that_differs_in_any_byte_is_refused(at: int) -> None:
    headers = signed()
    raw = bytearray(base64.b64decode(headers["webhook-signature"].removeprefix("v1,")))
    raw[at] ^= 1
    headers["webhook-signature"] = "v1," + base64.b64encode(raw).decode()
    with pytest.raises(VerificationError):
        verify([SECRET], headers, BODY, now_s=1000)


def test_the_file_imports_only_the_standard_library_and_cryptography_for_v1a() -> None:
    tree = ast.parse(Path(bridge.verifier.__file__).read_text("utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").partition(".")[0])
    assert modules - sys.stdlib_module_names == {"cryptography"}
    at_once = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not any((module or "").startswith("cryptography") for module in at_once)
