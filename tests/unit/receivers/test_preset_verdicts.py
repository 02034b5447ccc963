"""The meaning of each receiver's answers: a table of facts, and how a preset changes the verdict."""

from __future__ import annotations

import json

import pytest

from bridge.core.verdict import Judgement, judge
from bridge.errors import TransportError, TransportFault
from bridge.model import Response, Verdict
from bridge.receivers import PRESETS

DELIVERED, AGAIN, PARK, OFF = Verdict.DELIVERED, Verdict.AGAIN, Verdict.PARK, Verdict.OFF


def judged(preset: str, status: int, body: str = "", **headers: str) -> Judgement:
    named = tuple((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items())
    return judge(Response(status, named, body.encode()), 0.0, PRESETS[preset].judge)


TEAMS_FAILED = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {}."


@pytest.mark.parametrize(
    ("preset", "status", "body", "verdict"),
    [
        ("slack", 200, "ok", DELIVERED),
        ("slack", 200, "ok\n", DELIVERED),
        ("slack", 200, "<html>login</html>", AGAIN),
        ("slack", 202, "ok", AGAIN),
        *(
            ("slack", 400, word, PARK)
            for word in (
                "invalid_payload",
                "user_not_found",
                "no_text",
                "invalid_blocks",
                "too_many_attachments",
                "something_new",
            )
        ),
        ("slack", 403, "action_prohibited", OFF),
        ("slack", 403, "invalid_token", OFF),
        *(("slack", 404, w, OFF) for w in ("channel_not_found", "no_service", "no_team", "no_active_hooks")),
        ("slack", 410, "channel_is_archived", OFF),
        ("slack", 403, "<html>a proxy's own page</html>", PARK),
        ("slack", 429, "rate_limited", AGAIN),
        ("slack", 500, "rollup_error", AGAIN),
        ("zapier", 200, '{"status": "success"}', DELIVERED),
        ("zapier", 201, "", AGAIN),
        ("zapier", 400, "", PARK),
        ("zapier", 408, "", PARK),
        ("zapier", 410, "", OFF),
        ("zapier", 429, "", AGAIN),
        ("zapier", 503, "", AGAIN),
        ("teams-connector", 200, "1", DELIVERED),
        ("teams-connector", 200, "", AGAIN),
        ("teams-connector", 200, TEAMS_FAILED.format(429), AGAIN),
        ("teams-connector", 200, TEAMS_FAILED.format(413), PARK),
        ("teams-connector", 200, TEAMS_FAILED.format(400), PARK),
        ("teams-connector", 200, TEAMS_FAILED.format(404), OFF),
        ("teams-connector", 200, TEAMS_FAILED.format(503), AGAIN),
        ("teams-connector", 200, "HTTP error 200", AGAIN),
        ("teams-connector", 400, "Summary or Text is required.", PARK),
        ("teams-connector", 413, "", PARK),
        ("teams-connector", 404, "", OFF),
        ("teams", 202, "", DELIVERED),
        ("teams", 200, "", AGAIN),
        ("teams", 400, "", PARK),
        ("teams", 413, "", PARK),
        ("teams", 404, "", OFF),
        ("teams", 429, "", AGAIN),
        ("discord", 200, "{}", DELIVERED),
        ("discord", 204, "", DELIVERED),
        ("discord", 202, "", AGAIN),
        ("discord", 400, '{"code": 50035}', PARK),
        ("discord", 401, "", OFF),
        ("discord", 403, "", OFF),
        ("discord", 404, '{"code": 10015}', OFF),
        ("discord", 429, "not json", AGAIN),
        ("pagerduty", 202, '{"status": "success"}', DELIVERED),
        ("pagerduty", 200, "", AGAIN),
        ("pagerduty", 400, '{"status": "invalid event"}', PARK),
        ("pagerduty", 429, "", AGAIN),
        ("pagerduty", 500, "", AGAIN),
        ("standard", 204, "", DELIVERED),
        ("standard", 404, "", PARK),
        ("fineract-hook", 201, "", DELIVERED),
        ("fineract-hook", 404, "", PARK),
    ],
)
def test_each_preset_judges_an_answer_as_its_receiver_means_it(preset, status, body, verdict):
    assert judged(preset, status, body).verdict is verdict


@pytest.mark.parametrize("preset", PRESETS)
def test_a_retry_after_header_is_kept(preset):
    off = judged(preset, 200, "whatever", webhook_delivery="disable")
    assert off.verdict is OFF
    assert judged(preset, 410).verdict is OFF
    assert judged(preset, 302).verdict is AGAIN
    failed = judge(TransportError(TransportFault.TIMEOUT, "slow"), 0.0, PRESETS[preset].judge)
    assert (failed.verdict, failed.kind) == (AGAIN, "failed")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_throttling_answer_pauses_the_whole_endpoint(preset):
    told = judged(preset, 429, "", retry_after="7")
    assert (told.verdict, told.kind, told.retry_after_s) == (AGAIN, "throttled", 7.0)


def test_a_connectors_throttling_in_a_200_slows_the_endpoint_down():
    told = judged("teams-connector", 200, TEAMS_FAILED.format(429))
    assert told.kind == "throttled"
    assert "429" in told.reason


def test_a_deleted_connector_in_a_200_keeps_its_event():
    """With kind "ok" the event would be settled."""
    assert judged("teams-connector", 200, TEAMS_FAILED.format(404)).kind != "ok"


def test_discord_waits_for_the_longer_of_its_two_intervals():
    body = json.dumps({"message": "You are being rate limited.", "retry_after": 64.57, "global": True})
    told = judged("discord", 429, body, retry_after="64")
    assert told.retry_after_s == 64.57
    assert "whole account" in told.reason
    assert judged("discord", 429, '{"retry_after": 0.3}', retry_after="1").retry_after_s == 1.0
    assert judged("discord", 429, '{"retry_after": "soon"}').retry_after_s is None
    assert judged("discord", 429, '{"retry_after": NaN}').retry_after_s is None
    assert judged("discord", 429, "[]").retry_after_s is None


def test_discord_waits_before_a_429_is_due():
    used_up = judged("discord", 200, x_ratelimit_remaining="0", x_ratelimit_reset_after="1.25")
    assert (used_up.verdict, used_up.kind, used_up.retry_after_s) == (DELIVERED, "ok", 1.25)
    assert (
        judged("discord", 200, x_ratelimit_remaining="3", x_ratelimit_reset_after="1").retry_after_s is None
    )
    odd = judged("discord", 200, x_ratelimit_remaining="0", x_ratelimit_reset_after="-1")
    assert odd.retry_after_s is None


def test_the_reason_contains_the_remedy():
    assert (
        "status 404: no_service (create a new webhook in Slack" in judged("slack", 404, "no_service").reason
    )
    assert "login" in judged("slack", 200, "<html>login</html>").reason
    assert "Response" in judged("teams", 200).reason


def test_the_shown_answer_is_one_short_line():
    reason = judged("slack", 200, "a\r\nb\x1b[31m" + "x" * 10_000).reason
    assert len(reason) < 300
    assert reason.isprintable()


@pytest.mark.parametrize(
    ("preset", "status", "body", "verdict"),
    [
        ("slack", 404, "", AGAIN),
        ("slack", 404, "user_not_found", AGAIN),
        ("slack", 404, "channel_not_found", OFF),
        ("slack", 408, "user_not_found", AGAIN),
        ("zapier", 404, "", AGAIN),
        ("zapier", 408, "", AGAIN),
        ("teams", 404, "", OFF),
        ("teams", 401, "", AGAIN),
        ("teams-connector", 404, "", OFF),
        ("teams-connector", 401, "", AGAIN),
        ("discord", 401, "", OFF),
        ("discord", 404, "", OFF),
        ("pagerduty", 404, "", AGAIN),
        *((preset, 410, "", OFF) for preset in PRESETS),
    ],
)
def test_retry_on_retries_what_a_preset_parks_but_not_what_turns_the_endpoint_off(
    preset: str, status: int, body: str, verdict: Verdict
) -> None:
    retry_on = frozenset({401, 404, 408})
    judgement = judge(Response(status, (), body.encode()), 0.0, PRESETS[preset].judge, retry_on)
    assert judgement.verdict is verdict
    assert ("retry.retry_on" in judgement.reason) is (verdict is AGAIN)


def test_retry_on_also_reads_the_retry_after_of_what_a_preset_parks() -> None:
    answer = Response(408, ((b"retry-after", b"5"),), b"")
    judgement = judge(answer, 0.0, PRESETS["zapier"].judge, frozenset({408}))
    assert (judgement.verdict, judgement.retry_after_s) == (AGAIN, 5)
