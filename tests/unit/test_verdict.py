"""Verdicts: what an answer means, as a table."""

from __future__ import annotations

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.model import Response, Verdict
from bridge.verdict import judge

DELIVERED, AGAIN, PARK, OFF = Verdict.DELIVERED, Verdict.AGAIN, Verdict.PARK, Verdict.OFF


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
def test_no_answer_is_tried_again(fault: TransportFault) -> None:
    judgement = judge(TransportError(fault, "crm.test"))
    assert judgement == (AGAIN, f"{fault}: crm.test")


def test_the_reason_shows_the_beginning_of_the_body_in_one_line() -> None:
    body = b"invalid\r\n\x1b[31mpayload\x00" + b"x" * 1000
    reason = judge(Response(400, (), body)).reason
    assert reason.startswith("status 400: invalid")
    assert reason.isprintable()
    assert len(reason) < 250


@pytest.mark.parametrize("body", ["é".encode() * 500, b"\xff" * 500])
def test_a_body_cut_within_a_character_or_in_no_encoding_is_shown_all_the_same(body: bytes) -> None:
    assert judge(Response(500, (), body)).reason.startswith("status 500: ")


def test_a_redirect_says_what_to_do() -> None:
    assert "set the endpoint's final url" in judge(Response(302, (), b"")).reason
