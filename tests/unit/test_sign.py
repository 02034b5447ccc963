"""Signing by Standard Webhooks: its vector, an independent verifier, secrets that never show."""

from __future__ import annotations

import base64
import time
import traceback

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.sign import Signer, parse_secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"test": 2432232314}'


def verify(secret: str, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
    Webhook(secret).verify(body, {key.decode(): value.decode() for key, value in headers})


def test_the_published_vector() -> None:
    headers = Signer([parse_secret(SECRET)]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert headers == (
        (b"webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (b"webhook-timestamp", b"1614265330"),
        (b"webhook-signature", b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    )


def test_an_independent_verifier_accepts_it_and_refuses_a_changed_body() -> None:
    headers = Signer([parse_secret(SECRET)]).headers("evt_1", int(time.time()), BODY)
    verify(SECRET, headers, BODY)
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, headers, BODY + b" ")
    with pytest.raises(WebhookVerificationError):
        verify(OTHER, headers, BODY)


def test_during_a_rotation_both_secrets_verify() -> None:
    headers = Signer([parse_secret(SECRET), parse_secret(OTHER)]).headers("evt_1", int(time.time()), BODY)
    verify(SECRET, headers, BODY)
    verify(OTHER, headers, BODY)
    assert dict(headers)[b"webhook-signature"].count(b"v1,") == 2


def test_without_a_secret_there_is_no_signature_but_an_id() -> None:
    assert dict(Signer([]).headers("evt_1", 7, BODY)) == {b"webhook-id": b"evt_1", b"webhook-timestamp": b"7"}


def test_a_secret_is_read_with_or_without_prefix_padding_and_blanks() -> None:
    key = bytes(range(25))
    padded = base64.b64encode(key).decode()
    assert padded.endswith("=")
    for text in (padded, padded.rstrip("="), f"whsec_{padded}", f" whsec_{padded.rstrip('=')}\n"):
        assert parse_secret(text) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_not/base64!but-secret",
        "whsec_Zürich-geheim-geheim-geheim",
        "whsec_" + "A" * 29,
        "whsec_" + base64.b64encode(b"topsecret" * 2).decode(),
        "whsec_" + base64.b64encode(b"topsecret" * 8).decode(),
        "whsk_6Xb/dCcHpPea21PS1N9VY",
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="signing secret") as caught:
        parse_secret(text)
    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__cause__)
    secret = text.removeprefix("whsec_")
    assert not secret or secret not in shown


@pytest.mark.parametrize("size", [24, 64])
def test_24_to_64_bytes_are_enough(size: int) -> None:
    assert len(parse_secret(base64.b64encode(bytes(size)).decode())) == size
