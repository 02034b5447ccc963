"""What the reason of a failed attempt shows of an answer that repeats a secret."""

from __future__ import annotations

from functools import partial

import pytest

from bridge.core.verdict import judge
from bridge.errors import TransportError, TransportFault
from bridge.model import Response
from bridge.pipeline.shown_reason import without_secrets
from bridge.receivers import PRESETS
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret

TOKEN = "t0ken-7f3a9-5c1e2-8d4b6"


@pytest.fixture(autouse=True)
def _token_is_in_force() -> None:
    in_force.learn([Secret(TOKEN)])


def reason(answer: Response | TransportError, preset: str = "standard") -> str:
    judged = partial(judge, own=PRESETS[preset].judge)
    return without_secrets(judged(answer), answer, judged).reason


def test_an_answer_that_repeats_a_secret_is_shown_without_it() -> None:
    assert reason(Response(401, (), f"Bearer {TOKEN} is wrong".encode())) == "status 401: Bearer *** is wrong"


@pytest.mark.parametrize("before", range(150, 200))
def test_no_part_of_a_secret_is_left_where_a_reason_is_cut(before: int) -> None:
    answer = Response(400, (), b"-" * before + TOKEN.encode() * 3)
    assert TOKEN[:6] not in reason(answer)


@pytest.mark.parametrize("before", range(170, 200))
def test_no_part_of_a_secret_is_left_in_front_of_what_follows_the_answer(before: int) -> None:
    answer = Response(401, (), b"-" * before + TOKEN.encode())
    judged = partial(judge, retry_on=frozenset({401}))
    shown = without_secrets(judged(answer), answer, judged).reason
    assert shown.endswith("(retried: retry.retry_on contains 401)")
    assert TOKEN[:2] not in shown.replace("retried", "").replace("retry", "")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("status", [200, 202, 400, 404, 410, 429, 500])
def test_the_reasons_of_presets_are_without_secrets_too(preset: str, status: int) -> None:
    shown = reason(Response(status, (), f"you sent {TOKEN}, see HTTP error 429".encode()), preset)
    assert TOKEN[:6] not in shown


def test_a_secret_that_is_the_word_which_decides_does_not_change_the_verdict_or_the_remedy() -> None:
    in_force.learn([Secret("service-7f3a9"), Secret("no_service")])
    assert reason(Response(404, (), b"no_service"), "slack") == (
        "status 404: *** (create a new webhook in Slack and set its URL as url)"
    )


def test_an_error_of_the_transport_is_without_secrets() -> None:
    error = TransportError(TransportFault.CONNECT, f"cannot be reached through the proxy: 407 {TOKEN}")
    assert reason(error).endswith("proxy: 407 ***")


def test_the_reason_of_an_answer_without_a_secret_is_unchanged() -> None:
    answer = Response(422, (), b'{"error": "no such loan"}')
    assert reason(answer) == judge(answer).reason
