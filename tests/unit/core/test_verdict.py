"""Verdicts: what an answer means, as a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.core.verdict import judge
from bridge.errors import TransportError, TransportFault
from bridge.model import AnswerKind, Response, Verdict

DELIVERED, AGAIN, PARK, OFF = Verdict.DELIVERED, Verdict.AGAIN, Verdict.PARK, Verdict.OFF

NOON_S = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, DELIVERED), (201, DELIVERED), (202, DELIVERED), (204, DELIVERED), (299, DELIVERED),
        (300, AGAIN), (301, AGAIN), (304, AGAIN), (308, AGAIN), (399, AGAIN),
        (400, PARK), (401, PARK), (403, PARK), (404, PARK), (409, PARK), (410, OFF), (422, PARK),
        (499, PARK),
        (408, AGAIN), (425, AGAIN), (429, AGAIN),
        (500, AGAIN), (501, AGAIN), (502, AGAIN), (503, AGAIN), (504, AGAIN), (599, AGAIN),
    ],
)  # fmt: skip
def test_a_status_has_its_verdict(status: int, verdict: Verdict) -> None:
    judgement = judge(Response(status, (), b""))
    assert judgement.verdict is verdict
    assert str(status) in judgement.reason or verdict is DELIVERED


@pytest.mark.parametrize("fault", list(TransportFault))
def test_no_answer_is_retried(fault: TransportFault) -> None:
    judgement = judge(TransportError(fault, "crm.test"))
    assert judgement[:4] == (AGAIN, f"{fault}: crm.test", "failed", None)


def test_the_reason_shows_the_beginning_of_the_body_on_one_line() -> None:
    body = b"invalid\r\n\x1b[31mpayload\x00" + b"x" * 1000
    reason = judge(Response(400, (), body)).reason
    assert reason.startswith("status 400: invalid")
    assert reason.isprintable()
    assert len(reason) < 250


@pytest.mark.parametrize("body", ["é".encode() * 500, b"\xff" * 500])
def test_a_body_that_is_not_valid_utf8_is_shown_in_the_reason(body: bytes) -> None:
    assert judge(Response(500, (), body)).reason.startswith("status 500: ")


def test_the_reason_of_a_redirect_names_the_remedy() -> None:
    assert "set the endpoint's final url" in judge(Response(302, (), b"")).reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "ok"), (204, "ok"), (299, "ok"), (429, "throttled"),
        (502, "unavailable"), (503, "unavailable"), (504, "unavailable"),
        (500, "failed"), (501, "failed"), (505, "failed"), (599, "failed"),
        (302, "other"), (400, "other"), (404, "other"), (408, "other"), (410, "other"), (425, "other"),
    ],
)  # fmt: skip
def test_a_status_has_a_kind_for_the_endpoint_as_a_whole(status: int, kind: AnswerKind) -> None:
    assert judge(Response(status, (), b"")).kind == kind


@pytest.mark.parametrize("status", [429, 500, 503, 408, 302])
@pytest.mark.parametrize(
    ("value", "asked_s"),
    [(b"37", 37), (b"1.5", 1.5), (b"Sun, 01 Mar 2026 12:00:37 GMT", 37), (b"-3", None), (b"soon", None)],
)
def test_retry_after_is_read_from_answers_that_are_retried(
    status: int, value: bytes, asked_s: float | None
) -> None:
    answer = Response(status, ((b"retry-after", value),), b"")
    assert judge(answer, NOON_S).retry_after_s == asked_s


def test_retry_after_with_a_date_is_ignored_if_the_time_is_unknown() -> None:
    answer = Response(503, ((b"retry-after", b"Sun, 01 Mar 2026 12:00:37 GMT"),), b"")
    assert judge(answer).retry_after_s == 0


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_receiver_can_abort_one_message(status: int) -> None:
    judgement = judge(Response(status, ((b"webhook-delivery", b"Abort-Message "),), b"no"))
    assert judgement.verdict is PARK
    assert judgement.reason == f"status {status}: no (the receiver asked to abort this message)"
    assert judgement.kind == judge(Response(status, (), b"")).kind


def test_a_2xx_cannot_abort_its_message() -> None:
    assert judge(Response(200, ((b"webhook-delivery", b"abort-message"),), b"")).verdict is DELIVERED


@pytest.mark.parametrize(("status", "kind"), [(200, "ok"), (400, "other"), (503, "unavailable")])
def test_a_receiver_can_disable_its_endpoint(status: int, kind: AnswerKind) -> None:
    """With kind ``ok`` the event itself was taken: settle it, then turn off."""
    judgement = judge(Response(status, ((b"webhook-delivery", b"disable"),), b""))
    assert (judgement.verdict, judgement.kind) == (OFF, kind)


def test_another_webhook_delivery_header_changes_nothing() -> None:
    assert judge(Response(500, ((b"webhook-delivery", b"retry"),), b"")).verdict is AGAIN


def test_a_410_turns_the_endpoint_off_even_with_abort_message() -> None:
    assert judge(Response(410, ((b"webhook-delivery", b"abort-message"),), b"")).verdict is OFF


def test_a_status_in_retry_on_is_retried_and_the_reason_names_the_setting() -> None:
    answer = Response(404, ((b"retry-after", b"37"),), b"no route")
    assert judge(answer, NOON_S, retry_on=frozenset({401, 404}))[:4] == (
        AGAIN,
        "status 404: no route (retried: retry.retry_on contains 404)",
        "other",
        37,
    )


@pytest.mark.parametrize("status", [200, 302, 403, 408, 410, 429, 503])
def test_retry_on_changes_no_other_status(status: int) -> None:
    answer = Response(status, (), b"")
    assert judge(answer, retry_on=frozenset({401, 404, 408, 410, 429})) == judge(answer)


@pytest.mark.parametrize(
    ("request_", "verdict"), [(b" Abort-Message", PARK), (b"disable", OFF), (b"x", AGAIN)]
)
def test_a_receivers_own_request_takes_precedence_over_retry_on(request_: bytes, verdict: Verdict) -> None:
    answer = Response(404, ((b"webhook-delivery", request_),), b"")
    assert judge(answer, retry_on=frozenset({404})).verdict is verdict
