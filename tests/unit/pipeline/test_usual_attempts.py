"""What attempts have in common is remembered, and never kept for an attempt that differs in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.core.verdict import DELIVERED, Judgement
from bridge.errors import TransportError, TransportFault
from bridge.history.attempt import Attempt
from bridge.history.batch import Writer, decode
from bridge.history.encoding import encode
from bridge.history.row import Common, Entry, Row
from bridge.model import Event, Partition, Record, Request, Resend, Response, Url, Verdict
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.shown_answers import LEFT_OUT, SEARCHES_PER_S, ShownAnswers
from bridge.pipeline.target import Outcome, Target
from bridge.rendering import Headers
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret
from tests.support.attempt_targets import every_target, targets
from tests.support.attempts import entry_of
from tests.support.fakes import FakeHistory, event
from tests.support.simulated import simulated

CANARY = b"s3cr3t-canary-77"
TOKEN = b"t0ken-of-the-event"
OWN_HEADERS = ((b"X-Key", CANARY),)
WRITER = Writer("p", "crm", 1)


class RowHistory:
    """Keeps the rows as they are."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, attempt: Row) -> None:
        self.rows.append(attempt)

    def add_all(self, attempts: Sequence[Row]) -> None:
        self.rows.extend(attempts)


class Made(NamedTuple):
    """An attempt that was made."""

    event: Event
    number: int
    request: Request
    outcome: Outcome
    judgement: Judgement
    own: int


def sent(offset: int, repeats: str | None) -> Event:
    """Return an event; it is sent again if it ``repeats`` an attempt."""
    made = event(f"id-{offset}", offset)
    if repeats is not None:
        made.resend = Resend(made.record, "crm", f"again-{offset}", repeats=repeats)
    return made


OK = Response(200, ((b"date", b"now"),), b"ok")
CHANGES: dict[str, list[Any]] = {
    "repeats": ["", "0:1:2"],
    "method": ["PUT"],
    "host": ["other.test"],
    "path": ["/b"],
    "headers": [(), ((b"X-Token", TOKEN),)],
    "body": [b"longer than twenty bytes", CANARY, b"y" * 200],
    "answer": [
        OK._replace(status=202), OK._replace(headers=((b"echo", CANARY),)), OK._replace(headers=()),
        OK._replace(body=b"you sent " + CANARY), OK._replace(body=b"x" * 3000),
        TransportError(TransportFault.TIMEOUT, "no answer"),
    ],
    "judgement": [Judgement(Verdict.AGAIN, "status 503"), Judgement(Verdict.PARK, "no")],
    "own": [0],
}  # fmt: skip
DIFFERENT = [(name, value) for name, values in CHANGES.items() for value in values]
ATTEMPTS = st.lists(st.sampled_from(DIFFERENT), max_size=1).map(dict)
"""The usual attempt, or one that differs in one thing."""


def make(
    repeats: str | None = None,
    method: str = "POST",
    host: str = "crm.test",
    path: str = "/a",
    headers: Headers = ((b"a", b"1"),),
    body: bytes = b"{}",
    answer: Response | TransportError = OK,
    judgement: Judgement = DELIVERED,
    own: int = 1,
) -> Made:
    request = Request(method, Url("https", host, 443, path), headers + OWN_HEADERS, body)
    return Made(sent(5, repeats), 1, request, Outcome(answer, 1e9, 0.25), judgement, own)


def kept(log: AttemptLog, history: FakeHistory, made: Made) -> Attempt:
    log.record(*made)
    return history.rows[-1]


@simulated
async def compare(target: Target, attempts: list[Made]) -> None:
    in_force.learn([Secret(CANARY.decode())])
    history, metrics = FakeHistory(), Metrics()
    log = AttemptLog(target, history, metrics.endpoint("crm"))
    with capture_logs():
        for made in attempts:
            alone = FakeHistory()
            expected = kept(AttemptLog(target, alone, metrics.endpoint("crm")), alone, made)
            assert kept(log, history, made) == expected
            assert (expected.method, expected.own_headers) == (made.request.method, made.own)
    rows = history.rows
    shown = [part for row in rows for part in (row.headers, row.answer_headers, row.answer_body) if part]
    assert not any(CANARY in part for part in shown)
    assert b"x-token" not in target.secret_headers or not any(TOKEN in part for part in shown)
    assert not target.scrub_bodies or not any(CANARY in (row.body or b"") for row in rows)
    record = Record(Partition("g.attempts", 0), 0, 0, b"crm", encode(WRITER, [*map(entry_of, rows)]))
    assert [each.attempt for each in decode(record)[1]] == rows


@given(targets(OWN_HEADERS), st.lists(ATTEMPTS, min_size=2, max_size=8))
def test_an_attempt_is_kept_as_if_it_were_the_first_one(
    target: Target, attempts: list[dict[str, Any]]
) -> None:
    compare(target, [make(**differences) for differences in attempts])


@pytest.mark.parametrize(("name", "value"), DIFFERENT)
def test_one_difference_between_usual_attempts_is_kept_with_every_target(name: str, value: Any) -> None:
    """The test above finds most of these only now and then."""
    for target in every_target(OWN_HEADERS):
        compare(target, [make(), make(), make(**{name: value}), make()])


@simulated
async def test_attempts_that_are_answered_alike_share_what_they_have_in_common() -> None:
    history = RowHistory()
    target = Target("crm", (), frozenset(), 7.0, True, kept_success=20)
    log = AttemptLog(target, history, Metrics().endpoint("crm"))
    for offset in range(3):
        request = Request("POST", Url("https", "crm.test", 443, "/"), (), b"%d" % offset)
        log.record(sent(offset, None), 1, request, Outcome(Response(200, (), b"ok"), 0.0, 0.1), DELIVERED, 0)
    assert len({id(Entry(*row).common) for row in history.rows}) == 1


@pytest.mark.parametrize("answer", [Response(200, (), TOKEN), Response(200, ((b"echo", TOKEN),), b"ok")])
@simulated
async def test_an_answer_that_repeats_is_searched_again_when_a_login_adds_a_secret(answer: Response) -> None:
    history = RowHistory()
    log = AttemptLog(Target("crm", (), frozenset(), 7.0, True, 20), history, Metrics().endpoint("crm"))
    for number in range(3):
        if number == 2:
            in_force.learn_token("login", TOKEN.decode())
        log.record(*make(answer=answer))
    assert [TOKEN in b"".join(filter(None, common_of(row))) for row in history.rows] == [True, True, False]


@simulated
async def test_an_answer_that_was_left_out_is_searched_when_it_comes_again_later() -> None:
    history, now = RowHistory(), [100.0]
    log = AttemptLog(Target("crm", (), frozenset(), 7.0, True, 20), history, Metrics().endpoint("crm"))
    log._answers = ShownAnswers(in_force.head, lambda: now[0])
    for number in range(SEARCHES_PER_S):
        log.record(*make(answer=Response(200, (), b"%d" % number)))
    for later_s in (0.0, 0.0, 1.0):
        now[0] += later_s
        log.record(*make(answer=Response(200, (), b"ok")))
    assert [common_of(row)[1] for row in history.rows[-3:]] == [LEFT_OUT, LEFT_OUT, b"ok"]


def common_of(row: Row) -> tuple[bytes | None, bytes | None]:
    common = Common(*Entry(*row).common)
    return common.answer_headers, common.answer_body
