"""Every kind of secret, repeated in error pages in every encoding: nothing that is written contains one.

The endpoints are built by the wiring, with real connections to a receiver and a proxy on loopback, the real
history, and the real writer of dead letters over a fake producer.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from prometheus_client import generate_latest

from bridge.clock import SystemClock
from bridge.core.cursor import Cursor
from bridge.core.memory_budget import divide
from bridge.core.switches import EventTypes, Switches
from bridge.dead_letters.topic import DeadLetterTopic
from bridge.http.tls import SystemTls
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.model import Verdict
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.parking import EventParking
from bridge.settings import Settings, load
from bridge.storage.state_dir import StateDir
from bridge.telemetry import logs
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.scrub import in_force
from bridge.wiring.delivery import build_dispatcher
from bridge.wiring.endpoints import build_egress, build_transport
from bridge.wiring.path import build_history
from tests.support.canaries import ENCODERS, find_canaries
from tests.support.canary_settings import ALL, ENVIRONMENT, SENT, endpoints
from tests.support.echo import PADDINGS, STATUSES, Echo
from tests.support.fake_producer import FakeProducer
from tests.support.fakes import P0, as_judged, event
from tests.support.parts import part
from tests.support.path import NoJournal
from tests.support.scripted_http import ScriptedServer

ATTEMPTS = len(ENCODERS) * len(PADDINGS)


class Stage:
    """The endpoints of a configuration, and everything that they write."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics, self.producer = Metrics(), FakeProducer()
        self.state = StateDir(settings.state_dir)
        self.history_topic = FakeProducer()
        self.history = build_history(settings, self.history_topic, self.metrics, divide(1 << 30))
        self.control = ControlTopic(
            KafkaOptions(("kafka.test:9092",)), "g.control", Switches[str](), Switches[EventTypes](), "test"
        )
        self.switches: list[bytes] = []

    def dispatcher(self, name: str) -> tuple[EndpointDispatcher, Any]:
        endpoint = self.settings.endpoints[name]
        transport = build_transport(name, endpoint, build_egress(self.settings), SystemTls())
        dispatcher = build_dispatcher(
            name,
            endpoint,
            self.settings,
            transport=transport,
            parks=DeadLetterTopic(self.producer, "g.parked"),
            history=self.history.stream(name),
            metrics=self.metrics,
            clock=SystemClock(),
            checkpoints=NoJournal(),
            may_send=lambda: True,
            turn_off=lambda endpoint, reason: None,
        )
        return dispatcher, transport

    async def attempt(self, name: str, times: int) -> set[Verdict]:
        """Make attempts at one endpoint, and park or switch off as their verdicts require."""
        dispatcher, transport = self.dispatcher(name)
        client, parking = part(dispatcher, EndpointClient), part(dispatcher, EventParking)
        cursor: EndpointCursor = Cursor(P0, 0, window=10_000, window_bytes=1 << 30)
        verdicts = set()
        for number in range(times):
            delivery = Delivery(event(f"e{number}", number), cursor, number, 10, 0, 0)
            judgement = await client.attempt(delivery, as_judged)
            verdicts.add(judgement.verdict)
            if judgement.verdict is Verdict.PARK:
                assert await parking.park(delivery, judgement.reason, lambda: True)
            elif judgement.verdict is Verdict.OFF:
                self.switches.append(self.control.switch(False, judgement.reason).to_bytes())
        await transport.close()
        return verdicts

    async def written(self) -> dict[str, bytes]:
        """Return everything that was written, by place."""
        async with asyncio.TaskGroup() as tasks:
            writers = self.history.start(tasks)
            await self.history.flush()
            for writer in writers:
                writer.cancel()
        files = {path.name: path.read_bytes() for path in self.settings.state_dir.iterdir()}
        self.state.release()
        return files | {
            "parked": repr(self.producer.written).encode(),
            "history": b"".join(record.value or b"" for record in self.history_topic.written),
            "control": b"\n".join(self.switches),
            "metrics": generate_latest(self.metrics.registry),
        }


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    raw = io.BytesIO()
    logs.set_up("debug", "json", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
    structlog.configure(cache_logger_on_first_use=False)  # loggers of modules must not keep this stream
    yield raw
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_no_secret_is_written_whatever_a_receiver_or_a_proxy_repeats(
    tmp_path: Path, log: io.BytesIO
) -> None:
    receiver, proxy = Echo((*STATUSES, 200)), Echo()
    async with ScriptedServer(receiver) as at, ScriptedServer(proxy) as proxy_at:
        document = {
            "kafka": {"bootstrap_servers": ["localhost:9"]},
            "sources": {"orders": {"format": "json", "topics": ["orders"], "id": "id", "type": "type"}},
            "endpoints": endpoints(at.port, proxy_at.port, park_limit="off"),
            "egress": {"allow": ["127.0.0.0/8"], "proxies": ["127.0.0.0/8"]},
            "state_dir": str(tmp_path / "state"),
        }
        (tmp_path / "bridge.yaml").write_text(yaml.safe_dump(document))
        stage = Stage(load(tmp_path / "bridge.yaml", ENVIRONMENT))
        verdicts = set()
        for name in stage.settings.endpoints:
            verdicts |= await stage.attempt(name, 3 if name == "broken" else ATTEMPTS)
    assert verdicts == set(Verdict)
    repeated = find_canaries(b"\n".join(receiver.pages[::7] + proxy.pages[::7]), SENT)
    assert repeated == set(SENT), "the receiver and the proxy have repeated every secret that they got"

    written = await stage.written() | {"log": log.getvalue()}
    assert {"history", "parked", "control", "metrics", "log"} <= written.keys()
    for place in ("history", "parked", "control", "log"):
        assert b"***" in written[place], f"{place} shows that something was removed"
    for place, data in written.items():
        assert not find_canaries(data, ALL), place


async def test_answers_to_deliveries_that_are_alike_are_searched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What remains is the cost of a look into a dictionary."""

    async def ok(peer: Any, received: Any) -> None:
        await peer.answer("204 No Content", b"")

    async with ScriptedServer(ok) as at:
        document = {
            "kafka": {"bootstrap_servers": ["localhost:9"]},
            "sources": {"orders": {"format": "json", "topics": ["orders"], "id": "id", "type": "type"}},
            "endpoints": {"bearer": endpoints(at.port, 1)["bearer"]},
            "egress": {"allow": ["127.0.0.0/8"], "proxies": ["127.0.0.0/8"]},
            "state_dir": str(tmp_path / "state"),
        }
        (tmp_path / "bridge.yaml").write_text(yaml.safe_dump(document))
        stage = Stage(load(tmp_path / "bridge.yaml", ENVIRONMENT))
        assert await stage.attempt("bearer", 1) == {Verdict.DELIVERED}
        searched = in_force.scrub_bytes
        texts: list[bytes] = []
        monkeypatch.setattr(
            "bridge.telemetry.scrub.Scrubber.scrub_bytes", lambda _, raw: texts.append(raw) or searched(raw)
        )
        assert await stage.attempt("bearer", 20) == {Verdict.DELIVERED}
        assert len(texts) <= 5, "the headers of one answer: each dispatcher remembers what it has searched"
    monkeypatch.undo()
    assert (await stage.written())["history"]
