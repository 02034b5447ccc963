"""The HMAC forms of other senders: their published examples, and what a form of one's own can express."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace

import pytest

from bridge.core.signing import FORMS, HmacForm, HmacSigner, SigningKey
from bridge.core.signing.forms import placeholders

KEY, OLD = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
BODY = b'{"amount": "100 %"}'


def header(form: HmacForm, keys: list[SigningKey], at_s: int, body: bytes, name: str = "") -> str:
    return dict(HmacSigner(form, keys).headers("evt_1", at_s, body))[(name or form.header).encode()].decode()


def mac(key: bytes, signed: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(key, signed, algorithm).digest()


def test_the_example_of_github_is_reproduced() -> None:
    key = SigningKey(b"It's a Secret to Everybody")
    assert header(FORMS["github"], [key], 7, b"Hello, World!") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_the_example_of_slack_is_reproduced_with_its_timestamp_header() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    key, form = SigningKey(b"8f742231b10e8888abcd99yyyzzz85a5"), FORMS["slack"]
    assert header(form, [key], 1531420618, body) == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )
    assert header(form, [key], 1531420618, body, "X-Slack-Request-Timestamp") == "1531420618"


def test_stripes_form_signs_time_and_body_with_every_active_key() -> None:
    signed = b"12." + BODY
    assert header(FORMS["stripe"], [KEY, OLD], 12, BODY) == (
        f"t=12,v1={mac(KEY.secret, signed).hex()},v1={mac(OLD.secret, signed).hex()}"
    )


def test_shopifys_form_is_the_base64_of_the_mac_of_the_body() -> None:
    assert header(FORMS["shopify"], [KEY], 12, BODY) == base64.b64encode(mac(KEY.secret, BODY)).decode()


def test_a_form_with_one_signature_is_signed_by_the_newest_key_that_has_begun() -> None:
    keys = [replace(KEY, since_s=100.0), replace(OLD, until_s=100.0)]
    signer = HmacSigner(FORMS["github"], keys)
    for at_s, key in ((99, OLD), (100, KEY)):
        signed = dict(signer.headers("evt_1", at_s, BODY))[b"X-Hub-Signature-256"].decode()
        assert signed == f"sha256={mac(key.secret, BODY).hex()}"
        assert signer.newest_key == key.name


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_a_form_of_ones_own_sets_algorithm_encoding_and_what_is_signed(algorithm: str) -> None:
    form = HmacForm(
        "X-Own", algorithm, "base64", head="id={id};t={timestamp};", prefix="s=", separator=";",
        signs="{id}|{timestamp}|100 %|{body}", timestamp_header="X-Time",
    )  # fmt: skip
    signed = b"evt_1|12|100 %|" + BODY
    one, two = (base64.b64encode(mac(key.secret, signed, algorithm)).decode() for key in (KEY, OLD))
    assert HmacSigner(form, [KEY, OLD]).headers("evt_1", 12, BODY) == (
        (b"webhook-id", b"evt_1"),
        (b"webhook-timestamp", b"12"),
        (b"X-Time", b"12"),
        (b"X-Own", f"id=evt_1;t=12;s={one};s={two}".encode()),
    )


def test_text_in_a_body_that_looks_like_a_placeholder_is_signed_as_it_is() -> None:
    body = b"{id} %(id)b {body}"
    assert header(FORMS["github"], [KEY], 1, body) == f"sha256={mac(KEY.secret, body).hex()}"


@pytest.mark.parametrize("text", ["{bdoy}", "{{ body }}", "{ body }", "}", "{Body}", "{body"])
def test_a_brace_outside_of_a_placeholder_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        placeholders(text)
