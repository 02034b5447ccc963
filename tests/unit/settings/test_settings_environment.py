"""``HOOKFERRY_…`` variables: they win over the file, and a mistyped one is a mistake."""

import pytest

from bridge.settings import load
from bridge.settings.models.settings import Settings, layered
from tests.support.settings_example import SECRET, VALID


def loaded(write, **env: str) -> Settings:
    return load(write(VALID), {f"HOOKFERRY_{name}": value for name, value in env.items()})


def direct(**values: str) -> Settings:
    given = {
        "kafka": {"bootstrap_servers": ["a:1"]},
        "sources": {"s": {"topics": ["t"], "format": "cloudevents"}},
        "endpoints": {"e": {"url": "https://a.example/"}},
    }
    return Settings(**given, **values)


def test_the_environment_wins_over_the_file(write):
    settings = loaded(
        write,
        KAFKA__BOOTSTRAP_SERVERS='["a:1", "b:2"]',
        KAFKA__SESSION_TIMEOUT_S="30",
        ENDPOINTS__CRM__URL="https://other.example.com/",
        ENDPOINTS__CRM__ALLOW_HTTP="true",
        ENDPOINTS__CRM__RETRY='{"cap_s": 60}',
        ENDPOINTS__CRM__RETRY__BASE_S="2",
    )
    crm = settings.endpoints["crm"]
    assert settings.kafka.bootstrap_servers == ("a:1", "b:2")
    assert settings.kafka.session_timeout_s == 30
    assert crm.target.host == "other.example.com"
    assert crm.sources == ("fineract",)
    assert (crm.retry.cap_s, crm.retry.base_s, crm.allow_http) == (60, 2, True)


def test_the_file_wins_over_constructor_arguments(write):
    with layered({"group": "from-file"}):
        settings = direct(group="from-init")
    assert settings.group == "from-file"
    assert settings.kafka.bootstrap_servers == ("a:1",)


def test_settings_created_directly_do_not_read_the_environment(monkeypatch):
    monkeypatch.setenv("HOOKFERRY_GROUP", "other")
    assert direct().group == "hookferry"


def test_a_name_with_a_dash_is_written_with_an_underscore(write):
    settings = load(write(VALID.replace("crm:", "my-crm:")), {"HOOKFERRY_ENDPOINTS__MY_CRM__WINDOW": "7"})
    assert settings.endpoints["my-crm"].window == 7


def test_a_header_in_the_file_can_be_overridden(write):
    text = VALID + "    headers: {X-Api-Key: a}\n"
    settings = load(write(text), {"HOOKFERRY_ENDPOINTS__CRM__HEADERS__X_API_KEY": "b"})
    assert settings.endpoints["crm"].header_pairs == (("X-Api-Key", "b"),)


def test_endpoints_can_come_from_json_only(write):
    settings = load(
        write(VALID.partition("endpoints:")[0]),
        {
            "HOOKFERRY_ENDPOINTS": '{"a": {"url": "https://a.example/x"}}',
            "HOOKFERRY_ENDPOINTS__A__TIMEOUT_S": "3",
        },
    )
    assert settings.endpoints["a"].timeout_s == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KAFKA__SESION_TIMEOUT_S", "did you mean HOOKFERRY_KAFKA__SESSION_TIMEOUT_S?"),
        ("KAFKA_SESSION_TIMEOUT_S", "is not a setting"),
        ("ENDPOINTS__CMR__WINDOW", "did you mean HOOKFERRY_ENDPOINTS__CRM__WINDOW?"),
        (
            "ENDPOINTS__WAREHOUSE__WINDOW",
            "add the entry to the file, or set all entries as JSON in HOOKFERRY_ENDPOINTS",
        ),
        ("GROUP__X", "set HOOKFERRY_GROUP instead"),
        ("PORT", "is not a setting"),
        ("", "is not a setting"),
    ],
)
def test_a_variable_that_fits_no_key_is_a_mistake(given, name, expected):
    (line,) = given(env={f"HOOKFERRY_{name}": "5"})
    assert line.startswith(f"environment variable HOOKFERRY_{name}: ")
    assert expected in line


def test_a_wrong_value_is_reported_with_its_variable(given):
    assert given(env={"HOOKFERRY_ADMIN__PORT": "http"}) == [
        'environment variable HOOKFERRY_ADMIN__PORT: admin.port "http": '
        "is not a whole number; use digits only"
    ]


def test_a_list_that_is_not_json_is_reported(given):
    (line,) = given(env={"HOOKFERRY_KAFKA__BOOTSTRAP_SERVERS": "kafka:9092"})
    assert 'is not JSON; write lists and mappings as JSON, such as ["a", "b"]' in line


def test_null_removes_an_optional_value(write):
    assert loaded(write, KAFKA__SASL="null", ENDPOINTS__CRM__PROXY="null").endpoints["crm"].proxy is None


def test_a_reference_that_the_environment_overrides_is_not_resolved(given):
    quoted = f'["{SECRET}"]'
    assert given(SECRET, '"${env:GONE}"', env={"HOOKFERRY_ENDPOINTS__CRM__SECRETS": quoted}) == []


def test_variables_of_kubernetes_and_of_the_command_line_are_ignored(given):
    env = {
        "HOOKFERRY_CONFIG": "x.yaml",
        "HOOKFERRY_PORT": "tcp://10.0.0.1:8080",
        "HOOKFERRY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "HOOKFERRY_PORT_8080_TCP_ADDR": "10.0.0.1",
        "HOOKFERRY_SERVICE_HOST": "10.0.0.1",
        "HOOKFERRY_SERVICE_PORT_HTTP": "8080",
        "HOOKFERRY_CONSOLE_SERVICE_PORT": "8080",
        "HOOKFERRY_CONSOLE_PORT": "tcp://10.0.0.1:8080",
        "OTHER": "x",
    }
    assert given(env=env) == []
