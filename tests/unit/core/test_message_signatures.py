"""The form rfc9421: the vectors of the RFC, and a verifier of other people."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.signing import MessageSigner, SigningKey
from bridge.core.signing.ed25519 import public_key, signing_function
from bridge.core.signing.message_signatures import _mac_function, signature_base
from bridge.core.url import parse_url

URL = parse_url("https://crm.example.com:8443/hooks?a=b")
BODY = b'{"hello": "world"}'
SEED = base64.b64decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=")
SECRET = base64.b64decode(
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
)
SHARED, PAIR = SigningKey(SECRET), SigningKey(SEED, public_key(SEED))


def test_the_hmac_vector_of_the_rfc_is_reproduced() -> None:
    """RFC 9421 B.2.5."""
    components = {
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "@authority": "example.com",
        "content-type": "application/json",
    }
    names = '("date" "@authority" "content-type")'
    base = signature_base(components.items(), f'{names};created=1618884473;keyid="test-shared-secret"')
    assert base64.b64encode(_mac_function(SECRET)(base)) == b"pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


def test_the_ed25519_vector_of_the_rfc_is_reproduced() -> None:
    """RFC 9421 B.2.6."""
    components = {
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "@method": "POST",
        "@path": "/foo",
        "@authority": "example.com",
        "content-type": "application/json",
        "content-length": "18",
    }
    names = '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    base = signature_base(components.items(), f'{names};created=1618884473;keyid="test-key-ed25519"')
    assert base64.b64encode(signing_function(SEED)(base)) == (
        b"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    )


def headers(*keys: SigningKey, at_s: int = 100, body: bytes = BODY) -> dict[str, str]:
    signed = MessageSigner(keys).headers("evt_1", at_s, body, "POST", URL)
    return {name.decode(): value.decode() for name, value in signed}


def test_method_url_digest_and_id_are_covered_and_each_key_has_a_label() -> None:
    shown = headers(SHARED, PAIR)
    covered = '("@method" "@target-uri" "content-digest" "webhook-id")'
    first, second = (f"{covered};keyid={name}" for name in (f'"{SHARED.name}"', f'"{PAIR.name}"'))
    assert shown["Signature-Input"] == (
        f'sig1={first};alg="hmac-sha256";created=100, sig2={second};alg="ed25519";created=100'
    )
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert shown["Content-Digest"] == f"sha-256=:{digest}:"
    base = (
        '"@method": POST\n"@target-uri": https://crm.example.com:8443/hooks?a=b\n'
        f'"content-digest": sha-256=:{digest}:\n'
        f'"webhook-id": evt_1\n"@signature-params": {first};alg="hmac-sha256";created=100'
    )
    mac = base64.b64encode(_mac_function(SECRET)(base.encode())).decode()
    assert shown["Signature"].startswith(f"sig1=:{mac}:, sig2=:")


@pytest.mark.parametrize(
    "url", ["https://crm.example.com/hooks", "http://crm.example.com/", "https://[2001:db8::1]:81/a"]
)
def test_the_url_is_signed_as_the_receiver_gets_it_without_a_default_port(url: str) -> None:
    shown = dict(MessageSigner([SHARED]).headers("evt_1", 100, BODY, "POST", parse_url(url)))
    covered = {"@method": "POST", "@target-uri": url, "webhook-id": "evt_1"}
    covered["content-digest"] = shown[b"Content-Digest"].decode()
    names = ("@method", "@target-uri", "content-digest", "webhook-id")
    parameters = shown[b"Signature-Input"].decode().removeprefix("sig1=")
    base = signature_base([(name, covered[name]) for name in names], parameters)
    assert shown[b"Signature"] == b"sig1=:" + base64.b64encode(_mac_function(SECRET)(base)) + b":"


def test_keys_begin_and_end_as_in_the_other_forms() -> None:
    signer = MessageSigner([replace(PAIR, since_s=100), replace(SHARED, until_s=200)])
    counts = [
        dict(signer.headers("e", at_s, BODY, "POST", URL))[b"Signature"].count(b"sig")
        for at_s in (99, 150, 200)
    ]
    assert counts == [1, 2, 1]


class Message:
    """A request as the library takes it."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body


@pytest.mark.parametrize("key", [SHARED, PAIR], ids=["hmac-sha256", "ed25519"])
def test_the_library_for_python_accepts_a_request_and_refuses_a_changed_one(key: SigningKey) -> None:
    library: Any = pytest.importorskip(
        "http_message_signatures", reason="the package http-message-signatures is not installed"
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    class Keys(library.HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> Any:
            assert key_id == key.name
            return key.secret if key.public is None else Ed25519PublicKey.from_public_bytes(key.public)

    algorithm = "HMAC_SHA256" if key.public is None else "ED25519"
    verifier = library.HTTPMessageVerifier(
        signature_algorithm=getattr(library.algorithms, algorithm), key_resolver=Keys()
    )
    good = headers(key, at_s=int(time.time()))
    verifier.verify(Message("POST", "https://crm.example.com:8443/hooks?a=b", good, BODY))
    for method, url, changed in (
        ("PUT", "https://crm.example.com:8443/hooks?a=b", {}),
        ("POST", "https://crm.example.com:8443/hooks?a=c", {}),
        ("POST", "https://crm.example.com:8443/hooks?a=b", {"webhook-id": "evt_2"}),
        ("POST", "https://crm.example.com:8443/hooks?a=b", {"Content-Digest": "sha-256=:AAAA:"}),
    ):
        with pytest.raises(library.InvalidSignature):
            verifier.verify(Message(method, url, good | changed, BODY))
