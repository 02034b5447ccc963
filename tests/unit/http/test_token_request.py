"""What is sent for a token, and what each kind of answer means; no answer's text gets into an error."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from bridge.errors import TokenUnavailable, TransportError, TransportFault
from bridge.http.token_request import (
    LONGEST_LIFETIME_S,
    MAX_ANSWER_BYTES,
    UNKNOWN_LIFETIME_S,
    ClientLogin,
    TokenClient,
    read_grant,
)
from bridge.model import Request, Response

SECRET = "s3cr3t+/=: %&"
LOGIN = ClientLogin("https://login.test/token?a=b", "client:1", SECRET, "read write", "https://api.test")


def headers(request: Request) -> dict[bytes, bytes]:
    return dict(request.headers)


def answer(document: object = None, status: int = 200, **more: Any) -> Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, tuple(more.get("headers", ())), body)


def granted(**members: object) -> Response:
    return answer({"access_token": "abc", "token_type": "Bearer", **members})


def failure(response: Response) -> str:
    with pytest.raises(TokenUnavailable) as caught:
        read_grant("token_url", response)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_the_form_has_grant_scope_and_audience() -> None:
    request = LOGIN.request()
    assert (request.method, request.url.host, request.url.target) == ("POST", "login.test", "/token?a=b")
    assert headers(request)[b"content-type"] == b"application/x-www-form-urlencoded"
    assert dict(parse_qsl(request.body.decode())) == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "audience": "https://api.test",
    }


def test_basic_encodes_id_and_secret_before_it_joins_them() -> None:
    """RFC 6749 2.3.1: the colon of an id would otherwise end it."""
    scheme, _, text = headers(LOGIN.request())[b"authorization"].decode().partition(" ")
    name, _, secret = base64.b64decode(text).decode().partition(":")
    assert scheme == "Basic"
    assert (unquote(name), unquote(secret)) == ("client:1", SECRET)


def test_style_body_sends_id_and_secret_in_the_form_only() -> None:
    request = ClientLogin("https://login.test/token", "client:1", SECRET, style="body").request()
    form = dict(parse_qsl(request.body.decode()))
    assert (form["client_id"], form["client_secret"]) == ("client:1", SECRET)
    assert b"authorization" not in headers(request)


def test_style_tls_sends_the_id_alone() -> None:
    request = ClientLogin("https://login.test/token", "client:1", "", style="tls").request()
    form = dict(parse_qsl(request.body.decode()))
    assert form == {"grant_type": "client_credentials", "client_id": "client:1"}
    assert b"authorization" not in headers(request)


def test_the_secret_is_not_in_the_repr() -> None:
    assert SECRET not in repr(LOGIN)


@pytest.mark.parametrize(
    ("expires_in", "lifetime_s"),
    [
        (3600, 3600),
        ("3599", 3599),
        (0.5, 0.5),
        (10**12, LONGEST_LIFETIME_S),
        (10**400, UNKNOWN_LIFETIME_S),
        (0, UNKNOWN_LIFETIME_S),
        (-1, UNKNOWN_LIFETIME_S),
        ("soon", UNKNOWN_LIFETIME_S),
        ("nan", UNKNOWN_LIFETIME_S),
        ("inf", LONGEST_LIFETIME_S),
        (None, UNKNOWN_LIFETIME_S),
        (True, UNKNOWN_LIFETIME_S),
        ([3600], UNKNOWN_LIFETIME_S),
    ],
)
def test_expires_in_is_taken_within_bounds_and_anything_else_as_unknown(
    expires_in: object, lifetime_s: float
) -> None:
    assert read_grant("token_url", granted(expires_in=expires_in)) == ("abc", lifetime_s)


def test_a_missing_lifetime_is_unknown_and_a_missing_type_is_bearer() -> None:
    assert read_grant("token_url", answer({"access_token": "abc"})) == ("abc", UNKNOWN_LIFETIME_S)
    assert read_grant("token_url", granted(token_type="bEARER")).token == "abc"


@pytest.mark.parametrize("kind", ["mac", "DPoP", "", None, 7, SECRET])
def test_a_token_of_another_type_is_refused(kind: object) -> None:
    assert "token_type is not Bearer" in failure(granted(token_type=kind))


@pytest.mark.parametrize(
    "token", ["", "a b", "a\r\nx-injected: 1", "a\n", "\u00e9", None, 7, ["abc"], {"a": 1}]
)
def test_a_token_that_does_not_fit_into_a_header_is_refused(token: object) -> None:
    assert "no access_token that fits into a header" in failure(granted(access_token=token))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>s3cr3t+/=: %&</html>",
        b"[]",
        b'"abc"',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"access_token": "abc"',
        b"1" * 5000,
    ],
)
def test_an_answer_that_is_not_a_json_object_is_named_as_such(body: bytes) -> None:
    assert "returned an answer that is not a JSON object" in failure(answer(body))


def test_an_answer_that_fills_the_limit_is_not_parsed() -> None:
    body = json.dumps({"access_token": "abc", "pad": "x" * MAX_ANSWER_BYTES}).encode()[:MAX_ANSWER_BYTES]
    assert "returned an answer of 64 KiB or more" in failure(answer(body))


@pytest.mark.parametrize(
    ("status", "document", "text"),
    [
        (401, {"error": "invalid_client"}, "status 401 (invalid_client); check client_id, client_secret"),
        (
            400,
            {"error": "invalid_scope"},
            "status 400 (invalid_scope); check client_id, client_secret and scope",
        ),
        (400, {"error": SECRET, "error_description": SECRET}, "status 400; check client_id"),
        (400, {"error": ["invalid_client"]}, "status 400; check client_id"),
        (403, b"s3cr3t+/=: %&", "status 403; check client_id"),
        (404, b"", "status 404; check the path of the URL"),
        (500, b"", "status 500; check the URL and that its server is available"),
        (302, b"", "redirects are not followed; set it to the URL that the server redirects to"),
    ],
)
def test_a_refusal_is_named_with_its_remedy_and_only_a_registered_error_is_shown(
    status: int, document: object, text: str
) -> None:
    assert text in failure(answer(document, status))


@pytest.mark.parametrize(("value", "wait_s"), [(b"17", 17.0), (b"nonsense", 0.0)])
def test_a_retry_after_is_read(value: bytes, wait_s: float) -> None:
    with pytest.raises(TokenUnavailable) as caught:
        read_grant("token_url", answer(b"", 429, headers=[(b"retry-after", value)]))
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_date_in_a_retry_after_never_fails(status: int) -> None:
    date = (b"retry-after", b"Sunday, 06-Nov-94 08:49:37 GMT")
    assert f"status {status}" in failure(answer(b"", status, headers=[date]))


class FailingTransport:
    """Fails, and records that it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def send(self, request: Request, timeout_s: float) -> Response:
        raise TransportError(TransportFault.REFUSED_ADDRESS, "login.test has the address 10.0.0.1")

    async def close(self) -> None:
        self.closed += 1


async def test_a_transport_error_is_named_and_the_connection_is_closed() -> None:
    transport = FailingTransport()
    client = TokenClient("token_url", LOGIN, lambda: transport)
    with pytest.raises(TokenUnavailable, match=r"refused_address: login\.test has the address 10\.0\.0\.1"):
        await client.fetch()
    assert transport.closed == 1
