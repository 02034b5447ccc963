"""Signing in the settings: the short and the long form, keys with times, and what is refused where."""

from __future__ import annotations

import pytest

from bridge.settings import check, load
from bridge.wiring.endpoints import build_signer
from tests.support.settings_example import SECRET, VALID

OTHER = "whsec_" + "B" * 32
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
SHORT = f"    secrets: [{SECRET}]\n"
TEXT = "It's a Secret to Everybody"


def signing(text: str) -> str:
    return VALID.replace(SHORT, f"    signing: {{{text}}}\n")


def signature(write, text: str, at_s: int = 1) -> tuple[tuple[bytes, bytes], ...]:
    crm = load(write(text), {}).endpoints["crm"]
    return build_signer(crm).headers("id", at_s, b"body", "POST", crm.target)


def test_secrets_is_the_short_form_of_signing(write):
    assert signature(write, VALID) == signature(write, signing(f"keys: [{SECRET}]"))
    assert signature(write, VALID) == signature(
        write, signing(f"form: standard, keys: [{{secret: {SECRET}}}]")
    )


def test_a_key_of_either_kind_can_be_in_both_lists(write):
    short = signature(write, VALID.replace(SECRET, f"{SECRET}, {PAIR}"))
    assert short == signature(write, signing(f"keys: [{SECRET}, {PAIR}]"))
    assert [entry.split(b",")[0] for entry in dict(short)[b"webhook-signature"].split()] == [b"v1", b"v1a"]


def test_keys_begin_and_end_at_their_instants(write):
    new, old = (
        f"{{secret: {OTHER}, since: 1970-01-01T00:00:50Z}}",
        f"{{secret: {SECRET}, until: 1970-01-01T00:01:40Z}}",
    )
    times = f"keys: [{new}, {old}]"
    counts = [
        dict(signature(write, signing(times), at_s))[b"webhook-signature"].count(b"v1,")
        for at_s in (49, 50, 100)
    ]
    assert counts == [1, 2, 1]


def test_a_key_file_can_have_several_keys_with_times(write, folder):
    (folder / "keys").write_text(f"{OTHER}\n{SECRET} until=1970-01-01T00:01:40Z\n")
    text = VALID.replace(SECRET, '"${file:keys}"')
    crm = load(write(text), {}).endpoints["crm"]
    assert [key.until_s for key in crm.signing_keys] == [float("inf"), 100.0]
    assert crm.signing_texts == (OTHER, SECRET)


@pytest.mark.parametrize("form", ["github", "stripe", "shopify", "slack"])
def test_a_ready_form_is_selected_by_its_name(write, form):
    headers = dict(signature(write, signing(f'form: {form}, keys: ["{TEXT}"]')))
    assert any(form in name.decode().lower() or b"X-Hub" in name for name in headers)
    assert headers[b"webhook-id"] == b"id"


def test_message_signatures_are_made_with_the_keys_of_standard_webhooks(write):
    headers = dict(signature(write, signing(f"form: rfc9421, keys: [{SECRET}, {PAIR}]")))
    assert headers[b"Signature-Input"].count(b"keyid=") == 2


def test_a_form_of_ones_own_is_a_mapping(write):
    own = '{header: X-Sign, algorithm: sha512, prefix: "s=", signs: "{id}.{body}"}'
    assert dict(signature(write, signing(f'form: {own}, keys: ["{TEXT}"]')))[b"X-Sign"].startswith(b"s=")


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        (f"keys: [{SECRET}, whsec_abc]", "10:62: endpoints.crm.signing.keys[1]:", "has 2 bytes"),
        ("keys: [{secret: whsec_abc}]", "endpoints.crm.signing.keys[0].secret:", "has 2 bytes"),
        ("keys: []", "endpoints.crm.signing.keys:", "is empty; list a key, or remove signing"),
        ("form: github", "endpoints.crm.signing.keys:", "is missing"),
        (f"keys: [{SECRET}, {SECRET}]", "endpoints.crm.signing.keys[1]:", "the same key as in keys[0]"),
        (
            f"keys: [{{secret: {SECRET}, until: soon}}]",
            "signing.keys[0].until",
            "is not an instant with a time zone",
        ),
        (f"keys: [{{secret: {SECRET}, unitl: x}}]", "signing.keys[0].unitl", 'did you mean "until"?'),
        ("keys: [{until: 2026-01-01T00:00:00Z}]", "signing.keys[0].secret:", "is missing"),
        ("keys: [17]", "signing.keys[0]", "is not text"),
        (f"keys: {SECRET}", "signing.keys", "is not a list"),
        (f"form: githbu, keys: [{SECRET}]", 'signing.form "githbu":', 'did you mean "github"?'),
        (f"form: 3, keys: [{SECRET}]", "signing.form", "is not text"),
        ("form: github, keys: [short]", "signing.keys[0]:", "has 5 bytes, and must have 16 to 1024"),
        (
            f"form: slack, keys: [{PAIR}]",
            "signing.keys[0]:",
            "is an Ed25519 key, and this form uses a shared secret",
        ),
        ('form: {header: X-Sign, key_encoding: hex}, keys: ["zz"]', "signing.keys[0]:", "is not hexadecimal"),
        (f'form: {{signs: "{{body}}"}}, keys: ["{TEXT}"]', "signing.form.header:", "is missing"),
        (f'form: {{header: Webhook-Id}}, keys: ["{TEXT}"]', "signing.form.header", "is set by Hookferry"),
        (f'form: {{header: Content-Type}}, keys: ["{TEXT}"]', "signing.form.header", "another meaning"),
        (f'form: {{header: "a b"}}, keys: ["{TEXT}"]', "signing.form.header", "is not a header name"),
        (
            f'form: {{header: X, signs: "{{id}}"}}, keys: ["{TEXT}"]',
            "form.signs",
            "does not contain {body} exactly once",
        ),
        (
            f'form: {{header: X, signs: "{{bdoy}}"}}, keys: ["{TEXT}"]',
            "form.signs",
            "contains a brace outside",
        ),
        (f'form: {{header: X, head: "{{body}}"}}, keys: ["{TEXT}"]', "form.head", "contains {body}"),
        (f'form: {{header: X, prefix: "{{id}}"}}, keys: ["{TEXT}"]', "form.prefix", "contains a placeholder"),
        (f'form: {{header: X, head: "a\\nb"}}, keys: ["{TEXT}"]', "form.head", "contains a line break"),
        (
            f'form: {{header: X, algorithm: md5}}, keys: ["{TEXT}"]',
            "form.algorithm",
            "is not one of the allowed values",
        ),
        (
            f'form: {{header: X, timestamp_header: x}}, keys: ["{TEXT}"]',
            "form.timestamp_header",
            "is the same as header",
        ),
        (f'form: {{heder: X}}, keys: ["{TEXT}"]', "form.heder", 'did you mean "header"?'),
    ],
)
def test_a_mistake_in_signing_is_one_line_with_its_place(write, folder, text, place, cause):
    (line,) = [line.replace(f"{folder}/", "") for line in check(write(signing(text)), {})]
    assert place in line
    assert cause in line
    for secret in (SECRET, PAIR, TEXT):
        assert secret not in line


@pytest.mark.parametrize(
    ("times", "cause"),
    [
        ("[{secret: A, until: 2026-01-01T00:00:00Z}]", "have no key that signs from now on"),
        ("[{secret: A, until: 2999-01-01T00:00:00Z}]", "have no key that signs from 2999-01-01T00:00:00Z on"),
        ("[{secret: A, since: 2999-01-01T00:00:00Z}]", "have no key that signs from now until 2999-01-01"),
        (
            "[{secret: A, since: 2999-01-02T00:00:00Z}, {secret: B, until: 2999-01-01T00:00:00Z}]",
            "have no key that signs from 2999-01-01T00:00:00Z until 2999-01-02T00:00:00Z",
        ),
    ],
)
def test_keys_that_leave_a_time_without_a_signature_are_refused(given, times, cause):
    """Otherwise the requests of that time would be unsigned, or not sent."""
    keys = times.replace("A", SECRET).replace("B", OTHER)
    (line,) = given(SHORT, f"    signing: {{keys: {keys}}}\n")
    assert cause in line


def test_a_key_that_has_begun_needs_no_key_before_it(given):
    assert given(SHORT, f"    signing: {{keys: [{{secret: {SECRET}, since: 2020-01-01T00:00:00Z}}]}}\n") == []


def test_a_key_that_ends_before_it_begins_is_refused(given):
    keys = f"{{secret: {SECRET}, since: 2026-01-02T00:00:00Z, until: 2026-01-01T00:00:00Z}}"
    (line,) = given(SHORT, f"    signing: {{keys: [{keys}]}}\n")
    assert "ends before it begins" in line


def test_secrets_and_signing_cannot_be_set_together(given):
    (line,) = given(SHORT, f"{SHORT}    signing: {{keys: [{OTHER}]}}\n")
    assert "endpoints.crm.signing: is set next to secrets; move the secrets into signing.keys" in line


def test_a_header_of_the_signature_cannot_be_set_a_second_time(given):
    message = f"    signing: {{form: rfc9421, keys: [{OTHER}]}}\n    headers: {{signature: a}}\n"
    assert "headers.signature: is set by the signature as well" in given(SHORT, message)[0]
    signed = f'    signing: {{form: slack, keys: ["{TEXT}"]}}\n    headers: {{x-slack-signature: a}}\n'
    (line,) = given(SHORT, signed)
    assert "headers.x-slack-signature: is set by the signature as well" in line


def test_a_key_from_a_variable_is_read_however_it_was_pasted(write):
    text = VALID.replace(SECRET, '"${env:S}"')
    for pasted in (f"v1,{SECRET}", f"{SECRET}\n", f'"{SECRET}"'):
        assert load(write(text), {"S": pasted}).endpoints["crm"].signing_keys[0].name
    (line,) = check(write(text), {"S": "whsec_" + SECRET})
    assert "endpoints.crm.secrets[0]: has the prefix whsec_ twice" in line
    assert SECRET not in line


def test_the_form_can_be_set_by_a_variable(write):
    text = signing(f'keys: ["{TEXT}"]').replace("keys:", "form: github, keys:")
    name = "HOOKFERRY_ENDPOINTS__CRM__SIGNING__FORM"
    assert load(write(text), {name: "shopify"}).endpoints["crm"].signing_form.encoding == "base64"
    assert load(write(text), {name: '{"header": "X-Own"}'}).endpoints["crm"].signing_form.header == "X-Own"
