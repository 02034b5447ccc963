"""The settings ``auth`` and ``tls`` of an endpoint: what is sent, and which mistakes are named how."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import EndpointSettings

SOURCES = "    sources: [fineract]\n"
SECRET = "s3cr3t-value-77"
OAUTH2 = (
    f"{{token_url: https://login.test/token, client_id: bridge, client_secret: {SECRET}, scope: hooks.write}}"
)


def endpoint(**settings: Any) -> EndpointSettings:
    return EndpointSettings.model_validate({"url": "https://crm.test/hooks?a=b", **settings})


def with_lines(*lines: str) -> tuple[str, str]:
    return SOURCES, SOURCES + "".join(f"    {line}\n" for line in lines)


def test_basic_is_a_header_in_utf_8() -> None:
    auth = {"basic": {"username": "hookferry", "password": "p\u00e4ss:word"}}
    ((name, value),) = endpoint(auth=auth).header_pairs
    assert name == "Authorization"
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == "hookferry:p\u00e4ss:word"


def test_bearer_and_api_key_are_headers_beside_the_others() -> None:
    headers = {"X-Team": "core"}
    bearer = endpoint(auth={"bearer": {"token": SECRET}}, headers=headers)
    assert bearer.header_pairs == (("Authorization", f"Bearer {SECRET}"), ("X-Team", "core"))
    key = endpoint(auth={"api_key": {"header": "X-Api-Key", "value": f"Key {SECRET}"}}, headers=headers)
    assert key.header_pairs == (("X-Api-Key", f"Key {SECRET}"), ("X-Team", "core"))


def test_the_headers_of_a_login_are_secret() -> None:
    assert endpoint(auth={"bearer": {"token": SECRET}}).secret_header_names == {"authorization"}
    key = {"header": "X-Api-Key", "value": SECRET}
    assert endpoint(auth={"api_key": key}, headers={"X-A": "b"}).secret_header_names == {"x-api-key", "x-a"}
    oauth2 = {"token_url": "https://login.test/t", "client_id": "a", "client_secret": SECRET}
    assert endpoint(auth={"oauth2": oauth2}).secret_header_names == {"authorization"}


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://crm.test/hooks", "/hooks?key=a%26b%3D%7B%7B+%20%25"),
        ("https://crm.test/hooks?", "/hooks?key=a%26b%3D%7B%7B+%20%25"),
        ("https://crm.test/hooks?a=b", "/hooks?a=b&key=a%26b%3D%7B%7B+%20%25"),
    ],
)
def test_a_key_in_the_query_is_percent_encoded(url: str, target: str) -> None:
    auth = {"api_key": {"query": "key", "value": "a&b={{+ %"}}
    expected = target.replace("+", "%2B")
    assert EndpointSettings.model_validate({"url": url, "auth": auth}).target.target == expected


@pytest.mark.parametrize(
    "line",
    [
        f"auth: {{basic: {{username: bridge, password: {SECRET}}}}}",
        f"auth: {{bearer: {{token: {SECRET}}}}}",
        f"auth: {{api_key: {{header: X-Api-Key, value: {SECRET}}}}}",
        f"auth: {{api_key: {{query: key, value: {SECRET}}}}}",
        f"auth: {{oauth2: {OAUTH2}}}",
        "auth: null",
        "tls: {min_version: 1.3, server_name: crm.internal}",
        "tls: {server_name: 10.1.2.3}",
    ],
)
def test_each_form_is_accepted(given: Any, line: str) -> None:
    assert given(*with_lines(line)) == []


@pytest.mark.parametrize(
    ("lines", "path", "text"),
    [
        (["auth: {}"], "auth", "has no method; add one of basic, bearer, api_key, oauth2"),
        (["auth: bearer"], "auth", "is not a mapping"),
        (
            [f"auth: {{bearer: {{token: {SECRET}}}, oauth2: {OAUTH2}}}"],
            "auth.oauth2",
            "is set together with bearer; keep one of the two",
        ),
        ([f"auth: {{bearr: {{token: {SECRET}}}}}"], "auth.bearr", 'did you mean "bearer"?'),
        (["auth: {basic: {username: bridge}}"], "auth.basic.password", "is missing"),
        (
            [f"auth: {{basic: {{username: 'a:b', password: {SECRET}}}}}"],
            "auth.basic.username",
            "contains a colon",
        ),
        ([f'auth: {{basic: {{username: a, password: "{SECRET}\\n"}}}}'], "auth.basic.password", "line break"),
        ([f"auth: {{bearer: {{token: Bearer {SECRET}}}}}"], "auth.bearer.token", "remove the word"),
        ([f"auth: {{bearer: {{token: {SECRET} b}}}}"], "auth.bearer.token", "contains spaces"),
        ([f"auth: {{api_key: {{value: {SECRET}}}}}"], "auth.api_key", "add one of header, query"),
        (
            [f"auth: {{api_key: {{header: X-Key, query: key, value: {SECRET}}}}}"],
            "auth.api_key.query",
            "is set together with header",
        ),
        (
            [f"auth: {{api_key: {{header: Content-Type, value: {SECRET}}}}}"],
            "auth.api_key.header",
            "is set by body",
        ),
        (
            [f"auth: {{api_key: {{header: Host, value: {SECRET}}}}}"],
            "auth.api_key.header",
            "belongs to the connection",
        ),
        ([f"auth: {{api_key: {{query: 'a=b', value: {SECRET}}}}}"], "auth.api_key.query", "is not the name"),
        (['auth: {api_key: {header: X-Key, value: ""}}'], "auth.api_key.value", "is empty"),
        (
            [f"auth: {{oauth2: {OAUTH2.replace('https', 'http')}}}"],
            "auth.oauth2.token_url",
            "would send the client secret unencrypted; use an https URL",
        ),
        (
            [f"auth: {{oauth2: {OAUTH2.replace('login', 'a:b@login')}}}"],
            "auth.oauth2.token_url",
            "set client_id and client_secret instead",
        ),
        (
            [f"auth: {{oauth2: {OAUTH2[:-1]}, auth_style: post}}}}"],
            "auth.oauth2.auth_style",
            "use one of basic, body, tls, private_key_jwt",
        ),
        (
            ["auth: {oauth2: {token_url: https://login.test/token, client_id: a}}"],
            "auth.oauth2.client_secret",
            "is missing, and auth_style basic needs it; add client_secret",
        ),
        (
            [f"auth: {{oauth2: {OAUTH2[:-1]}, auth_style: tls}}}}"],
            "auth.oauth2.client_secret",
            "is not used by auth_style tls",
        ),
        (
            ["auth: {oauth2: {token_url: https://login.test/token, client_id: a, auth_style: tls}}"],
            "auth.oauth2.tls.cert_file",
            "is missing, and auth_style tls needs it; add tls with cert_file and key_file",
        ),
        (
            ["auth: {oauth2: {token_url: https://a.test/t, client_id: a, auth_style: private_key_jwt}}"],
            "auth.oauth2.private_key",
            "is missing, and auth_style private_key_jwt needs it; add private_key with key_file",
        ),
        (
            [f"auth: {{oauth2: {OAUTH2[:-1]}, private_key: {{key_file: gone.key}}}}}}"],
            "auth.oauth2.private_key",
            "is not used by auth_style basic",
        ),
        (
            [f"auth: {{oauth2: {OAUTH2[:-1]}, private_key: {{key_file: gone.key}}}}}}"],
            "auth.oauth2.private_key.key_file",
            "there is no such file",
        ),
        (["tls: {min_version: 1.1}"], "tls.min_version", "use one of 1.2, 1.3"),
        (["tls: {server_name: https://crm}"], "tls.server_name", "is not a host name"),
        (["tls: {cert_file: avro}"], "tls.cert_file", "is set without key_file"),
        (["tls: {ca_file: gone.pem}"], "tls.ca_file", "there is no such file"),
        (
            [f"auth: {{oauth2: {OAUTH2[:-1]}, tls: {{ca_file: gone.pem}}}}}}"],
            "auth.oauth2.tls.ca_file",
            "there is no such file",
        ),
    ],
)
def test_each_mistake_is_named_at_its_key_without_the_secret(
    given: Any, lines: list[str], path: str, text: str
) -> None:
    found = given(*with_lines(*lines))
    assert any(f"endpoints.crm.{path}" in line and text in line for line in found), found
    assert not [line for line in found if SECRET in line]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (f"{{basic: {{username: a, password: {SECRET}}}}}", "authorization"),
        (f"{{bearer: {{token: {SECRET}}}}}", "Authorization"),
        (f"{{oauth2: {OAUTH2}}}", "AUTHORIZATION"),
        (f"{{api_key: {{header: X-Api-Key, value: {SECRET}}}}}", "x-api-key"),
    ],
)
def test_a_header_that_the_login_sets_is_a_mistake(given: Any, auth: str, header: str) -> None:
    (line,) = given(*with_lines(f"auth: {auth}", f"headers: {{{header}: mine}}"))
    assert f"endpoints.crm.headers.{header}: is set by auth as well; remove it, or remove auth" in line


def test_another_header_beside_a_login_is_none(given: Any) -> None:
    lines = (f"auth: {{api_key: {{header: X-Api-Key, value: {SECRET}}}}}", "headers: {Authorization: mine}")
    assert given(*with_lines(*lines)) == []


@pytest.mark.parametrize("query", ["?key=1", "?a=b&key", "?k%65y=1", "?a={{ type }}&key=1"])
def test_a_parameter_that_the_url_has_already_is_a_mistake(given: Any, query: str) -> None:
    auth = f"auth: {{api_key: {{query: key, value: {SECRET}}}}}"
    (line,) = given("com/hooks", f'com/hooks{query}"', "url: https", 'url: "https', *with_lines(auth))
    assert "endpoints.crm.auth.api_key.query" in line
    assert "is a parameter of the url as well" in line


def test_tls_of_a_plain_http_url_is_a_mistake(given: Any) -> None:
    plain = ("https://crm.example.com", "http://127.0.0.1:9000")
    lines = given(*plain, *with_lines("tls: {min_version: '1.3'}"))
    (line,) = [line for line in lines if "endpoints.crm.tls" in line]
    assert "endpoints.crm.tls: is set, but url is plain http; use an https url, or remove tls" in line


def test_certificate_files_are_relative_to_the_settings_file(given: Any, folder: Path) -> None:
    for name in ("ca.pem", "tls.crt", "tls.key"):
        (folder / name).write_text("x")
    files = "{ca_file: ca.pem, cert_file: tls.crt, key_file: tls.key}"
    oauth2 = f"auth: {{oauth2: {OAUTH2[:-1]}, tls: {files}}}}}"
    assert given(*with_lines(f"tls: {files}", oauth2)) == []


def test_a_secret_comes_from_the_environment_variable_of_its_key(given: Any) -> None:
    env = {"HOOKFERRY_ENDPOINTS__CRM__AUTH__BEARER__TOKEN": SECRET}
    assert given(env=env) == []


def test_secrets_are_not_in_the_repr() -> None:
    login = {"token_url": "https://login.test/t", "client_id": "a", "client_secret": SECRET}
    for auth in (
        {"basic": {"username": "a", "password": SECRET}},
        {"bearer": {"token": SECRET}},
        {"api_key": {"header": "X-A", "value": SECRET}},
        {"oauth2": login},
    ):
        assert SECRET not in repr(endpoint(auth=auth, tls={"key_password": SECRET}))
