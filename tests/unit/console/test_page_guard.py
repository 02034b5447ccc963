"""Who may do what on the pages: logins, roles, forms of other sites, and the headers of every answer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from structlog.testing import capture_logs

from bridge.console.actor import Actor
from bridge.console.pages.app import pages
from bridge.console.pages.page_request import local_path
from bridge.console.pages.sessions import IDLE_S, LONGEST_S, Sessions
from bridge.errors import ActionRefused, BadCursor, CommitError, KafkaUnavailable, StoreUnavailable
from bridge.telemetry import events
from tests.support.console_fake import MARKUP, NOW_S, FakeConsole
from tests.support.console_pages import OPEN, FakeLogins

ORIGIN = "http://console.test"
READING = (
    "/", "/endpoints/crm", "/search", "/search?status=5xx", "/live", "/event?id=evt-2",
    "/resend?endpoint=crm", "/parked", "/parked/one?address=0:1", "/jobs", "/jobs/rs-1", "/replay",
    "/switches", "/schemas", "/configuration", "/audit",
)  # fmt: skip
CHANGES: dict[str, dict[str, str]] = {
    "/event/resend": {"attempt": "0:1000:0", "event": "evt-0"},
    "/resend": {"endpoint": "crm", "why": "outage"},
    "/parked/confirm": {"address": "0:1", "action": "discard"},
    "/parked/act": {"address": "0:1", "action": "redrive"},
    "/jobs/rs-1": {"action": "pause"},
    "/replay": {"endpoint": "crm", "from": "2h"},
    "/switches/endpoint": {"endpoint": "crm", "to": "off"},
    "/switches/events": {"pattern": "Loan*", "to": "off"},
}
Client = httpx.AsyncClient


@asynccontextmanager
async def browser(logins: FakeLogins = OPEN, fake: FakeConsole | None = None) -> AsyncIterator[Client]:
    contents = fake or FakeConsole()
    app = pages("hookferry", contents, contents, logins, lambda: NOW_S)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        yield client


async def token_of(client: Client, path: str = "/") -> str:
    found = re.search(r'name="form_token" value="(\w+)"', (await client.get(path)).text)
    assert found
    return found[1]


async def log_in(client: Client, token: str) -> httpx.Response:
    return await client.post("/login", data={"token": token, "next": "/parked"})


@pytest.mark.parametrize("path", READING)
async def test_every_page_needs_a_login_and_shows_itself_to_a_reader_without_a_way_to_change(path):
    async with browser(FakeLogins()) as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next=")
        await log_in(client, "read-token")
        answer = await client.get(path)
        assert answer.status_code == 200
        posts = re.findall(r'<form method="post" action="([^"]+)"', answer.text)
        assert set(posts) <= {"/logout", "/theme", "/parked/confirm"}
        assert 'name="action"' not in answer.text


@pytest.mark.parametrize("path", CHANGES)
async def test_a_reader_changes_nothing_even_with_the_token_of_its_own_form(path):
    fake = FakeConsole()
    async with browser(FakeLogins(), fake) as client:
        await log_in(client, "read-token")
        answer = await client.post(path, data=CHANGES[path] | {"form_token": await token_of(client)})
        assert answer.status_code == 403
        assert "needs the role operate" in answer.text
    assert fake.done == []


@pytest.mark.parametrize("path", CHANGES)
async def test_a_form_without_the_token_of_this_session_changes_nothing(path):
    fake = FakeConsole()
    async with browser(fake=fake) as client, browser(fake=fake) as other:
        foreign = await token_of(other)
        await client.get("/")
        for token in ("", foreign, "é"):
            answer = await client.post(path, data=CHANGES[path] | {"form_token": token})
            assert answer.status_code == 403
            assert "another session" in answer.text
    assert fake.done == []


@pytest.mark.parametrize("path", [*CHANGES, "/logout", "/theme"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
async def test_a_page_of_another_site_changes_nothing_even_with_the_right_token(path, headers):
    fake = FakeConsole()
    async with browser(fake=fake) as client:
        given = CHANGES.get(path, {}) | {"form_token": await token_of(client)}
        assert (await client.post(path, data=given, headers=headers)).status_code == 403
    assert fake.done == []


@pytest.mark.parametrize("path", [path for path in CHANGES if path != "/parked/confirm"])
async def test_an_operator_changes_something_and_who_and_why_are_passed_on(path):
    fake = FakeConsole()
    async with browser(FakeLogins(), fake) as client:
        await log_in(client, "operate-token")
        given = {"why": "ticket 7", "key": "k1"} | CHANGES[path] | {"form_token": await token_of(client)}
        answer = await client.post(
            path, data=given, headers={"sec-fetch-site": "same-origin", "origin": ORIGIN}
        )
        assert answer.status_code == 303
        assert f">{fake.done[0][0]}: " in (await client.get(answer.headers["location"])).text
    ((_, _, who),) = fake.done
    assert (who.by, who.why, who.key) == ("ann", given["why"], "k1")


async def test_nothing_is_discarded_without_a_confirmation_and_a_reason():
    fake = FakeConsole()
    async with browser(fake=fake) as client:
        token = await token_of(client)
        given = {"form_token": token, "address": ["0:1", "0:2"], "action": "discard"}
        shown = await client.post("/parked/confirm", data=given)
        assert "Discard 2 events?" in shown.text
        refused = await client.post("/parked/act", data=given | {"why": "  "})
        assert (refused.status_code, fake.done) == (400, [])
        await client.post("/parked/act", data=given | {"why": "test data"})
    ((action, addresses, who),) = fake.done
    assert (action, addresses, who.why) == ("discard", ("0:1", "0:2"), "test data")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"text": "  "},
        {"endpoint": "crm", "since": "yesterday"},
        {"status": "many"},
        {"endpoint": "crm", "rate": "fast"},
    ],
)
async def test_a_bulk_re_send_never_starts_with_filters_that_cannot_be_read_or_without_any(given):
    fake = FakeConsole()
    async with browser(fake=fake) as client:
        answer = await client.post("/resend", data=given | {"form_token": await token_of(client)})
        assert answer.status_code == 400
    assert fake.done == []


async def test_a_wrong_token_begins_no_session_and_guessing_is_slowed_down():
    async with browser(FakeLogins()) as client:
        for _ in range(20):
            answer = await log_in(client, "guess")
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert (await log_in(client, "operate-token")).status_code == 429


async def test_the_log_has_who_logged_in_and_that_a_token_was_wrong_but_no_token():
    with capture_logs() as lines:
        async with browser(FakeLogins()) as client:
            for token in ("guess-1", "guess-2", "read-token"):
                await log_in(client, token)
    assert [line["event"] for line in lines] == [events.CONSOLE_REFUSED, events.CONSOLE_LOGGED_IN]
    assert (lines[1]["by"], lines[1]["role"]) == ("rob", "read")
    assert not any("guess" in str(line) or "read-token" in str(line) for line in lines)


async def test_a_login_goes_back_to_where_it_began_and_its_cookie_is_out_of_reach():
    async with browser(FakeLogins()) as client:
        answer = await client.get("/search?text=a%26b&since=2h")
        shown = await client.get(answer.headers["location"])
        assert 'value="/search?text=a%26b&amp;since=2h"' in shown.text
        begun = await client.post("/login", data={"token": "read-token", "next": "/search?text=a%26b"})
        assert begun.headers["location"] == "/search?text=a%26b"
        cookie = begun.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "secure" not in cookie
        assert "read-token" not in cookie


async def test_over_tls_the_cookie_is_secure():
    async with browser(FakeLogins()) as client:
        answer = await client.post(ORIGIN.replace("http", "https") + "/login", data={"token": "read-token"})
        assert "secure" in answer.headers["set-cookie"].lower()


async def test_behind_a_proxy_that_ends_tls_the_cookie_is_secure_too():
    async with browser(FakeLogins()) as client:
        given = {"token": "read-token"}
        answer = await client.post("/login", data=given, headers={"origin": ORIGIN.replace("http", "https")})
        assert "secure" in answer.headers["set-cookie"].lower()


async def test_logging_out_ends_the_session_on_the_server():
    async with browser(FakeLogins()) as client:
        await log_in(client, "operate-token")
        cookie, token = client.cookies["hookferry_session"], await token_of(client)
        await client.post("/logout", data={"form_token": token})
        client.cookies.set("hookferry_session", cookie)
        assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "evil",
        "",
        "/a\r\nSet-Cookie: b",
        "javascript:alert(1)",
    ],
)
async def test_no_link_leads_to_another_site(path):
    assert local_path(path) == "/"
    async with browser(FakeLogins()) as client:
        answer = await client.post("/login", data={"token": "read-token", "next": path})
        assert answer.headers["location"] == "/"


async def test_a_link_from_another_site_finds_the_session_of_a_strict_cookie():
    """The browser keeps the cookie back on the first request, so the page loads itself once more."""
    async with browser(FakeLogins()) as client:
        answer = await client.get("/event?id=a%22b", headers={"sec-fetch-site": "cross-site"})
        assert 'content="0; url=/event?id=a%22b"' in answer.text
        again = await client.get("/event?id=a%22b", headers={"sec-fetch-site": "same-origin"})
        assert again.status_code == 303


@pytest.mark.parametrize("path", [*READING, "/nosuch", "/login", "/static/console.js", "/static/nosuch"])
async def test_every_answer_has_a_policy_without_inline_script_or_style(path):
    async with browser() as client:
        answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    if "html" in answer.headers.get("content-type", ""):
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", answer.text)


@pytest.mark.parametrize("path", READING)
async def test_event_data_never_becomes_markup(path):
    fake = FakeConsole()
    hostile = MARKUP + "'\"&{{ 7*7 }}"
    fake.rows = [replace(row, reason=hostile, type=hostile) for row in fake.rows]
    async with browser(FakeLogins(Actor(hostile, "operate")), fake) as client:
        for shown in (
            path,
            f"{path}{'&' if '?' in path else '?'}text={hostile.replace('&', '%26')}&cursor=&entity={MARKUP}",
        ):
            text = (await client.get(shown)).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert" in text
            assert "7*7" in text


async def test_a_form_that_is_too_large_or_no_form_is_refused():
    async with browser() as client:
        token = await token_of(client)
        large = await client.post("/theme", data={"form_token": token, "x": "y" * 300_000})
        many = await client.post(
            "/theme",
            content="&".join(["a=b"] * 3000),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        other = await client.post("/theme", json={"form_token": token})
    assert [large.status_code, many.status_code, other.status_code] == [413, 400, 415]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/endpoints/nosuch", "The overview lists all endpoints"),
        ("/event?id=nosuch", "The history has no event"),
        ("/parked/one?address=9:9", "There is no parked event"),
        ("/jobs/nosuch", "There is no such job yet"),
        ("/nosuch", "There is no page"),
    ],
)
async def test_what_does_not_exist_is_a_page_that_helps(path, words):
    async with browser() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert words in answer.text


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BadCursor("x"), 400, "Begin at its first page"),
        (ActionRefused("job x", "it is final", "start a new one"), 409, "start a new one"),
        (KafkaUnavailable("cannot read"), 503, "Kafka did not answer: cannot read"),
        (CommitError("no coordinator"), 503, "Kafka did not answer: no coordinator"),
        (StoreUnavailable("the store", "disk full", "free some space"), 503, "free some space"),
    ],
)
async def test_an_error_of_the_engine_is_a_page_with_its_cause(error, status, words, monkeypatch):
    async def fails():
        raise error

    fake = FakeConsole()
    monkeypatch.setattr(fake, "jobs", fails)
    async with browser(fake=fake) as client:
        answer = await client.get("/jobs")
        assert answer.status_code == status
        assert words in answer.text


async def test_the_search_field_opens_an_event_or_searches():
    async with browser() as client:
        assert (await client.get("/find?q=msg_000005")).headers["location"] == "/event?id=msg_000005"
        assert (await client.get("/find?q=loan 4711%26")).headers["location"] == "/search?text=loan%204711%26"
        assert (await client.get("/find?q=")).headers["location"] == "/search"


async def test_a_filter_with_a_mistake_is_named_and_the_rest_applies():
    async with browser() as client:
        text = (await client.get("/search?since=yesterday&endpoint=ledger")).text
    assert "This filter was left out" in text
    assert "/endpoints/ledger" in text


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sessions(clock: Callable[[], float], most: int = 3) -> Sessions:
    return Sessions(clock, most)


ANN = Actor("ann", "operate")


def test_a_session_ends_after_time_without_a_request_and_after_half_a_day(clock):
    made = sessions(clock)
    idle, busy = made.begin(ANN), made.begin(ANN)
    for _ in range(int(LONGEST_S / IDLE_S) * 2):
        clock.now_s += IDLE_S / 2 + 1
        if clock.now_s > IDLE_S:
            assert made.actor(idle) is None
        if clock.now_s < LONGEST_S:
            assert made.actor(busy) == ANN
    assert clock.now_s > LONGEST_S
    assert made.actor(busy) is None


def test_sessions_are_bounded_and_the_one_unused_for_longest_ends_first(clock):
    made = sessions(clock)
    first, second, third = (made.begin(ANN) for _ in range(3))
    made.actor(first)
    made.begin(ANN)
    assert made.actor(second) is None
    assert made.actor(first) == made.actor(third) == ANN
