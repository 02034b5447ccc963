"""Signing by Standard Webhooks: its vector, an independent verifier, secrets that never show."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.core.signing import Signer
from bridge.settings.models.values import signing_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"test": 2432232314}'


def verify(secret: str, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
    Webhook(secret).verify(body, {key.decode(): value.decode() for key, value in headers})


def test_the_signature_of_the_published_test_vector_is_reproduced() -> None:
    headers = Signer([signing_key(SECRET)]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert headers == (
        (b"webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (b"webhook-timestamp", b"1614265330"),
        (b"webhook-signature", b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    )


def test_an_independent_verifier_accepts_a_signature_and_refuses_it_for_a_changed_body() -> None:
    headers = Signer([signing_key(SECRET)]).headers("evt_1", int(time.time()), BODY)
    verify(SECRET, headers, BODY)
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, headers, BODY + b" ")
    with pytest.raises(WebhookVerificationError):
        verify(OTHER, headers, BODY)


def test_with_two_secrets_the_signature_verifies_with_either() -> None:
    headers = Signer([signing_key(SECRET), signing_key(OTHER)]).headers("evt_1", int(time.time()), BODY)
    verify(SECRET, headers, BODY)
    verify(OTHER, headers, BODY)
    assert dict(headers)[b"webhook-signature"].count(b"v1,") == 2


def test_without_a_secret_the_headers_are_the_id_and_the_timestamp() -> None:
    assert dict(Signer([]).headers("evt_1", 7, BODY)) == {b"webhook-id": b"evt_1", b"webhook-timestamp": b"7"}
