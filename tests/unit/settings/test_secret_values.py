"""Which texts of the settings are secrets: values, their parts, and what references stand for."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import check, tree_of
from bridge.settings.reading.secret_values import short_secrets
from bridge.telemetry.scrub import in_force, scrub

LOGIN = base64.b64encode(b"someone:pass-7f3a9-word").decode()
KEY = base64.b64encode(b"0123456789abcdefghijklmnop").decode()


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Read settings with these parts of an endpoint and at the top; return the mistakes."""

    def read(endpoint: dict[str, Any], environ: dict[str, str] | None = None, **top: Any) -> list[str]:
        document = {
            "kafka": {"bootstrap_servers": ["localhost:9092"]},
            "sources": {"orders": {"topics": ["t"], "format": "json", "id": "id", "type": "type"}},
            "endpoints": {"crm": {"url": "https://crm.example.com/hooks"} | endpoint},
            "egress": {"proxies": ["127.0.0.0/8"]},
        } | top
        file = tmp_path / "bridge.yaml"
        file.write_text(json.dumps(document))
        return check(file, environ or {})

    return read


@pytest.mark.parametrize(
    ("endpoint", "echo", "shown"),
    [
        ({"headers": {"Authorization": "Bearer t0ken-5c1e2"}}, "got Bearer t0ken-5c1e2", "got ***"),
        ({"headers": {"Authorization": "Bearer t0ken-5c1e2"}}, "token=t0ken-5c1e2;", "token=***;"),
        ({"headers": {"Authorization": f"Basic {LOGIN}"}}, "someone, pass-7f3a9-word", "someone, ***"),
        ({"headers": {"Authorization": f"Basic {LOGIN}"}}, f"[{LOGIN}]", "[***]"),
        ({"headers": {"Cookie": "sid=abcdef; csrf=ghijkl"}}, "csrf: ghijkl, abcdef", "csrf: ***, ***"),
        ({"headers": {"X-Api-Key": "swordfish"}}, "no swordfish", "no ***"),
        ({"headers": {"X-Trace": "at 7f3a9c1e2d"}}, "trace 7f3a9c1e2d", "trace ***"),
        ({"headers": {"Authorization": "Token {{ data.t }} k3y-0f-us"}}, "Token 7 k3y-0f-us", "Token 7 ***"),
        ({"url": "https://hooks.test/services/T0AB/xyz7f3a95c1e"}, "/services/T0AB/xyz7f3a95c1e", "***"),
        ({"url": "https://hooks.test/services/T0AB/xyz7f3a95c1e"}, '["xyz7f3a95c1e"]', '["***"]'),
        ({"url": "https://hooks.test/in?sig=a%2Fb7f3a9&v=1"}, "sig a/b7f3a9", "sig ***"),
        ({"url": "https://hooks.test/loans/{{ entity }}?sig=abc7f3a9"}, "?sig=abc7f3a9", "?***"),
        ({"proxy": "http://agent:pr0xy-word@127.0.0.1:3128"}, "agent:pr0xy-word", "***"),
        ({"proxy": "http://agent:pr0xy%2Fword@127.0.0.1:3128"}, "Basic pr0xy/word", "Basic ***"),
        ({"secrets": [f"whsec_{KEY}"]}, f"key {KEY.rstrip('=')}", "key ***"),
        ({"secrets": [f"whsec_{KEY}"]}, f"key {base64.b64decode(KEY).hex()}", "key ***"),
    ],
)  # fmt: skip
def test_a_secret_of_an_endpoint_is_removed_in_each_of_its_parts(
    read: Any, endpoint: dict[str, Any], echo: str, shown: str
) -> None:
    assert read(endpoint) == []
    assert scrub(echo) == shown


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ({"headers": {"Accept": "application/json"}}, "not application/json"),
        ({"headers": {"User-Agent": "Mozilla/5.0 compatible"}}, "Mozilla/5.0 is refused"),
        ({"headers": {"X-Source": "hookferry"}}, "hookferry endpoints on crm"),
        ({"headers": {"Authorization": "Bearer {{ data.token }}"}}, "Bearer authentication required"),
        ({}, "https://crm.example.com:443 answered"),
        ({"url": "https://hooks.test/services/T0AB/B1CD/xyz7f3a95c1e"}, "status 404: no_service"),
        ({"proxy": "http://bridge:pr0xy-word@127.0.0.1:3128"}, "bridge.started"),
    ],
)
def test_what_is_no_secret_stays_readable(read: Any, endpoint: dict[str, Any], text: str) -> None:
    assert read(endpoint) == []
    assert scrub(text) == text


def test_the_logins_of_kafka_and_of_registries_are_secrets(read: Any) -> None:
    registry = {"url": "http://reg.test/api?apikey=qu3ry-key", "username": "u", "password": "reg1stry-word"}
    sources = {"s": {"topics": ["t"], "format": "confluent", "type": "t", "id": "i", "registry": registry}}
    sasl = {"mechanism": "OAUTHBEARER", "token_url": "http://u:t0ken-login@login.test/x?k=t0ken-query",
            "client_id": "c", "client_secret": "cl1ent-secret"}  # fmt: skip
    kafka = {"bootstrap_servers": ["k:9092"], "security_protocol": "SASL_SSL", "sasl": sasl}
    mistakes = read({}, sources=sources, kafka=kafka)
    assert mistakes, "these URLs are refused, and their secrets are known all the same"
    for secret in ("qu3ry-key", "reg1stry-word", "t0ken-login", "t0ken-query", "cl1ent-secret"):
        assert scrub(f"[{secret}]") == "[***]"
        assert not any(secret in mistake for mistake in mistakes)


def test_a_reference_in_a_template_or_a_filter_is_a_secret(read: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("f1le-key\n")
    endpoint = {
        "body": {"template": '{"key": "${env:BODY_KEY}", "file": "${file:key}"}'},
        "headers": {"X-Sum": "{{ '${env:INNER_KEY}' | upper }}"},
        "when": 'data.key == "${env:FILTER_KEY}"',
    }
    environ = {"BODY_KEY": "b0dy-key", "INNER_KEY": "1nner-key", "FILTER_KEY": "f1lter-key"}
    assert read(endpoint, environ) == []
    for secret in (*environ.values(), "f1le-key"):
        assert scrub(f"[{secret}]") == "[***]"


def test_a_reference_in_a_setting_that_is_shown_is_no_secret(read: Any) -> None:
    """The name of the group, of a topic and of a broker are part of every message."""
    kafka = {"bootstrap_servers": ["${env:BROKER}"]}
    endpoint = {"url": "https://${env:HOST}/hooks/abc7f3a95"}
    environ = {"BROKER": "kafka-1.example.com:9092", "HOST": "crm-1.example.com", "GROUP": "payments"}
    assert read(endpoint, environ, kafka=kafka, group="${env:GROUP}") == []
    for text in environ.values():
        assert scrub(f"[{text}]") == f"[{text}]"


def test_a_value_from_the_environment_is_a_secret(read: Any) -> None:
    assert read({}, {"HOOKFERRY_ENDPOINTS__CRM__HEADERS": '{"X-Api-Key": "fr0m-the-environment"}'}) == []
    assert scrub("fr0m-the-environment") == "***"


def test_the_secrets_of_an_invalid_configuration_are_known(read: Any) -> None:
    assert read({"headers": {"X-Api-Key": "inval1d-key"}, "timeout_s": "many"})
    assert scrub("inval1d-key") == "***"


def test_reading_the_settings_again_adds_no_form_twice(read: Any) -> None:
    read({"headers": {"X-Api-Key": "aga1n-and-again"}})
    forms = sum(map(len, in_force._heads.values()))
    read({"headers": {"X-Api-Key": "aga1n-and-again"}})
    assert sum(map(len, in_force._heads.values())) == forms


def test_a_secret_that_is_too_short_to_be_removed_is_reported_and_no_mistake(
    read: Any, tmp_path: Path
) -> None:
    assert read({"headers": {"X-Api-Key": "ab12", "X-Version": "2"}}) == []
    (note,) = map(str, short_secrets(tree_of(tmp_path / "bridge.yaml", {})))
    assert "endpoints.crm.headers.X-Api-Key: has fewer than 6 characters" in note
    assert note.endswith("use a longer secret")
    assert "ab12" not in note


@pytest.mark.parametrize("url", ["http://reg.test/?key=qu3ry-key", "ftp://reg.test/#qu3ry-key"])
def test_a_mistake_shows_a_url_without_its_query(read: Any, url: str) -> None:
    registry = {"url": url, "username": "u"}
    sources = {"s": {"topics": ["t"], "format": "confluent", "type": "t", "id": "i", "registry": registry}}
    mistakes = read({}, sources=sources)
    assert any("reg.test/?…" in mistake for mistake in mistakes)
    assert not any("qu3ry-key" in mistake for mistake in mistakes)


def test_the_word_in_front_of_a_key_is_no_secret(read: Any) -> None:
    read({"auth": {"api_key": {"header": "X-Login", "value": "Token k3y-7f3a9"}}})
    assert scrub("got k3y-7f3a9; a Token is required") == "got ***; a Token is required"


def test_the_header_of_a_basic_login_is_a_secret_too(read: Any) -> None:
    """A receiver that encodes the request hides a value that is Base64 itself."""
    read({"auth": {"basic": {"username": "agent", "password": "pass-7f3a9"}},
          "proxy": "http://agent:pr0xy-word@127.0.0.1:3128"})  # fmt: skip
    for login in (b"agent:pass-7f3a9", b"agent:pr0xy-word"):
        dump = b"authorization: Basic " + base64.b64encode(login)
        assert scrub(base64.b64encode(dump).decode()) == "***"
