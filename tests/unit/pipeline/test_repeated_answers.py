"""An answer that repeats is judged once, and means the same as one that comes for the first time."""

from __future__ import annotations

import pytest

from bridge.core.cursor import Cursor
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.core.signing import NoSignature
from bridge.core.verdict import Judgement
from bridge.errors import TransportError, TransportFault
from bridge.model import Event, Request, Response, Url, Verdict
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.target import Target
from bridge.rendering import Rendered
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import P0, FakeHistory, as_judged, event
from tests.support.simulated import LoopClock, simulated

URL = Url("http", "crm.test", 8080, "/")
ACCEPTED = Response(200, ((b"x", b"1"),), b"ok")
SWITCHED_OFF = Response(200, ((b"webhook-delivery", b"disable"),), b"ok")
REFUSED = Response(400, (), b"bad")
BUSY = Response(503, (), b"")


class Receiver:
    """Gives the next of its answers, and counts how often its own rule was asked."""

    def __init__(self, *answers: Response | TransportError) -> None:
        self._answers = iter(answers)
        self.asked: list[Response] = []
        target = Target("crm", (), frozenset(), 7.0, True)
        breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=4)
        self.client = EndpointClient(
            target,
            renderer=self,
            stored=self,
            signer=NoSignature(),
            gate=Gate(RateWindows(()), AdaptiveLimit(8), breaker, retry_after_cap_s=60),
            transport=self,
            log=AttemptLog(target, FakeHistory(), Metrics().endpoint("crm")),
            clock=LoopClock(),
            own_verdict=self.judge,
        )

    def judge(self, answer: Response, judgement: Judgement) -> Judgement:
        self.asked.append(answer)
        return judgement

    def render(self, event: Event) -> Rendered:
        return Rendered("POST", URL, (), b"{}")

    async def send(self, request: Request, timeout_s: float) -> Response:
        answer = next(self._answers)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    async def close(self) -> None: ...

    async def verdict(self) -> Verdict:
        cursor: EndpointCursor = Cursor(P0, 0, window=10, window_bytes=1000)
        delivery = Delivery(event("a", 5), cursor, 5, 10, 0, 0)
        return (await self.client.attempt(delivery, as_judged)).verdict


@simulated
async def test_the_same_answer_is_judged_once_while_it_means_delivered() -> None:
    receiver = Receiver(ACCEPTED, ACCEPTED, ACCEPTED)
    assert [await receiver.verdict() for _ in range(3)] == [Verdict.DELIVERED] * 3
    assert receiver.asked == [ACCEPTED]


@pytest.mark.parametrize(
    ("between", "expected"),
    [(REFUSED, Verdict.PARK), (BUSY, Verdict.AGAIN), (SWITCHED_OFF, Verdict.OFF),
     (TransportError(TransportFault.READ, "closed"), Verdict.AGAIN)],
)  # fmt: skip
@simulated
async def test_another_answer_between_accepted_ones_means_what_it_always_does(
    between: Response | TransportError, expected: Verdict
) -> None:
    receiver = Receiver(between, between, ACCEPTED, between, ACCEPTED, between, between)
    verdicts = [await receiver.verdict() for _ in range(7)]
    accepted = Verdict.DELIVERED
    assert verdicts == [expected, expected, accepted, expected, accepted, expected, expected]


@simulated
async def test_an_equal_answer_that_is_another_object_is_judged_for_itself() -> None:
    first, second = (Response(200, (), b"ok") for _ in range(2))
    receiver = Receiver(first, second, second)
    assert [await receiver.verdict() for _ in range(3)] == [Verdict.DELIVERED] * 3
    assert len(receiver.asked) == 2
