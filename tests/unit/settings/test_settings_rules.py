"""The rules that span several keys: event types, URLs, login, certificates, times."""

from fnmatch import fnmatchcase

import pytest

from bridge.settings.models.fineract_types import FINERACT_TYPES

SOURCES = "    sources: [fineract]\n"
KAFKA = "kafka:\n"
SASL = "  security_protocol: SASL_SSL\n"


def events(pattern: str) -> tuple[str, str]:
    return SOURCES, f'{SOURCES}    events: ["{pattern}"]\n'


def test_the_list_of_types_contains_no_unpublished_type():
    assert len(FINERACT_TYPES) == len(set(FINERACT_TYPES)) == 115
    assert not [kind for kind in FINERACT_TYPES if fnmatchcase(kind, "*PreBusinessEvent")]


@pytest.mark.parametrize("pattern", ["*", "Loan*", "LoanApprovedBusinessEvent", "*Repayment*", "Savings?*"])
def test_a_pattern_that_matches_a_known_type_is_accepted(given, pattern):
    assert given(*events(pattern)) == []


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("LoanAprovedBusinessEvent", 'did you mean "LoanApprovedBusinessEvent"?'),
        ("loan*", 'did you mean "Loan*"?'),
        ("Laon*", 'did you mean "Loan*"?'),
        ("*Aproved*", 'did you mean "*Approved*"?'),
        ("LoanChargeOffPreBusinessEvent", "never publishes"),
        ("Zzzzzzz", "set custom_types: true"),
    ],
)
def test_a_pattern_that_matches_no_known_type_is_a_mistake(given, pattern, hint):
    (line,) = given(*events(pattern))
    assert f'endpoints.crm.events[0] "{pattern}"' in line
    assert hint in line


def test_an_exclusion_that_matches_no_known_type_is_a_mistake(given):
    (line,) = given(SOURCES, SOURCES + '    events: ["*", "!Laon*"]\n')
    assert 'did you mean "!Loan*"?' in line


def test_any_pattern_is_accepted_if_a_source_has_custom_types(given):
    assert given("schemas: avro", "schemas: avro, custom_types: true", *events("Zzz*")) == []


def test_any_pattern_is_accepted_if_a_source_is_not_fineract(given):
    assert given(SOURCES, '    events: ["Zzz*"]\n') == []


def test_only_exclusions_select_nothing(given):
    (line,) = given(*events("!Loan*"))
    assert 'only excludes, so nothing is ever sent; put "*" in front' in line


@pytest.mark.parametrize(
    "swaps",
    [
        ("https://crm.example.com", "http://localhost:9000"),
        (
            "https://crm.example.com",
            "http://127.0.0.1:9000",
            KAFKA,
            "egress: {allow: [127.0.0.1/32]}\nkafka:\n",
        ),
        ("https://crm.example.com", "http://10.1.2.3", KAFKA, "egress: {allow: [10.1.0.0/16]}\nkafka:\n"),
        ("https://crm.example.com", "http://crm.example.com", SOURCES, SOURCES + "    allow_http: true\n"),
    ],
)
def test_plain_http_is_accepted_on_loopback_or_if_the_operator_allows_it(given, swaps):
    assert given(*swaps) == []


def test_plain_http_is_a_mistake_otherwise(given):
    (line,) = given("https://crm.example.com", "http://crm.example.com")
    assert line.startswith("bridge.yaml:8:10: endpoints.crm.url: is plain http")


def test_two_header_names_that_differ_only_in_case_are_a_mistake(given):
    (line,) = given(SOURCES, SOURCES + "    headers: {X-A: b, x-a: c}\n")
    assert "endpoints.crm.headers.x-a: is the same header as X-A" in line


def kafka(text: str) -> tuple[str, str]:
    return KAFKA, KAFKA + text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{SASL}", ["requires a login"]),
        ("  sasl: {mechanism: PLAIN, username: a, password: b}\n", ["PLAINTEXT does not log in"]),
        (f"{SASL}  sasl: {{mechanism: PLAIN}}\n", ["username: is miss", "password: is miss"]),
        (
            f"{SASL}  sasl: {{mechanism: OAUTHBEARER, scope: a, username: b}}\n",
            ["username: is not used", "token_url: is", "client_id: is", "client_secret: is"],
        ),
        (f"{SASL}  sasl: {{mechanism: PLAN, username: a, password: b}}\n", ["mean"]),
        ("  tls: {ca_file: no.pem}\n", ["does not encrypt", "there is no such file"]),
        ("  security_protocol: SSL\n  tls: {ca_file: avro}\n", ["is not a file"]),
        ("  security_protocol: SSL\n  tls: {key_password: x}\n", ["is set without key_file"]),
        ("  heartbeat_interval_s: 15\n", ["is not less than a third of session_timeout_s (10)"]),
        ("  rebalance_timeout_s: 20\n", ["is not more than drain_timeout_s (20)"]),
    ],
)  # fmt: skip
def test_an_incomplete_connection_or_times_that_do_not_fit_are_mistakes(given, text, expected):
    lines = given(*kafka(text))
    assert len(lines) == len(expected), lines
    for part in expected:
        assert [line for line in lines if part in line], part


OAUTH = "{{mechanism: OAUTHBEARER, client_id: a, client_secret: b, token_url: {url!r}}}"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("https://id.example/token", None),
        ("http://127.0.0.1:1/token", None),
        ("http://id.example/token", "unencrypted"),
        ("id.example", "is not an http or https URL"),
        ("https://user:hunter2@id.example/", "contains a user name or password"),
    ],
)
def test_a_token_url_must_not_expose_the_client_secret(given, url, cause):
    lines = given(*kafka(f"  security_protocol: SASL_SSL\n  sasl: {OAUTH.format(url=url)}\n"))
    assert len(lines) == (cause is not None)
    assert cause is None or cause in lines[0]
    assert "hunter2" not in "".join(lines)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("    timeout_s: 21\n", "is more than drain_timeout_s (20), which would cut off requests in flight"),
        ("    retry: {base_s: 700}\n", "is more than cap_s (600)"),
    ],
)
def test_times_of_an_endpoint_that_do_not_fit_are_a_mistake(given, text, cause):
    (line,) = given(SOURCES, SOURCES + text)
    assert cause in line


@pytest.mark.parametrize(
    ("folder_name", "cause"), [("nowhere", "no such folder"), ("bridge.yaml", "is not a folder")]
)
def test_the_schema_folder_must_exist(given, folder_name, cause):
    (line,) = given("schemas: avro", f"schemas: {folder_name}")
    assert cause in line


def test_rules_report_their_mistakes_together_with_those_of_the_models(given):
    lines = given(SOURCES, "    sources: [finract]\n    bogus: 1\n", *kafka("  rebalance_timeout_s: 5\n"))
    assert len(lines) == 3


@pytest.mark.parametrize("written", ['["4/1s", "60/30s", "100/1h"]', "[4/1s]", "[]"])
def test_rates_over_different_times_are_accepted(given, written):
    assert given(SOURCES, f"{SOURCES}    rate: {written}\n") == []


def test_two_rates_over_the_same_time_are_a_mistake(given):
    (line,) = given(SOURCES, SOURCES + '    rate: ["4/1s", "60/60s", "80/1m"]\n')
    assert 'endpoints.crm.rate[2] "80/1m"' in line
    assert "rate[1]" in line
    assert "keep the smaller" in line


def test_an_invalid_rate_is_reported_once_with_its_place(given):
    (line,) = given(SOURCES, SOURCES + '    rate: ["4/1s", "fast"]\n')
    assert line.startswith("bridge.yaml:")
    assert 'endpoints.crm.rate[1] "fast"' in line
    assert "such as 4/1s" in line


def test_the_first_wait_of_a_breaker_must_not_exceed_its_longest(given):
    assert given(SOURCES, SOURCES + "    breaker: {open_s: 20, max_open_s: 20}\n") == []
    (line,) = given(SOURCES, SOURCES + "    breaker: {open_s: 20, max_open_s: 10}\n")
    assert "endpoints.crm.breaker.open_s" in line
    assert "max_open_s" in line
    (line,) = given(SOURCES, SOURCES + "    breaker: {open_s: 301}\n")
    assert "raise max_open_s" in line


def test_selecting_bulk_events_that_the_source_splits_is_a_mistake(given):
    (line,) = given(*events("BulkBusinessEvent"))
    assert 'endpoints.crm.events[0] "BulkBusinessEvent": is never delivered' in line
    assert "bulk: whole" in line
    assert given("schemas: avro", "schemas: avro, bulk: whole", *events("BulkBusinessEvent")) == []
    assert given(*events("Bulk*")) == [], "a pattern may mean more than that type"


@pytest.mark.parametrize(
    ("statuses", "place", "cause"),
    [
        ("[404, 410]", "[1]", "is 410, which turns the endpoint off and is never retried; remove it"),
        ("[404, 401, 404]", "", "contains 404 more than once; list each status once"),
        ("[399]", "[0]", "is not between 400 and 499; remove it: 2xx is delivered, and 3xx and 5xx are"),
        ("[500]", "[0]", "is not between 400 and 499; remove it: 2xx is delivered, and 3xx and 5xx are"),
        ("[yes]", "[0]", "is true or false, not a number"),
    ],
)
def test_a_status_that_cannot_be_retried_is_a_mistake(given, statuses, place, cause):
    (line,) = given(SOURCES, f"{SOURCES}    retry: {{retry_on: {statuses}}}\n")
    assert f"endpoints.crm.retry.retry_on{place}" in line
    assert cause in line


def test_statuses_that_are_retried_anyway_may_be_listed(given):
    assert given(SOURCES, f"{SOURCES}    retry: {{retry_on: [400, 408, 425, 429, 499]}}\n") == []
