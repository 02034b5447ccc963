"""References; neither their values nor secret fields appear in any line or repr."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.settings import check, load
from tests.support.settings_example import SECRET, VALID

URL = "https://crm.example.com/hooks"
MARKER = "hunter2hunter2"


def crm_url(write, reference: str, env: dict[str, str]) -> str:
    return (
        load(write(VALID.replace(URL, f"https://a.example/{reference}")), env)
        .endpoints["crm"]
        .url.get_secret_value()
    )


@pytest.mark.parametrize(
    ("reference", "env", "expected"),
    [
        ("${env:A}", {"A": "x"}, "x"),
        ("${env:A}", {"A": ""}, ""),
        ("${env:A}-${env:B}", {"A": "x", "B": "y"}, "x-y"),
        ("${env:A:-d}", {}, "d"),
        ("${env:A:-d}", {"A": ""}, "d"),
        ("${env:A:-d}", {"A": "x"}, "x"),
        ("${env:A:-}", {}, ""),
        ("$${env:A}", {}, "${env:A}"),
        ("${env:A}", {"A": "${env:A}"}, "${env:A}"),
        ("${file:token}", {}, "fromfile"),
    ],
)
def test_a_reference_is_replaced_by_its_value(write, folder, reference, env, expected):
    (folder / "token").write_text("fromfile\n")
    assert crm_url(write, reference, env) == f"https://a.example/{expected}"


def test_a_reference_can_supply_a_number(write):
    text = VALID + "    window: ${env:W:-7}\n"
    assert load(write(text), {}).endpoints["crm"].window == 7


@pytest.mark.parametrize(
    ("reference", "cause", "remedy"),
    [
        ("${env:GONE}", "environment variable GONE is not set", "${env:GONE:-default}"),
        ("${file:gone}", "file gone does not exist", "create it"),
        ("${file:avro}", "file avro does not exist", "create it"),
        ("${file:binary}", "is not UTF-8", "as text"),
        ("${file:large}", "is larger than 65536 bytes", "only the secret"),
        ("${hunter2}", "neither ${env:NAME}", "$${"),
        ("${env:A", "neither ${env:NAME}", "$${"),
        ("${env:A:-${env:B}}", "neither ${env:NAME}", "do not nest"),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_one_mistake(write, folder, reference, cause, remedy):
    (folder / "binary").write_bytes(b"\xff")
    (folder / "large").write_text("x" * 65_537)
    (line,) = check(write(VALID.replace(URL, f"https://a.example/{reference}")), {})
    assert "bridge.yaml:8:10: endpoints.crm.url: " in line
    assert cause in line
    assert remedy in line
    assert "hunter2" not in line


def test_the_repr_of_settings_shows_no_secret(write):
    text = VALID.replace("/hooks", f"/{MARKER}") + (
        f"    headers: {{X-A: {MARKER}}}\n    proxy: http://u:{MARKER}@p.example:1\n"
    )
    text = text.replace(
        "kafka:\n",
        "kafka:\n  security_protocol: SASL_SSL\n"
        f"  tls: {{key_file: bridge.yaml, cert_file: bridge.yaml, key_password: {MARKER}}}\n"
        f"  sasl: {{mechanism: PLAIN, username: a, password: {MARKER}}}\n",
    )
    loaded = load(write(text), {})
    for shown in (repr(loaded), str(loaded), loaded.model_dump_json()):
        assert MARKER not in shown
        assert SECRET.removeprefix("whsec_") not in shown


SECRET_PLACES = [
    "kafka: {sasl: MARK}",
    "kafka: {sasl: {password: [MARK]}}",
    "kafka: {sasl: {passwrd: MARK}}",
    "kafka: {sasl: {mechanism: OAUTHBEARER, client_secret: {a: MARK}}}",
    "kafka: {tls: {key_password: [MARK], key_pasword: MARK}}",
    "endpoints: MARK",
    "endpoints: {a: MARK}",
    "endpoints: {a: {url: MARK}}",
    "endpoints: {a: {url: 'ftp://MARK'}}",
    "endpoints: {a: {url: 'http://MARK@b'}}",
    "endpoints: {a: {ulr: MARK}}",
    "endpoints: {a: {secrets: MARK}}",
    "endpoints: {a: {secrets: [MARK, {b: MARK}]}}",
    "endpoints: {a: {secret: MARK}}",
    "endpoints: {a: {signing: MARK}}",
    "endpoints: {a: {signing: {keys: MARK}}}",
    "endpoints: {a: {signing: {keys: [MARK, {secret: MARK}, {secrt: MARK}]}}}",
    "endpoints: {a: {signing: {keys: [{secret: [MARK], until: x}]}}}",
    "endpoints: {a: {headers: MARK}}",
    "endpoints: {a: {headers: [MARK]}}",
    "endpoints: {a: {headers: {b: 'MARK\n\nc', c: [MARK]}}}",
    "endpoints: {a: {proxy: 'socks5://MARK'}}",
    "endpoints: {a: {proxy: [MARK]}}",
]


@pytest.mark.parametrize("text", SECRET_PLACES)
def test_a_wrong_secret_is_not_shown(write, text):
    lines = check(write(text.replace("MARK", MARKER)), {})
    assert lines
    assert MARKER not in "".join(lines)


SCALARS = [
    ("", "group: M\n"),
    ('["localhost:9092"]', "[M]"),
    ("kafka:\n", "kafka:\n  session_timeout_s: M\n"),
    ("kafka:\n", "kafka:\n  security_protocol: M\n"),
    ("kafka:\n", "kafka:\n  security_protocol: SSL\n  tls: {ca_file: M}\n"),
    ("kafka:\n", "kafka:\n  security_protocol: SASL_SSL\n  sasl: {mechanism: M}\n"),
    ("kafka:\n", "egress: {allow: [M]}\nkafka:\n"),
    ("kafka:\n", "log: {level: M}\nkafka:\n"),
    ("kafka:\n", "drain_timeout_s: M\nkafka:\n"),
    ("[external-events]", "[M, M]"),
    ("format: json", "format: M"),
    ("id: id", "id: M"),
    ("schemas: avro", "schemas: M"),
    ("[fineract]", "[M]"),
    ("[fineract]", "[fineract]\n    events: [M]"),
    ("[fineract]", "[fineract]\n    retry: {base_s: M}"),
    ("[fineract]", "[fineract]\n    timeout_s: M"),
    ("[fineract]", "[fineract]\n    start: M"),
    (URL, "M"),
]


@pytest.mark.parametrize(("old", "new"), SCALARS)
@pytest.mark.parametrize(
    "value",
    [
        f"{MARKER}",
        f" .{MARKER}/",
        f"10.0.0.1/{MARKER}",
        f"Loan{MARKER}PreBusinessEvent",
        "30.125001",
        "61.5",
        "-987654.5",
    ],
)
def test_a_value_from_a_reference_is_never_shown(write, old, new, value):
    lines = check(write(VALID.replace(old, new.replace("M", '"${env:V}"'), 1)), {"V": value})
    text = "".join(lines)
    assert MARKER not in text
    assert value not in text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(SCALARS), value=st.text(min_size=4, max_size=12).filter(lambda t: not t.isascii())
)
def test_any_text_from_a_reference_is_never_shown(write, place, value):
    text = VALID.replace(place[0], place[1].replace("M", '"${env:V}"'), 1)
    assert value not in "".join(check(write(text), {"V": value}))


def test_every_unresolved_reference_of_a_value_is_reported(write):
    lines = check(write(VALID.replace(URL, "https://a.example/${env:ONE}/${file:two}/${env:THREE}")), {})
    assert [line.split(": ")[2].split(";")[0] for line in lines] == [
        "environment variable ONE is not set",
        "file two does not exist",
        "environment variable THREE is not set",
    ]
