"""What the wiring builds from the example settings, and how a test finds a part in it."""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner

from bridge.app import app as app_module
from bridge.app import internal_topics
from bridge.app.app import App
from bridge.app.carrying import Carrying
from bridge.app.config_file import ConfigFile, Source
from bridge.app.in_force import InForce, Surroundings
from bridge.app.reloading import Reloads
from bridge.app.switching import Switching
from bridge.app.transports import Transports
from bridge.cli import cli
from bridge.clock import SystemClock
from bridge.core.backoff import RetrySchedule
from bridge.core.limits import Breaker
from bridge.core.memory_budget import MemoryPlan, divide
from bridge.core.routing import Subscription
from bridge.core.signing import SigningKey, StandardSigner
from bridge.dead_letters.hold import Holds
from bridge.errors import TransportError
from bridge.history.writer import History
from bridge.http import client_assertion
from bridge.http.egress_policy import EgressPolicy
from bridge.http.proxy import Proxy
from bridge.http.tls import FixedTls
from bridge.kafka.client import KafkaOptions
from bridge.kafka.membership import Membership
from bridge.pipeline.cursor_loader import CursorLoader
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.new_endpoints import NewEndpoints
from bridge.pipeline.target import Target
from bridge.rendering.body_secret import BodySecretRenderer
from bridge.rendering.request import RequestRenderer
from bridge.settings import SaslSettings, Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry import logs, otlp
from bridge.telemetry.metrics import Metrics
from bridge.wiring.decoders import build_decoders, build_registries
from bridge.wiring.edges import PathEdges
from bridge.wiring.endpoints import build_subscription
from bridge.wiring.kafka import (
    build_kafka_options,
    build_membership,
)
from bridge.wiring.path import (
    Path,
    build_history,
    build_index,
    build_new_endpoints,
    build_path,
    build_side_window,
    build_transports,
    build_window,
)
from bridge.wiring.tracing import build_spans
from tests.support.fake_control import FakeControl
from tests.support.fake_group import FakeJournal, FakeOffsets, FakeReader, FakeSideReader
from tests.support.fake_producer import FakeProducer
from tests.support.fakes import FakeParkedRecords, FakeParking, FakeRegister, Log, event
from tests.support.parts import part, parts
from tests.support.simulated import LoopClock
from tests.unit.wiring.example import MSK, OAUTH, example


class RecordingContext(ssl.SSLContext):
    """A TLS context that keeps the names of the files that it was to load."""

    ca_file: Any = None
    loaded: tuple[Any, ...] = ()

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        self.loaded = (certfile, keyfile, password)


def _recording_context(*args: Any, cafile: Any = None, **kwargs: Any) -> RecordingContext:
    context = RecordingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.ca_file = cafile
    return context


@dataclass
class Built:
    """Everything that the wiring makes of the example."""

    settings: Settings
    path: Path
    edges: PathEdges
    new_endpoints: NewEndpoints
    decoders: Any
    registries: Any
    options: KafkaOptions
    oauth: KafkaOptions
    msk: KafkaOptions
    membership: Membership
    index: KeyIndex
    window: DedupeWindow
    side_window: DedupeWindow
    history: History
    heard: dict[str, Any] = field(default_factory=dict)
    """What the fakes in place of the log set-up, the admin server and the topics were called with."""

    @property
    def oauth_context(self) -> RecordingContext:
        """Return the TLS context for the token server of the brokers."""
        context = part(self.oauth, FixedTls).current()
        assert isinstance(context, RecordingContext)
        return context

    def dispatcher(self, name: str = "crm") -> EndpointDispatcher:
        return self.path.dispatchers[name]

    def decoder(self, format: str) -> Any:
        return self.decoders[f"t-{format}"]

    def registry(self, format: str) -> Any:
        return self.registries._by_source[format]._client


def build_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("glue")
    data = example(folder)
    settings = Settings.model_validate(data)
    (folder / "state").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        made = asyncio.run(_build(settings, patch))
        made.heard |= asyncio.run(_heard(settings, patch))
        made.heard["log"] = _log_set_up(folder, patch)
        yield made
        made.index.close()


async def _build(settings: Settings, patch: pytest.MonkeyPatch) -> Built:
    def logged_in(sasl: dict[str, str]) -> KafkaOptions:
        login = {"sasl": SaslSettings.model_validate(sasl), "security_protocol": "SASL_PLAINTEXT"}
        return build_kafka_options(settings.kafka.model_copy(update=login))

    with pytest.MonkeyPatch.context() as tls:
        tls.setattr(ssl, "create_default_context", _recording_context)
        for module in ("aws_msk_iam_sasl_signer", "aws_msk_iam_sasl_signer.MSKAuthTokenProvider"):
            tls.setitem(sys.modules, module, SimpleNamespace())
        tls.setattr(client_assertion, "load_key", lambda file, password: None)
        transports = build_transports(settings, lambda: True)
        options, oauth, msk = build_kafka_options(settings.kafka), logged_in(OAUTH), logged_in(MSK)
        decoders = build_decoders(settings)
        registries = build_registries(settings.sources, decoders.by_source)
    metrics, reader = Metrics(), FakeReader(Log())
    index = build_index(settings)
    history = build_history(settings, FakeProducer(), metrics, divide(1 << 30))

    def open_side_reader() -> Any:
        return FakeSideReader(Log())

    window = build_window(settings, index, decoders, open_side_reader)
    side_window = build_side_window(settings, index, decoders, open_side_reader)
    patch.setattr(otlp, "OtlpSpans", lambda collector, *_: SimpleNamespace(collector=collector))
    edges = PathEdges(
        reader=reader,
        member=reader,
        open_side_reader=open_side_reader,
        offsets=FakeOffsets(),
        look_at_topics=Log().look,
        beginnings=(control := FakeControl().open()).beginnings,
        remember=control.remember,
        stop_endpoint=control.stop,
        dead_letters=FakeParking(),
        parked_before=FakeParkedRecords(FakeParking()),
        hold_register=FakeRegister(),
        load_holds=lambda partitions: asyncio.sleep(0),
        transports=transports,
        history=history,
        journal=FakeJournal(),  # type: ignore[arg-type]
        flush=lambda: asyncio.sleep(0),
        window=window,
        side_window=lambda: side_window,
        learn=lambda needed: asyncio.sleep(0),
        turn_off=lambda endpoint, reason: None,
        metrics=metrics,
        clock=LoopClock(),
        spans=build_spans(settings, metrics),
    )
    return Built(
        settings,
        build_path(settings, decoders, Holds(), edges),
        edges,
        build_new_endpoints(settings, edges.offsets, edges.beginnings, edges.remember, edges.clock),
        decoders,
        registries,
        options,
        oauth,
        msk,
        build_membership(settings, "host.default"),
        index,
        window,
        side_window,
        history,
    )


async def _heard(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the few steps of ``App`` that read settings, with fakes in place of what they call."""
    heard: dict[str, Any] = {"topics": [], "configs": {}}

    async def ensure_topic(admin: Any, topic: str, **options: Any) -> None:
        heard["topics"].append((topic, options["create"], options["replication_factor"]))
        heard["configs"][topic] = options["configs"]

    async def accept(*args: Any, **options: Any) -> None:
        return

    class AdminServer:
        def __init__(self, host: str, port: int, *rest: object, **options: Any) -> None:
            heard["admin"] = {"host": host, "port": port, **options}

        start = stop = accept

    def plan_memory(setting: str, endpoints: int) -> MemoryPlan:
        heard["memory_budget"] = setting
        return divide(1 << 30)

    async def sleep(delay_s: float) -> None:
        heard["commit_interval_s"] = delay_s
        raise asyncio.CancelledError

    with patch.context() as here:
        here.setattr(ssl, "create_default_context", _recording_context)
        here.setattr(app_module, "AdminServer", AdminServer)
        here.setattr(app_module, "AdminTls", lambda files: files)
        here.setattr(app_module, "plan_memory", plan_memory)
        here.setattr(asyncio, "sleep", sleep)
        checks = (
            "ensure_partitions",
            "warn_unless_compacted",
            "warn_if_retention_deletes",
            "report_retention",
        )
        for name in checks:
            here.setattr(internal_topics, name, accept)
        here.setattr(internal_topics, "ensure_topic", ensure_topic)
        here.setattr(
            asyncio.get_running_loop(), "call_later", lambda s, *_: heard.setdefault("deadline_s", s)
        )
        app = App(settings)
        async with AsyncExitStack() as stack:
            await app._open_admin_server(stack)
            state, _ = app._open_files(stack)
            heard["state_file"] = state._owner_file
        await internal_topics.ensure_control_topic(None, settings)  # type: ignore[arg-type]
        await internal_topics.ensure_internal_topics(None, settings)  # type: ignore[arg-type]
        app._stop.request_by_signal()
        with suppress(asyncio.CancelledError):
            nothing: dict[str, Any] = {part.name: None for part in fields(Carrying)}
            await Carrying(**nothing | {"settings": settings})._commit_periodically()
    return heard


def _log_set_up(folder: FilePath, patch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Return what ``hookferry run`` sets the log up with."""
    calls: list[tuple[Any, ...]] = []

    async def run(app: App) -> None:
        return

    file = folder / "bridge.yaml"
    data = {
        "kafka": {"bootstrap_servers": ["k1.test:9092"]},
        "sources": {"json": {"format": "json", "topics": ["t"], "id": "id", "type": "type"}},
        "endpoints": {"crm": {"url": "https://crm.test/hooks"}},
        "log": {"level": "warning", "format": "json"},
    }
    file.write_text(yaml.safe_dump(data))
    with patch.context() as here:
        here.setattr(logs, "set_up", lambda *given: calls.append(given))
        here.setattr(App, "run", run)
        result = CliRunner().invoke(cli, ["run", "-c", str(file)])
    assert result.exit_code == 0, result.output
    (call,) = calls
    return call


def read_rendered(b: Built, name: str = "crm") -> Any:
    """Return the request that an endpoint makes of a sample."""
    dispatcher = b.dispatcher(name)
    sealed = parts(dispatcher, BodySecretRenderer)
    return (sealed[0] if sealed else part(dispatcher, RequestRenderer)).render(event("1", entity="e7"))


def read_reload_mode(b: Built) -> str:
    """Return what the reloads of the built path obey."""
    around = Surroundings(
        open_transports=lambda settings, names: {},
        begin_new_endpoints=lambda settings: asyncio.sleep(0),
        load_holds_of=lambda names, partitions: asyncio.sleep(0),
    )
    in_force = InForce(b.settings, b.path, b.edges, Transports({}), Switching(()), around)
    source = Source(ConfigFile(FilePath("bridge.yaml"), {}), {}, "0", {})
    return Reloads(source, in_force, Metrics(), SystemClock()).mode


def read_breaker(b: Built) -> Breaker:
    return part(b.dispatcher(), Breaker)


def read_schedule(b: Built) -> RetrySchedule:
    return part(b.dispatcher(), RetrySchedule)


def read_policy(b: Built) -> CursorPolicy:
    """Return the policy of the cursors, which is also the one that the endpoint begins with."""
    (policy,) = {each._policies["crm"] for each in (part(b.path.pipeline, CursorLoader), b.new_endpoints)}
    return policy


def read_target(b: Built, name: str = "crm") -> Target:
    return part(b.dispatcher(name), Target)


def read_subscription(b: Built) -> Subscription:
    return build_subscription(b.settings.endpoints["crm"])


def read_egress_refuses(b: Built, address: str) -> bool:
    try:
        part(b.edges.transports["crm"], EgressPolicy).check(address)
    except TransportError:
        return True
    return False


def read_port_refusal(b: Built) -> str:
    try:
        asyncio.run(part(b.edges.transports["crm"], EgressPolicy).resolve("10.9.1.1", 22))
    except TransportError as exc:
        return exc.detail[:19]
    return ""


def read_signature(keys: Sequence[bytes]) -> Any:
    return StandardSigner([SigningKey(key) for key in keys]).headers("id", 1, b"body")


def read_basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def read_registry_login(b: Built, format: str) -> Any:
    client = b.registry(format)._client
    auth = client.auth
    return auth._auth_header if isinstance(auth, httpx.BasicAuth) else client.headers["authorization"]


def read_proxy(b: Built) -> tuple[str, bytes | None]:
    proxy = part(b.dispatcher("thin"), Proxy)
    return proxy.url.origin, proxy.authorization


Read = Callable[[Built], Any]
