"""What the history and ``render`` show of a login: the header, and never its value."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.verdict import DELIVERED
from bridge.model import Request, Response
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.target import Outcome
from bridge.settings import EndpointSettings
from bridge.telemetry.metrics import Metrics
from bridge.wiring.delivery import build_target
from bridge.wiring.endpoints import build_renderer
from tests.support.fakes import FakeHistory, event
from tests.support.path import Plan, settings_of

CANARY = "s3cr3t-canary-77"
OAUTH2 = {"token_url": "https://login.test/token", "client_id": "a", "client_secret": CANARY}


def test_a_key_in_the_query_follows_what_a_template_inserts() -> None:
    url = "https://crm.test/hooks/{{ entity }}?type={{ type }}"
    auth = {"api_key": {"query": "key", "value": "a{{b"}}
    endpoint = EndpointSettings.model_validate({"url": url, "auth": auth})
    rendered = build_renderer(endpoint).render(event("a", entity="e 7"))
    assert rendered.url.target == "/hooks/e%207?type=Created&key=a%7B%7Bb"


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"basic": {"username": "a", "password": CANARY}}, b"Authorization: ***"),
        ({"bearer": {"token": CANARY}}, b"Authorization: ***"),
        ({"api_key": {"header": "X-Api-Key", "value": CANARY}}, b"X-Api-Key: ***"),
        ({"api_key": {"query": "key", "value": CANARY}}, b"content-type: application/json"),
        ({"oauth2": OAUTH2}, b"authorization: ***"),
    ],
)
async def test_the_row_of_an_attempt_has_the_masked_header(auth: dict[str, Any], shown: bytes) -> None:
    endpoint = EndpointSettings.model_validate({"url": "https://crm.test/hooks", "auth": auth})
    target = build_target("crm", endpoint, settings_of({"crm": Plan()}))
    history = FakeHistory()
    log = AttemptLog(target, history, Metrics().endpoint("crm"))  # type: ignore[arg-type]
    method, url, headers, body = build_renderer(endpoint).render(event("a"))
    request = Request(method, url, (*headers, (b"webhook-id", b"1"), *target.headers), body)
    log.record(event("a"), 1, request, Outcome(Response(200, (), b""), 0.0, 0.1), DELIVERED, 1)
    log.write_successes()
    (row,) = history.rows
    assert shown in row.headers
    assert CANARY not in repr(row)
