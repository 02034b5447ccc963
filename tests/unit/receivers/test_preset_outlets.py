"""An endpoint built from real settings delivers to each simulated receiver, with a simulated clock."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core.cursor import Cursor
from bridge.core.signing import SigningKey, StandardSigner
from bridge.demo.receivers import Reply
from bridge.model import Request, Response
from bridge.settings import load
from bridge.telemetry.metrics import Metrics
from bridge.wiring.delivery import build_dispatcher
from tests.support.fakes import P0, FakeHistory, FakeParking, event
from tests.support.path import NoJournal
from tests.support.receivers import SIMULATORS
from tests.support.simulated import LoopClock, simulated, until

KEY = "0123456789abcdef0123456789abcdef"
FILE = """\
group: g
kafka: {{bootstrap_servers: ["k:9092"]}}
sources: {{orders: {{topics: [orders], format: json, id: id, type: type}}}}
endpoints: {{one: {{url: "https://receiver.example{target}", preset: {preset}{more}}}}}
"""
EXTRA = {"pagerduty": ", routing_key: '${env:KEY}'"}
QUERY = {"teams": "?api-version=1&sig=demo"}


class Wire:
    """A transport to a simulator; stores each answer with its time."""

    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator
        self.answers: list[tuple[float, Reply]] = []
        self.requests: list[Request] = []

    async def send(self, request: Request, timeout_s: float) -> Response:
        now_s = asyncio.get_running_loop().time()
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        await asyncio.sleep(0.01)
        said = self.simulator.answer(request.url.target, headers, request.body, now_s)
        self.answers.append((now_s, said))
        self.requests.append(request)
        named = tuple((name.lower().encode(), value.encode()) for name, value in said.headers.items())
        return Response(said.status, named, said.body.encode())

    async def close(self) -> None: ...

    def count(self, status: int) -> int:
        return sum(said.status == status for _, said in self.answers)


class Stage:
    """An endpoint with its cursor and its results."""

    def __init__(self, folder: Path, preset: str, more: str = "") -> None:
        self.simulator = SIMULATORS[preset]()
        self.wire, self.parking, self.history = Wire(self.simulator), FakeParking(), FakeHistory()
        self.turned_off: list[str] = []
        self.cursor = Cursor(P0, 0, window=10_000, window_bytes=1 << 30)
        file = folder / "bridge.yaml"
        target = self.simulator.path + QUERY.get(preset, "")
        file.write_text(FILE.format(preset=preset, target=target, more=EXTRA.get(preset, "") + more))
        settings = load(file, {"KEY": KEY})
        self.dispatcher = build_dispatcher(
            "one",
            settings.endpoints["one"],
            settings,
            transport=self.wire,
            parks=self.parking,
            history=self.history,
            metrics=Metrics(),
            clock=LoopClock(),
            checkpoints=NoJournal(),
            may_send=lambda: True,
            turn_off=lambda name, reason: self.turned_off.append(reason),
        )

    def put(self, count: int) -> None:
        for _ in range(count):
            offset = self.cursor.position
            self.dispatcher.enqueue([event(f"e{offset}", offset, entity=f"e{offset}")], self.cursor)
            self.cursor.advance(offset + 1)

    @property
    def settled(self) -> int:
        return self.cursor.progress().offset


@asynccontextmanager
async def at_work(folder: Path, preset: str, more: str = "") -> AsyncIterator[Stage]:
    stage = Stage(folder, preset, more)
    async with asyncio.TaskGroup() as tasks:
        workers = stage.dispatcher.start(tasks)
        yield stage
        for worker in workers:
            worker.cancel()


@pytest.mark.parametrize("preset", sorted(SIMULATORS.keys() - {"standard", "fineract-hook"}))
@simulated
async def test_every_event_is_shown_in_order(tmp_path, preset):
    async with at_work(tmp_path, preset) as stage:
        stage.put(3)
        await until(lambda: stage.settled == 3)
        assert len(stage.simulator.shown) == 3
        assert stage.parking.parked == []


@pytest.mark.parametrize(
    ("preset", "count"), [("slack", 30), ("teams-connector", 250), ("pagerduty", 300), ("zapier", 200)]
)
@simulated
async def test_the_rate_of_a_preset_never_causes_a_429(tmp_path, preset, count):
    """250 messages to a connector take nearly four hours: 100 per hour, 150 per two hours."""
    async with at_work(tmp_path, preset) as stage:
        stage.put(count)
        while stage.settled < count:
            assert asyncio.get_running_loop().time() < 20_000
            await asyncio.sleep(20)
        assert len(stage.wire.answers) == count
        assert len(stage.simulator.shown) == count


@simulated
async def test_discords_rate_headers_slow_the_endpoint_down_before_a_429(tmp_path):
    """Requests in flight may get one; with one request at a time it never happens."""
    async with at_work(tmp_path, "discord", ", concurrency: 1") as stage:
        stage.put(40)
        await until(lambda: stage.settled == 40)
        assert stage.wire.count(429) == 0
        assert "wait=true" in stage.wire.requests[0].url.target


@simulated
async def test_a_429_of_discord_pauses_the_endpoint_for_exactly_its_wait(tmp_path):
    async with at_work(tmp_path, "discord") as stage:
        stage.simulator.global_wait_s = 64.57
        stage.put(1)
        await until(lambda: stage.wire.count(429) == 1)
        stage.simulator.global_wait_s = 0.0
        await until(lambda: stage.settled == 1)
        (first, _), (second, _) = stage.wire.answers
        assert 64.57 <= second - first < 66


@simulated
async def test_a_connector_failure_in_a_200_is_retried(tmp_path):
    async with at_work(tmp_path, "teams-connector") as stage:
        stage.simulator.failing = 503
        stage.put(1)
        await until(lambda: len(stage.wire.answers) >= 2)
        assert stage.settled == 0
        stage.simulator.failing = None
        await until(lambda: stage.settled == 1)
        assert list(stage.simulator.shown)
        assert stage.parking.parked == []


@pytest.mark.parametrize(
    ("preset", "error"),
    [
        ("slack", Reply(404, "no_service")),
        ("slack", Reply(403, "action_prohibited")),
        ("slack", Reply(410, "channel_is_archived")),
        ("teams", Reply(404, "")),
        ("discord", Reply(401, "{}")),
        ("discord", Reply(404, "{}")),
    ],
)
@simulated
async def test_a_deleted_receiver_switches_the_endpoint_off_and_keeps_the_event(tmp_path, preset, error):
    async with at_work(tmp_path, preset) as stage:
        stage.simulator.trouble = error
        stage.put(2)
        await until(lambda: stage.turned_off)
        await asyncio.sleep(600)
        assert not stage.dispatcher.on
        assert len(stage.turned_off) == 1
        assert (stage.settled, stage.parking.parked) == (0, [])
        assert "set its URL as url" in stage.turned_off[0]
        stage.simulator.trouble = None
        stage.dispatcher.turn(True)
        await until(lambda: stage.settled == 2)


@simulated
async def test_a_deleted_connector_in_a_200_also_switches_the_endpoint_off(tmp_path):
    async with at_work(tmp_path, "teams-connector") as stage:
        stage.simulator.failing = 404
        stage.put(1)
        await until(lambda: stage.turned_off)
        assert stage.settled == 0


@pytest.mark.parametrize(
    ("preset", "error"),
    [("slack", Reply(400, "invalid_blocks")), ("teams", Reply(413, "")), ("pagerduty", Reply(400, "{}"))],
)
@simulated
async def test_a_refused_message_parks_only_its_event(tmp_path, preset, error):
    async with at_work(tmp_path, preset) as stage:
        stage.simulator.trouble = error
        stage.put(1)
        await until(lambda: stage.parking.parked)
        stage.simulator.trouble = None
        stage.put(1)
        await until(lambda: stage.settled == 2)
        ((_, reason),) = stage.parking.parked
        assert str(error.status) in reason.cause


@simulated
async def test_slacks_rollup_error_is_retried(tmp_path):
    async with at_work(tmp_path, "slack") as stage:
        stage.simulator.trouble = Reply(500, "rollup_error")
        stage.put(1)
        await until(lambda: stage.wire.count(500) == 1)
        stage.simulator.trouble = None
        await until(lambda: stage.settled == 1)


@simulated
async def test_the_routing_key_is_sent_but_never_stored(tmp_path):
    async with at_work(tmp_path, "pagerduty") as stage:
        stage.put(1)
        await until(lambda: stage.settled == 1)
        (row,) = stage.history.rows
        sent = json.loads(stage.wire.requests[0].body)
        kept = json.loads(row.body or b"")
        assert sent.pop("routing_key") == KEY
        assert kept.pop("routing_key") == "***"
        assert sent == kept
        assert KEY not in repr(row)
        assert [*stage.simulator.open] == [sent["dedup_key"]]


@simulated
async def test_a_retry_is_the_same_alert(tmp_path):
    async with at_work(tmp_path, "pagerduty") as stage:
        taken = stage.simulator.answer

        def lost(*request: Any) -> Reply:
            """Open the alert, but lose the answer."""
            stage.simulator.answer = taken
            assert taken(*request).status == 202
            return Reply(503)

        stage.simulator.answer = lost
        stage.put(1)
        await until(lambda: stage.settled == 1)
        assert len(stage.wire.requests) == 2
        assert len(stage.simulator.open) == 1


@simulated
async def test_the_signature_covers_the_sent_body_including_the_secret(tmp_path):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    async with at_work(tmp_path, "pagerduty", f", secrets: [{secret}]") as stage:
        stage.put(1)
        await until(lambda: stage.settled == 1)
        request = stage.wire.requests[0]
        headers = dict(request.headers)
        signed = StandardSigner([SigningKey(base64.b64decode(secret.removeprefix("whsec_")))])
        again = dict(
            signed.headers(headers[b"webhook-id"].decode(), int(headers[b"webhook-timestamp"]), request.body)
        )
        assert again[b"webhook-signature"] == headers[b"webhook-signature"]
