"""An overlap of two keys ends while the endpoint delivers: no restart, and no request without a signature."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bridge.core.cursor import Cursor
from bridge.core.instant import instant_text
from bridge.model import Request, Response
from bridge.settings import load
from bridge.telemetry.metrics import Metrics
from bridge.verifier import VerificationError, verify
from bridge.wiring.delivery import build_dispatcher
from tests.support.fakes import P0, FakeHistory, FakeParking, event
from tests.support.path import NoJournal
from tests.support.simulated import BEGAN_S, LoopClock, simulated, until

OLD, NEW = "whsec_" + "A" * 32, "whsec_" + "B" * 32
FILE = """\
group: g
kafka: {{bootstrap_servers: ["k:9092"]}}
sources: {{orders: {{topics: [orders], format: json, id: id, type: type}}}}
endpoints:
  crm:
    url: https://crm.example.com/
    signing: {{keys: [{{secret: {new}, since: {since}}}, {{secret: {old}, until: {until}}}]}}
"""


class Wire:
    """A transport that keeps the requests and accepts them all."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request, timeout_s: float) -> Response:
        await asyncio.sleep(0.01)
        self.requests.append(request)
        return Response(200, (), b"")

    async def close(self) -> None: ...


def accepts(secret: str, request: Request) -> bool:
    headers = {name.decode(): value.decode() for name, value in request.headers}
    try:
        verify([secret], headers, request.body, now_s=float(headers["webhook-timestamp"]))
    except VerificationError:
        return False
    return True


@simulated
async def test_the_new_key_begins_and_the_old_one_ends_at_their_instants(tmp_path: Path) -> None:
    file, wire = tmp_path / "bridge.yaml", Wire()
    since, end = (instant_text(BEGAN_S + seconds) for seconds in (100, 200))
    file.write_text(FILE.format(new=NEW, old=OLD, since=since, until=end))
    settings = load(file, {})
    dispatcher = build_dispatcher(
        "crm", settings.endpoints["crm"], settings, transport=wire, parks=FakeParking(),
        history=FakeHistory(), metrics=Metrics(), clock=LoopClock(), checkpoints=NoJournal(),
        may_send=lambda: True, turn_off=lambda name, reason: None,
    )  # fmt: skip
    cursor = Cursor(P0, 0, window=100, window_bytes=1 << 30)
    async with asyncio.TaskGroup() as tasks:
        workers = dispatcher.start(tasks)
        for offset in range(3):
            dispatcher.enqueue([event(f"e{offset}", offset, entity="e")], cursor)
            cursor.advance(offset + 1)
            await until(lambda sent=offset + 1: len(wire.requests) == sent)
            await asyncio.sleep(100)
        for worker in workers:
            worker.cancel()
    assert [(accepts(OLD, one), accepts(NEW, one)) for one in wire.requests] == [
        (True, False),
        (True, True),
        (False, True),
    ]
