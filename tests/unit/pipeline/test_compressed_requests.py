"""A request of one event with a compressed body: what is sent and signed, and where the work is done."""

from __future__ import annotations

import threading
import zlib

import pytest

from bridge.core.cursor import Cursor
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.core.signing import Signer
from bridge.model import Event, Request, Response, Url
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.target import Target
from bridge.rendering import Headers, Rendered
from bridge.rendering.compression import THREAD_BYTES, Compression
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import P0, FakeHistory, as_judged, event
from tests.support.simulated import LoopClock

URL = Url("http", "crm.test", 8080, "/")


class Stage(Signer, Compression):
    """One endpoint's client, and all that it uses: renderer, signer, transport and compression."""

    def __init__(self, body: bytes) -> None:
        Compression.__init__(self, "gzip", 10)
        self.rendered = Rendered("POST", URL, (), body)
        self.signed: list[bytes] = []
        self.sent: list[Request] = []
        self.threads: list[threading.Thread] = []
        self.error: Exception | None = None
        self.history = FakeHistory()
        breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=4)
        self.gate = Gate(RateWindows(()), AdaptiveLimit(1), breaker, retry_after_cap_s=60)
        target = Target("crm", (), frozenset(), 7.0, True, kept_success=1 << 20, kept_failure=1 << 20)
        self.client = EndpointClient(
            target,
            renderer=self,
            stored=self,
            signer=self,
            gate=self.gate,
            transport=self,
            log=AttemptLog(target, self.history, Metrics().endpoint("crm")),
            clock=LoopClock(),
            compression=self,
        )

    def render(self, event: Event) -> Rendered:
        return self.rendered

    def headers(self, webhook_id: str, at_s: int, body: bytes, method: str, url: Url) -> Headers:
        if self.error is not None:
            raise self.error
        self.signed.append(body)
        return ((b"a", b"1"),)

    def of(self, body: bytes) -> tuple[Headers, bytes]:
        self.threads.append(threading.current_thread())
        return super().of(body)

    async def send(self, request: Request, timeout_s: float) -> Response:
        self.sent.append(request)
        return Response(200, (), b"")

    async def close(self) -> None: ...

    async def attempt(self) -> None:
        cursor: EndpointCursor = Cursor(P0, 0, window=10, window_bytes=1000)
        await self.client.attempt(Delivery(event("a", 5), cursor, 5, 10, 0, 0), as_judged)


async def test_what_is_sent_is_compressed_and_signed_and_the_history_can_be_read() -> None:
    stage = Stage(b"x" * 1000)
    await stage.attempt()
    (request,) = stage.sent
    assert (b"content-encoding", b"gzip") in request.headers
    assert zlib.decompress(request.body, 31) == b"x" * 1000
    assert stage.signed == [request.body]
    (kept,) = stage.history.rows
    assert (kept.body, b"content-encoding: gzip" in kept.headers) == (b"x" * 1000, True)


@pytest.mark.parametrize("more", [0, 1])
async def test_only_a_large_body_is_compressed_in_a_thread(more: int) -> None:
    stage = Stage(b"x" * (THREAD_BYTES + more))
    await stage.attempt()
    assert [thread is threading.main_thread() for thread in stage.threads] == [not more]


async def test_a_request_that_cannot_be_signed_makes_room_for_the_next_one() -> None:
    stage = Stage(b"body")
    stage.error = RuntimeError("no key")
    with pytest.raises(RuntimeError, match="no key"):
        await stage.attempt()
    assert stage.gate.admit(0.0) == 0, "one request may be in flight, and none is"
    stage.error = None
    await stage.attempt()
    assert len(stage.sent) == 1
