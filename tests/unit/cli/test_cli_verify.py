"""``hookferry verify``: it accepts what the bridge signs, and names the part of a request that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cli import cli
from bridge.cli.captured_request import CapturedRequest
from bridge.cli.verify_report import Candidate, report
from bridge.core.instant import instant_text
from bridge.core.signing import FORMS, HmacForm, HmacSigner, SigningKey, StandardSigner
from bridge.core.signing.jwks import public_text
from bridge.core.signing.key_text import received_key, standard_key
from bridge.rendering.compression import CODINGS, Compression
from bridge.verifier import VerificationError
from bridge.verifier import verify as verify_in_receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "B" * 32
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
TEXT = b"It's a Secret to Everybody"
AT, BODY = 1_800_000_000, b'{"type":"Created","data":{"name":"J\xc3\xb6rg"}}'
CONFIG = f"""\
group: g
kafka: {{bootstrap_servers: ["k:9092"]}}
sources: {{orders: {{topics: [orders], format: json, id: id, type: type}}}}
endpoints:
  crm:
    url: https://crm.example.com/
    signing:
      keys:
        - {{secret: "{SECRET}", since: 2026-01-01T00:00:00Z}}
        - {{secret: "{PAIR}", until: 2026-01-01T00:00:00Z}}
  shop: {{url: "https://shop.example.com/", secrets: [{OTHER}]}}
  unsigned: {{url: "https://c.example.com/"}}
  hub: {{url: "https://hub.example.com/", signing: {{form: github, keys: ["{TEXT.decode()}"]}}}}
"""


def standard(*keys: str, body: bytes = BODY) -> dict[str, str]:
    signer = StandardSigner([standard_key(key) for key in keys])
    return {name.decode(): value.decode() for name, value in signer.headers("evt_1", AT, body)}


def in_form(form: HmacForm) -> dict[str, str]:
    headers = HmacSigner(form, [SigningKey(TEXT)]).headers("evt_1", AT, BODY)
    return {name.decode(): value.decode() for name, value in headers}


def capture(headers: dict[str, str], body: bytes = BODY) -> bytes:
    lines = [
        "POST /hooks HTTP/1.1",
        "Host: crm.example.com",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def verify(tmp_path: Path):
    (tmp_path / "bridge.yaml").write_text(CONFIG, "utf-8")

    def run(content: bytes, *arguments: str, exits: int) -> str:
        (tmp_path / "captured.http").write_bytes(content)
        result = CliRunner().invoke(
            cli,
            ["verify", str(tmp_path / "captured.http"), "-c", str(tmp_path / "bridge.yaml"), *arguments],
            env={"KEY": OTHER, "PUBLIC": public_text(standard_key(PAIR).public or b"")},
        )
        assert result.exit_code == exits, (result.output, result.exception)
        for secret in (SECRET, OTHER, PAIR, TEXT.decode()):
            assert secret[6:] not in result.output
        return result.output + str(result.exception or "")

    return run


NOW = ("--at", instant_text(AT + 10))


def test_a_request_of_the_bridge_is_genuine_and_the_key_is_named(verify):
    shown = verify(capture(standard(SECRET)), "-e", "crm", *NOW, exits=0)
    assert f"matches key {standard_key(SECRET).name} of crm" in shown
    assert shown.splitlines()[-1] == "verified"


@pytest.mark.parametrize("newline", [b"\r\n", b"\n", b"\r\n> "])
def test_a_capture_is_read_with_any_line_break_and_as_curl_prints_it(verify, newline):
    head, _, body = capture(standard(SECRET)).partition(b"\r\n\r\n")
    first = b"> " if b">" in newline else b""
    content = first + head.replace(b"\r\n", newline) + newline.rstrip(b"> ") * 2 + body
    verify(content, "-e", "crm", *NOW, exits=0)


def test_the_body_can_be_in_a_file_of_its_own(verify, tmp_path):
    (tmp_path / "body").write_bytes(BODY)
    verify(capture(standard(SECRET), b""), "--body", str(tmp_path / "body"), "-e", "crm", *NOW, exits=0)


def test_a_key_from_a_variable_or_a_file_is_enough(verify, tmp_path):
    (tmp_path / "keys").write_text(f"{SECRET}\n{OTHER} until=2020-01-01T00:00:00Z\n")
    verify(capture(standard(OTHER)), "--key-env", "KEY", *NOW, exits=0)
    shown = verify(capture(standard(OTHER)), "--key-file", str(tmp_path / "keys"), *NOW, exits=0)
    assert "which ended at 2020-01-01T00:00:00Z" in shown


def test_an_ed25519_signature_is_checked_with_the_public_key_alone(verify):
    verify(capture(standard(PAIR)), "--key-env", "PUBLIC", *NOW, exits=0)
    assert "matches no key" in verify(
        capture(standard(PAIR), BODY + b"!"), "--key-env", "PUBLIC", *NOW, exits=1
    )


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


CHANGES = {
    "id": (without(standard(SECRET), "webhook-id"), BODY, "webhook-id: missing"),
    "timestamp": (without(standard(SECRET), "webhook-timestamp"), BODY, "webhook-timestamp: missing"),
    "signature": (
        without(standard(SECRET), "webhook-signature"),
        BODY,
        "webhook-signature: missing; the request is not signed",
    ),
    "number": (standard(SECRET) | {"webhook-timestamp": "soon"}, BODY, "webhook-timestamp: is not a number"),
    "form": (
        standard(SECRET) | {"webhook-signature": "sha256=abc"},
        BODY,
        "has no signature of the form v1,<base64>",
    ),
    "other form": (
        {"X-Hub-Signature-256": "sha256=abc"},
        BODY,
        "signed in the form github (x-hub-signature-256)",
    ),
    "other key": (standard(OTHER), BODY, f"wrong key: it matches key {standard_key(OTHER).name} of shop"),
    "unknown key": (
        standard("whsec_" + "C" * 32),
        BODY,
        "matches no key: the key is another one, or body, id or time",
    ),
    "ended version": (
        standard(SECRET) | {"webhook-signature": "v1a," + "A" * 86 + "=="},
        BODY,
        "matches no key",
    ),
    "line break": (standard(SECRET), BODY + b"\n", "body was changed: it matches key"),
    "removed byte order mark": (standard(SECRET), b"\xef\xbb\xbf" + BODY, "without its byte order mark"),
    "pretty": (
        standard(SECRET),
        b'{\n  "type": "Created", "data": {"name": "J\xc3\xb6rg"}}',
        "verify the raw body, before it is parsed",
    ),
    "escaped": (
        standard(SECRET),
        b'{"type": "Created", "data": {"name": "J\\u00f6rg"}}',
        "verify the raw body, before it is parsed",
    ),
    "length": (
        standard(SECRET) | {"Content-Length": str(len(BODY))},
        BODY + b"\n\n",
        f"Content-Length is {len(BODY)}",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_part_that_fails_is_named(verify, change):
    headers, body, line = CHANGES[change]
    shown = verify(capture(headers, body), "-e", "crm", *NOW, exits=1)
    assert line in shown
    assert "NOT verified" in shown


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_that_was_unpacked_before_the_verification_is_named(verify, coding):
    """Many frameworks do this, and leave the header or remove it. Another version may compress otherwise."""
    body = b'{"a":"' + b"x" * 500 + b'"}'
    encoding, packed = Compression(coding, 0).of(body)
    headers = standard(SECRET, body=packed)
    unpacked = "the receiver's framework unpacked it; verify the bytes as they arrive"
    shown = verify(capture(headers, body), "-e", "crm", *NOW, exits=1)
    assert f"compressed with {coding}: {unpacked}" in shown
    headers |= {name.decode(): value.decode() for name, value in encoding}
    shown = verify(capture(headers, body + b" "), "-e", "crm", *NOW, exits=1)
    assert f"body: {unpacked}: content-encoding is {coding}, and the captured body is not {coding}" in shown
    assert unpacked not in verify(capture(headers, packed), "-e", "crm", *NOW, exits=0)


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        (410, "is too old by 110 s (2027-01-15T08:00:00Z)"),
        (-350, "is in the future by 50 s more than allowed"),
    ],
)
def test_a_timestamp_that_is_not_recent_is_named_although_the_signature_matches(verify, seconds, line):
    shown = verify(capture(standard(SECRET)), "-e", "crm", "--at", instant_text(AT + seconds), exits=1)
    assert line in shown
    assert "webhook-signature: matches key" in shown
    verify(
        capture(standard(SECRET)),
        "-e",
        "crm",
        "--at",
        instant_text(AT + seconds),
        "--tolerance-s",
        "500",
        exits=0,
    )


def test_only_versions_that_the_keys_make_can_match(verify):
    assert "has only v1a" in verify(capture(standard(PAIR)), "--key-env", "KEY", *NOW, exits=1)
    assert "has only v1," in verify(capture(standard(SECRET)), "--key-env", "PUBLIC", *NOW, exits=1)


@pytest.mark.parametrize("name", FORMS)
def test_a_request_in_another_form_is_checked_in_that_form(verify, tmp_path, name):
    (tmp_path / "key").write_bytes(TEXT + b"\n")
    arguments = ("--key-file", str(tmp_path / "key"), "--form", name)
    headers = in_form(FORMS[name])
    verify(capture(headers), *arguments, *NOW, exits=0)
    assert "the body was changed" in verify(capture(headers, BODY + b"\n"), *arguments, *NOW, exits=1)
    assert "matches no key" in verify(capture(headers, BODY + b"?"), *arguments, *NOW, exits=1)
    late = verify(
        capture(headers),
        *arguments,
        "--at",
        instant_text(AT + 999),
        exits=int("{timestamp}" in FORMS[name].signs),
    )
    assert ("is too old by 699 s" in late) is ("{timestamp}" in FORMS[name].signs)


@pytest.mark.parametrize("name", ["github", "slack"])
def test_a_header_without_the_prefix_of_its_form_is_named(verify, tmp_path, name):
    (tmp_path / "key").write_bytes(TEXT)
    headers = in_form(FORMS[name]) | {FORMS[name].header: "abc"}
    shown = verify(capture(headers), "--key-file", str(tmp_path / "key"), "--form", name, *NOW, exits=1)
    assert f"does not have the form {FORMS[name].prefix}<hex of HMAC-SHA256>" in shown


def test_the_keys_of_an_endpoint_with_another_form_are_checked_in_that_form(verify):
    verify(capture(in_form(FORMS["github"])), "-e", "hub", exits=0)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", ["-e", "crm"], "there are no headers"),
        (b"not a header\n", ["-e", "crm"], "line 1 is not a header"),
        (b"a: b\n\n", ["-e", "crn"], 'did you mean "crm"?'),
        (b"a: b\n\n", ["-e", "unsigned"], "has no keys"),
        (b"a: b\n\n", ["--key-env", "GONE"], "$GONE: contains no key"),
        (b"a: b\n\n", ["--key-env", "KEY", "--form", "gitbu"], "is not a form"),
        (b"a: b\n\n", ["--key-env", "KEY", "--form", "rfc9421"], "cannot be checked by this command"),
        (b"a: b\n\n", ["--key-file", "/no/such/file"], "cannot be read"),
        (b"a: b\n\n", ["-e", "crm", "--at", "noon"], "is not an instant"),
        (b"a: b\n\n", ["-e", "crm", "--body", "/no/such/file"], "cannot be read"),
    ],
)
def test_a_mistake_in_the_arguments_has_a_message(verify, content, arguments, message):
    assert message in verify(content, *arguments, exits=1)


def test_keys_must_be_given_once(verify):
    assert "give the keys once" in verify(b"a: b\n\n", exits=2)


@settings(max_examples=150)
@given(
    signers=st.lists(st.sampled_from([SECRET, OTHER, PAIR]), min_size=1, unique=True),
    keys=st.lists(st.sampled_from([SECRET, OTHER, PAIR]), min_size=1, unique=True),
    change=st.sampled_from(
        [
            {},
            {"webhook-id": "evt_2"},
            {"webhook-id": ""},
            {"webhook-timestamp": "1799999000"},
            {"webhook-signature": "v1,"},
            {"webhook-timestamp": "x"},
        ]
    ),
    body=st.sampled_from([BODY, BODY + b" ", b""]),
    age_s=st.integers(-600, 600),
)
def test_the_command_and_the_verifier_for_receivers_always_agree(signers, keys, change, body, age_s) -> None:
    headers = standard(*signers) | change
    texts = [public_text(standard_key(key).public or b"") if key == PAIR else key for key in keys]
    try:
        accepted = verify_in_receiver(texts, headers, body, now_s=AT + age_s) == headers["webhook-id"]
    except VerificationError:
        accepted = False
    candidates = [Candidate("here", received_key(text)) for text in texts]
    request = CapturedRequest(headers, body)
    assert report(request, None, candidates, [], now_s=AT + age_s, tolerance_s=300).verified is accepted


@pytest.mark.parametrize(
    "line",
    [
        b"webhook-signature: v1,\xff\xfe",
        b"webhook-signature: v1a,\xff",
        b"webhook-id: \xff",
        b"content-length: " + b"9" * 5000,
        b"webhook-timestamp: 999999999999",
        b"webhook-timestamp: " + b"9" * 5000,
        b"webhook-signature: " + b"v1, " * 5000,
    ],
)
def test_a_hostile_capture_is_refused_without_a_traceback(verify, line):
    """Headers come from outside: any bytes, any length."""
    name = line.partition(b":")[0].decode()
    content = line + b"\r\n" + capture(without(standard(OTHER), name), b"[" * 100_000).partition(b"\r\n")[2]
    shown = verify(content, "-e", "crm", *NOW, exits=1)
    assert "NOT verified" in shown
