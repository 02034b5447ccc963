"""Keys as people paste them: understood, or refused with a remedy that contains no part of them."""

from __future__ import annotations

import base64
from math import inf

import pytest

from bridge.core.signing import SigningKey
from bridge.core.signing.jwks import key_set, public_text
from bridge.core.signing.key_text import BadKey, key_texts, read_keys, received_key, standard_key, text_key

BARE = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = f"whsec_{BARE}"
KEY = SigningKey(base64.b64decode(BARE))
SEED = base64.b64decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=")
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
HEX = "0123456789abcdef" * 4


def read(text: str) -> list[SigningKey]:
    return read_keys(text, standard_key)


@pytest.mark.parametrize(
    "pasted",
    [
        SECRET,
        BARE,
        f"v1,{SECRET}",
        f"{SECRET}\n",
        f"{SECRET}\r\n",
        f"  {SECRET}\t",
        f'"{SECRET}"',
        f"'{SECRET}'",
        f"`{SECRET}`",
        f"\ufeff{SECRET}",
        f"\n\n{SECRET}\n\n",
        f"# the key of crm\n{SECRET}",
        f'"v1,{SECRET}"',
    ],
)
def test_a_pasted_secret_is_understood(pasted: str) -> None:
    assert read(pasted) == [KEY]


@pytest.mark.parametrize("size", [24, 25, 26, 64])
def test_a_secret_is_read_with_and_without_padding(size: int) -> None:
    key = bytes(range(size))
    text = base64.b64encode(key).decode()
    for form in ("whsec_" + text, "whsec_" + text.rstrip("="), text.rstrip("=")):
        assert read(form) == [SigningKey(key)]


@pytest.mark.parametrize(
    ("secret", "cause", "remedy"),
    [
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "has 23 bytes", "hookferry keys new"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "has 65 bytes", "hookferry keys new"),
        ("", "contains no key", "hookferry keys new"),
        (" \n", "contains no key", "hookferry keys new"),
        ("whsec_", "has 0 bytes", "hookferry keys new"),
        ("whsec_not base64!", "is not a signing secret", "hookferry keys new"),
        ("whsec_" + "é" * 32, "is not a signing secret", "hookferry keys new"),
        (f"CRM_SECRET={SECRET}", "is not a signing secret", "hookferry keys new"),
        ("whsec_" + "-_" * 16, "form for URLs", "write + for each - and / for each _"),
        ("-_Az" * 8, "form for URLs", "write + for each - and / for each _"),
        (HEX, "is hexadecimal", "write whsec_ in front if"),
        (HEX.upper(), "is hexadecimal", "write whsec_ in front if"),
        (f"whsec_{SECRET}", "prefix whsec_ twice", "write the prefix once"),
        (SECRET.replace("whsec_", "WHSEC_"), "a prefix that is not written as whsec_", "in lower case"),
        (SECRET.replace("whsec_", "whsec-"), "a prefix that is not written as whsec_", "with _"),
        ("whpk_" + base64.b64encode(bytes(32)).decode(), "is a public key", "whsk_"),
        ("whsk_" + base64.b64encode(bytes(64)).decode(), "is damaged", "copy it again"),
        ("whsk_" + base64.b64encode(bytes(63)).decode(), "has 63 bytes", "hookferry keys new --ed25519"),
        ("whsk_?", "is not an Ed25519 signing key", "hookferry keys new --ed25519"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----", "is a PEM file", "--ed25519"),
        (f"{SECRET}\nwhsec_abc", "mistake in line 2: it has 2 bytes", "join them"),
        (f"{SECRET} until=tomorrow", "until= without an instant", "2026-06-29T08:15:30Z"),
        (f"{SECRET} until=2026-06-29T08:15:30", "until= without an instant", "2026-06-29T08:15:30Z"),
        (
            f"{SECRET} since=2026-01-02T00:00:00Z until=2026-01-01T00:00:00Z",
            "ends before it begins",
            "before until",
        ),
    ],
)
def test_a_text_that_is_no_key_is_refused_with_a_remedy_and_never_shown(
    secret: str, cause: str, remedy: str
) -> None:
    with pytest.raises(BadKey) as caught:
        read(secret)
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy
    for part in (BARE, HEX, "not base64", "-_-_", "tomorrow", "MC4CAQ"):
        assert part not in str(caught.value)


@pytest.mark.parametrize(
    "pasted", [PAIR, PAIR.rstrip("="), f"v1a,{PAIR}", "whsk_" + base64.b64encode(SEED).decode()]
)
def test_an_ed25519_key_is_understood_and_its_public_half_computed(pasted: str) -> None:
    (key,) = read(pasted)
    (whole,) = read(PAIR)
    assert key == whole
    assert key.public is not None
    assert key.secret == SEED


def test_a_key_file_has_one_key_per_line_each_with_its_own_times() -> None:
    text = f"# new\n{SECRET} since=2026-01-01T00:00:00Z\n\n{PAIR}\tuntil=2026-01-02T00:00:00.5+01:00\r\n"
    shared, pair = read_keys(text, standard_key, until_s=9e9)
    assert (shared.since_s, shared.until_s) == (1_767_225_600.0, 9e9)
    assert (pair.since_s, pair.until_s) == (-inf, 1_767_308_400.5)
    assert key_texts(text) == [SECRET, PAIR]


def test_text_of_another_form_is_the_key_as_it_is_written_spaces_included() -> None:
    text = "It's a Secret to Everybody"
    assert read_keys(f"{text} until=2026-01-01T00:00:00Z\n", text_key("text"))[0].secret == text.encode()
    assert read_keys(f"whsec_{BARE}", text_key("text"))[0].secret == f"whsec_{BARE}".encode()
    assert read_keys(HEX, text_key("hex"))[0].secret == bytes.fromhex(HEX)
    assert read_keys(BARE, text_key("base64"))[0].secret == base64.b64decode(BARE)


@pytest.mark.parametrize(
    ("encoding", "text", "cause"),
    [
        ("text", "short", "has 5 bytes"),
        ("text", '"It is in quotes, sadly"', "is in quotes"),
        ("text", PAIR, "is an Ed25519 key"),
        ("text", "a" * 20 + "\x07", "cannot be printed"),
        ("hex", "zz" * 20, "is not hexadecimal"),
        ("hex", "abc", "is not hexadecimal"),
        ("base64", "a b" * 20, "is not base64"),
    ],
)
def test_a_text_that_is_no_key_of_another_form_is_refused(encoding, text: str, cause: str) -> None:
    with pytest.raises(BadKey, match=cause):
        read_keys(text, text_key(encoding))


def test_a_receiver_reads_the_public_key_of_a_pair() -> None:
    (pair,) = read(PAIR)
    assert pair.public is not None
    public = received_key(public_text(pair.public))
    assert (public.public, public.secret, public.name) == (pair.public, b"", pair.name)
    with pytest.raises(BadKey, match="has 31 bytes"):
        received_key("whpk_" + base64.b64encode(bytes(31)).decode())


def test_the_key_set_has_public_keys_alone_each_once_and_none_that_has_ended() -> None:
    (pair,) = read(PAIR)
    (ended,) = read("whsk_" + base64.b64encode(bytes(range(32))).decode() + " until=2026-01-01T00:00:00Z")
    shown = key_set([KEY, pair, pair, ended], at_s=1_767_225_600.0)
    assert shown == {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "kid": pair.name,
                "x": "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4",
            }
        ]
    }
    assert len(key_set([ended], at_s=0)["keys"]) == 1
