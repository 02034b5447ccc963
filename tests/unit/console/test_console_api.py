"""The API over a fake: who may do what, what errors look like, and what reaches the engine."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.console.access import Logins
from bridge.console.ports import Done, Who
from bridge.console.query import AttemptQuery, ParkedQuery
from bridge.errors import ActionRefused, BadCursor, ConfigError, KafkaUnavailable
from bridge.settings.models.console import ConsoleSettings
from bridge.wiring.replay_plan import ReplayRequest
from tests.support.console_client import FEED_TOKEN, OPERATE_TOKEN, READ_TOKEN, WITH_LOGIN, Client
from tests.support.console_fake import FakeConsole

READS = [
    "overview", "attempts", "attempts/1:1001:0", "events/evt-2", "endpoints", "endpoints/crm", "parked",
    "parked/0:1", "jobs", "jobs/rs-1", "switches", "schemas", "config", "audit",
]  # fmt: skip
CHANGES: list[tuple[str, dict[str, Any], tuple[str, tuple[Any, ...]]]] = [
    ("endpoints/crm/off", {}, ("switch_endpoint", ("crm", False))),
    ("event-types/on", {"pattern": "Loan*"}, ("switch_events", ("Loan*", "*", True))),
    ("parked/redrive", {"addresses": ["0:1", "0:2"]}, ("redrive", ("0:1", "0:2"))),
    (
        "parked/redrive",
        {"filter": {"endpoint": "crm", "since": "2026-01-01T00:00:00Z"}},
        ("redrive_all", (ParkedQuery("crm", since_s=1767225600.0),)),
    ),
    ("parked/discard", {"addresses": ["0:1"]}, ("discard", ("0:1",))),
    ("attempts/0:1:2/resend", {"new_id": True}, ("resend", ("0:1:2", False, True))),
    (
        "resends",
        {"filter": {"status": "5XX", "text": ""}, "rate_per_s": 5},
        ("resend_all", (AttemptQuery(status="5xx"), False, False, 5.0)),
    ),
    (
        "replays",
        {"endpoint": "crm", "since": "2026-01-01T00:00:00", "when": "data.a == 1"},
        ("replay", (ReplayRequest("crm", 1767225600000, when="data.a == 1"),)),
    ),
    ("jobs/rs-1/pause", {}, ("pause_job", ("rs-1",))),
    ("jobs/rs-1/resume", {}, ("resume_job", ("rs-1",))),
    ("jobs/rs-1/cancel", {}, ("cancel_job", ("rs-1",))),
]


@pytest.fixture
def fake() -> FakeConsole:
    return FakeConsole()


@pytest.fixture
def client(fake: FakeConsole) -> Client:
    return Client(fake, fake, WITH_LOGIN)


def is_problem(answer: Any, status: int) -> bool:
    document = answer.json()
    return (
        answer.status_code == document["status"] == status
        and answer.headers["content-type"] == "application/problem+json"
        and bool(document["detail"])
        and bool(document["title"])
    )


@pytest.mark.parametrize("path", READS)
async def test_reading_needs_a_token_of_any_role(client: Client, path: str) -> None:
    assert (await client.send("GET", f"/api/v1/{path}", token=READ_TOKEN)).status_code == 200
    refused = await client.send("GET", f"/api/v1/{path}")
    assert is_problem(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    for wrong in ("x" * 20, READ_TOKEN[:-1], READ_TOKEN + "r", FEED_TOKEN, "é"):
        headers = {"authorization": f"Bearer {wrong}".encode()}
        assert is_problem(await client.send("GET", f"/api/v1/{path}", headers=headers), 401)


@pytest.mark.parametrize(("path", "body", "done"), CHANGES)
async def test_changes_need_the_role_operate_and_reach_the_engine_with_who_and_why(
    client: Client, fake: FakeConsole, path: str, body: dict[str, Any], done: Any
) -> None:
    content = body | {"reason": "outage"}
    assert is_problem(await client.send("POST", f"/api/v1/{path}", json=content), 401)
    assert is_problem(await client.send("POST", f"/api/v1/{path}", json=content, token=READ_TOKEN), 403)
    assert fake.done == []
    answer = await client.send(
        "POST", f"/api/v1/{path}", json=content, token=OPERATE_TOKEN, headers={"Idempotency-Key": "k1"}
    )
    assert answer.status_code == 200, answer.text
    assert fake.done == [(*done, Who("ann by API", "outage", "k1"))]


async def test_a_dry_run_counts_and_changes_nothing(client: Client, fake: FakeConsole) -> None:
    body = {"filter": {"endpoint": "crm"}, "dry_run": True}
    answer = await client.send("POST", "/api/v1/resends", json=body, token=OPERATE_TOKEN)
    assert answer.json()["count"] == 40
    assert fake.done == []


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "attempts?limit=0", None, 422),
        ("GET", "attempts?limit=501", None, 422),
        ("GET", "attempts?since=yesterday", None, 422),
        ("GET", "attempts?status=abc", None, 422),
        ("GET", "attempts?verdict=maybe", None, 422),
        ("GET", "attempts/9:9:9", None, 404),
        ("GET", "events/nobody", None, 404),
        ("GET", "endpoints/nobody", None, 404),
        ("GET", "parked/7:7", None, 404),
        ("GET", "jobs/none", None, 404),
        ("GET", "nothing", None, 404),
        ("DELETE", "attempts", None, 404),
        ("POST", "endpoints/crm/sideways", {}, 422),
        ("POST", "endpoints/crm/off", {"reson": "x"}, 422),
        ("POST", "endpoints/crm/off", {"reason": "x" * 501}, 422),
        ("POST", "parked/redrive", {}, 422),
        ("POST", "parked/redrive", {"addresses": ["0:1"], "filter": {}}, 422),
        ("POST", "parked/discard", {"addresses": []}, 422),
        ("POST", "resends", {"filter": {"status": "9"}}, 422),
        ("POST", "resends", {"filter": {}, "rate_per_s": 0}, 422),
        ("POST", "resends", [], 422),
        ("POST", "replays", {"endpoint": "crm"}, 422),
    ],
)
async def test_every_wrong_request_is_answered_with_a_problem_document(
    client: Client, fake: FakeConsole, method: str, target: str, body: Any, status: int
) -> None:
    answer = await client.send(method, f"/api/v1/{target}", json=body, token=OPERATE_TOKEN)
    assert is_problem(answer, status), answer.text
    assert fake.done == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadCursor("no cursor"), 400),
        (ActionRefused("endpoint x", "it is gone", "choose another"), 409),
        (KafkaUnavailable("cannot read"), 503),
        (ZeroDivisionError("secret detail"), 500),
    ],
)
async def test_errors_of_the_engine_are_problems_without_a_traceback(
    fake: FakeConsole, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> Done:
        raise error

    monkeypatch.setattr(fake, "switch_endpoint", fails)
    client = Client(fake, fake, WITH_LOGIN)
    answer = await client.send("POST", "/api/v1/endpoints/crm/on", json={}, token=OPERATE_TOKEN)
    assert is_problem(answer, status)
    assert "Traceback" not in answer.text
    assert "secret detail" not in answer.text
    if status == 409:
        assert answer.json()["remedy"] == "choose another"


async def test_filters_of_the_url_reach_the_engine(client: Client) -> None:
    target = "/api/v1/attempts?endpoint=crm&status=5xx&type=Loan*&limit=3"
    rows = (await client.send("GET", target, token=READ_TOKEN)).json()["items"]
    assert rows == [] or {row["endpoint"] for row in rows} == {"crm"}
    page = (await client.send("GET", "/api/v1/attempts?limit=3", token=READ_TOKEN)).json()
    rest = await client.send("GET", f"/api/v1/attempts?limit=3&cursor={page['cursor']}", token=READ_TOKEN)
    assert page["items"] != rest.json()["items"]


async def test_ids_of_events_may_contain_slashes(fake: FakeConsole, client: Client) -> None:
    fake.rows = [fake.rows[0].__class__(**{**_fields(fake.rows[0]), "event_id": "a/b c"})]
    assert (await client.send("GET", "/api/v1/events/a%2Fb%20c", token=READ_TOKEN)).status_code == 200


def _fields(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


async def test_without_a_login_this_machine_may_change_everything(fake: FakeConsole) -> None:
    client = Client(fake, fake, {})
    assert (await client.send("POST", "/api/v1/endpoints/crm/off", json={})).status_code == 200
    assert fake.done[0][2].by == "someone on this machine by API"


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7", "::", "console.bank"])
def test_another_address_without_a_login_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"set console\.tokens or console\.oidc, or listen on 127"):
        Logins(ConsoleSettings(host=host))
    Logins(ConsoleSettings(**WITH_LOGIN | {"host": host}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_no_login(host: str) -> None:
    assert Logins(ConsoleSettings(host=host)).anonymous is not None


async def test_the_description_of_the_api_is_served_and_complete(client: Client) -> None:
    document = (await client.send("GET", "/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    assert {f"/api/v1/{path}" for path in ("attempts", "audit", "resends", "replays")} <= set(
        document["paths"]
    )
    assert (await client.send("GET", "/docs", token=READ_TOKEN)).status_code == 404


async def test_the_feed_needs_the_token_of_its_endpoint(client: Client) -> None:
    for target in ("/feed/crm", "/feed/crm/digest"):
        assert (await client.send("GET", target, token=FEED_TOKEN)).status_code == 200
        assert (await client.send("GET", target, token=READ_TOKEN)).status_code == 200
        assert is_problem(await client.send("GET", target), 401)
    assert is_problem(await client.send("GET", "/feed/ledger", token=FEED_TOKEN), 401)
    wrong = "/feed/crm/digest?since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z"
    assert is_problem(await client.send("GET", wrong, token=FEED_TOKEN), 422)
