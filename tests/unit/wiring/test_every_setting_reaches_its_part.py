"""The glue: every setting arrives at the part that needs it, and at no other.

``READS`` has one row for every leaf of the ``Settings`` models: the value in ``example.py``, and how it is
read back from the part. A setting without a row fails the test, so a new setting cannot be forgotten.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, get_args

import httpx
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from bridge.app import app as app_module
from bridge.app import internal_topics
from bridge.app.app import App
from bridge.app.stop import OVERTIME_S
from bridge.cli import cli
from bridge.core.backoff import RetrySchedule
from bridge.core.filter import Filter
from bridge.core.limits import Breaker, Gate, RateWindows
from bridge.core.routing import Subscription
from bridge.core.signing import Signer
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.lane_holds import HeldLanes
from bridge.errors import TransportError
from bridge.formats.avro.schema import AvroSchema
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.debezium import DebeziumDecoder
from bridge.formats.eventuate import EventuateDecoder
from bridge.formats.field_paths import FieldPaths
from bridge.formats.fineract import FineractDecoder
from bridge.formats.payload_only import PayloadDecoder, RegistryValueReader
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.http.egress_policy import EgressPolicy
from bridge.http.httpx_transport import HttpxTransport
from bridge.http.token import ClientCredentials
from bridge.kafka.client import KafkaOptions
from bridge.kafka.membership import Membership
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import Target
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.dedupe_window import DedupeWindow
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.receivers import PRESETS
from bridge.rendering.body_secret import BodySecretRenderer
from bridge.rendering.request import RequestRenderer
from bridge.schemas.folder import SchemaFolder
from bridge.schemas.registry.apicurio import ApicurioApi
from bridge.schemas.registry.confluent import ConfluentApi
from bridge.settings import SaslSettings, Settings
from bridge.settings.models.sources import SOURCE_MODELS
from bridge.storage.attempt_history import History
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry import logs
from bridge.telemetry.metrics import Metrics
from bridge.wiring.decoders import build_decoders, build_registries
from bridge.wiring.endpoints import build_subscription
from bridge.wiring.kafka import (
    again_topic,
    build_kafka_options,
    build_membership,
    control_topic,
    parked_topic,
)
from bridge.wiring.path import (
    Path,
    PathEdges,
    build_history,
    build_index,
    build_path,
    build_side_window,
    build_transports,
    build_window,
)
from tests.support.fake_group import FakeJournal, FakeOffsets, FakeReader, FakeSideReader
from tests.support.fakes import FakeParking, FakeRegister, Log, event
from tests.support.parts import part, parts
from tests.support.simulated import LoopClock
from tests.unit.wiring.example import KEY, MAX_VALUE_BYTES, OAUTH, OTHER_KEY, ROUTING_KEY, example, registry


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
    decoders: Any
    registries: Any
    options: KafkaOptions
    oauth: ClientCredentials
    membership: Membership
    index: KeyIndex
    window: DedupeWindow
    side_window: DedupeWindow
    history: History
    heard: dict[str, Any] = field(default_factory=dict)
    """What the fakes in place of the log set-up, the admin server and the topics were called with."""

    def dispatcher(self, name: str = "crm") -> EndpointDispatcher:
        return self.path.dispatchers[name]

    def decoder(self, format: str) -> Any:
        return self.decoders[f"t-{format}"]

    def registry(self, format: str) -> Any:
        return self.registries._by_source[format]._client


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
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
    transports = build_transports(settings, lambda: True)
    with pytest.MonkeyPatch.context() as tls:
        tls.setattr(ssl, "create_default_context", _recording_context)
        options = build_kafka_options(settings.kafka)
        decoders = build_decoders(settings)
        registries = build_registries(settings.sources, decoders)
    login = settings.kafka.model_copy(
        update={"sasl": SaslSettings.model_validate(OAUTH), "security_protocol": "SASL_PLAINTEXT"}
    )
    metrics, reader = Metrics(), FakeReader(Log())
    index, history = build_index(settings), build_history(settings, metrics)

    def open_side_reader() -> Any:
        return FakeSideReader(Log())

    window = build_window(settings, index, decoders, open_side_reader)
    side_window = build_side_window(settings, index, decoders, open_side_reader)
    edges = PathEdges(
        reader=reader,
        open_side_reader=open_side_reader,
        offsets=FakeOffsets(),
        dead_letters=FakeParking(),
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
    )
    return Built(
        settings,
        build_path(settings, decoders, Holds(), edges),
        edges,
        decoders,
        registries,
        options,
        part(build_kafka_options(login), ClientCredentials),
        build_membership(settings),
        index,
        window,
        side_window,
        history,
    )


async def _heard(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the few steps of ``App`` that read settings, with fakes in place of what they call."""
    heard: dict[str, Any] = {"topics": []}

    async def ensure_topic(admin: Any, topic: str, **options: Any) -> None:
        heard["topics"].append((topic, options["create"], options["replication_factor"]))

    async def accept(*args: Any, **options: Any) -> None:
        return

    class AdminServer:
        def __init__(self, host: str, port: int, *rest: object) -> None:
            heard["admin"] = (host, port)

        start = stop = accept

    async def sleep(delay_s: float) -> None:
        heard["commit_interval_s"] = delay_s
        raise asyncio.CancelledError

    with patch.context() as here:
        here.setattr(ssl, "create_default_context", _recording_context)
        here.setattr(app_module, "AdminServer", AdminServer)
        here.setattr(app_module.asyncio, "sleep", sleep)
        for name in ("ensure_partitions", "warn_unless_compacted", "warn_if_retention_deletes"):
            here.setattr(internal_topics, name, accept)
        here.setattr(internal_topics, "ensure_topic", ensure_topic)
        here.setattr(
            asyncio.get_running_loop(), "call_later", lambda s, *_: heard.setdefault("deadline_s", s)
        )
        app = App(settings)
        async with AsyncExitStack() as stack:
            await app._open_admin_server(stack)
            state, _, _ = app._open_files(stack)
            heard["state_file"] = state._owner_file
        await internal_topics.ensure_internal_topics(None, settings)  # type: ignore[arg-type]
        app._stop.request_by_signal()
        with suppress(asyncio.CancelledError):
            await app._commit_periodically(None)  # type: ignore[arg-type]
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


def _rendered(b: Built, name: str = "crm") -> Any:
    """Return the request that an endpoint makes of a sample."""
    dispatcher = b.dispatcher(name)
    sealed = parts(dispatcher, BodySecretRenderer)
    return (sealed[0] if sealed else part(dispatcher, RequestRenderer)).render(event("1", entity="e7"))


def _breaker(b: Built) -> Breaker:
    return part(b.dispatcher(), Breaker)


def _schedule(b: Built) -> RetrySchedule:
    return part(b.dispatcher(), RetrySchedule)


def _policy(b: Built) -> CursorPolicy:
    return b.path.checkpoints._policies["crm"]


def _target(b: Built, name: str = "crm") -> Target:
    return part(b.dispatcher(name), Target)


def _subscription(b: Built) -> Subscription:
    return build_subscription(b.settings.endpoints["crm"])


def _egress_refuses(b: Built, address: str) -> bool:
    try:
        part(b.edges.transports["crm"], EgressPolicy).check(address)
    except TransportError:
        return True
    return False


def _signature(keys: Sequence[bytes]) -> Any:
    return Signer(keys).headers("id", 1, b"body")


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _oauth_login(b: Built) -> Any:
    return b.oauth._auth._auth_header


def _registry_login(b: Built, format: str) -> Any:
    client = b.registry(format)._client
    auth = client.auth
    return auth._auth_header if isinstance(auth, httpx.BasicAuth) else client.headers["authorization"]


def _proxy(b: Built) -> str:
    pool = part(b.dispatcher("thin"), HttpxTransport)._inner._pool  # type: ignore[attr-defined]
    host, port = pool._proxy_url.host, pool._proxy_url.port
    return f"{host.decode()}:{port}"


Read = Callable[[Built], Any]
READS: dict[str, tuple[Any, Read]] = {
    "group": (
        ("glue", "glue.parked", "glue.again", "glue.control", "glue"),
        lambda b: (
            b.membership.group,
            parked_topic(b.settings),
            again_topic(b.settings),
            control_topic(b.settings.group),
            b.path.checkpoints._group,
        ),
    ),
    "kafka.bootstrap_servers": (
        ("k1.test:9092", "k2.test:9093"),
        lambda b: tuple(b.options.arguments()["bootstrap_servers"]),
    ),
    "kafka.security_protocol": ("SASL_SSL", lambda b: b.options.arguments()["security_protocol"]),
    "kafka.tls.ca_file": (FilePath("kafka-ca.pem"), lambda b: b.options.ssl_context.ca_file),
    "kafka.tls.cert_file": (FilePath("kafka-cert.pem"), lambda b: b.options.ssl_context.loaded[0]),
    "kafka.tls.key_file": (FilePath("kafka-key.pem"), lambda b: b.options.ssl_context.loaded[1]),
    "kafka.tls.key_password": ("kafka-key-password", lambda b: b.options.ssl_context.loaded[2]),
    "kafka.tls.check_hostname": (False, lambda b: b.options.ssl_context.check_hostname),
    "kafka.sasl.mechanism": ("SCRAM-SHA-512", lambda b: b.options.arguments()["sasl_mechanism"]),
    "kafka.sasl.username": ("kafka-user", lambda b: b.options.arguments()["sasl_plain_username"]),
    "kafka.sasl.password": ("kafka-password", lambda b: b.options.arguments()["sasl_plain_password"]),
    "kafka.sasl.token_url": ("https://login.test/token", lambda b: b.oauth._url),
    "kafka.sasl.client_id": (_basic("oauth-client", "oauth-secret"), _oauth_login),
    "kafka.sasl.client_secret": (_basic("oauth-client", "oauth-secret"), _oauth_login),
    "kafka.sasl.scope": ("oauth-scope", lambda b: b.oauth._form["scope"]),
    "kafka.session_timeout_s": (41.0, lambda b: b.membership.session_timeout_s),
    "kafka.heartbeat_interval_s": (2.5, lambda b: b.membership.heartbeat_interval_s),
    "kafka.rebalance_timeout_s": (71.0, lambda b: b.membership.rebalance_timeout_s),
    "kafka.group_instance_id": ("pod-7", lambda b: b.membership.instance_id),
    "kafka.create_topics": ({False}, lambda b: {create for _, create, _ in b.heard["topics"]}),
    "kafka.replication_factor": (
        {("glue.parked", 5), ("glue.again", 5), ("glue.control", 5)},
        lambda b: {(topic, copies) for topic, _, copies in b.heard["topics"]},
    ),
    "egress.allow": (
        (False, True),
        lambda b: (_egress_refuses(b, "10.9.1.1"), _egress_refuses(b, "10.8.1.1")),
    ),
    "dedupe.window_s": (
        [1_234_000] * 4,
        lambda b: [each._window_ms for each in (b.index, b.window, b.side_window, b.side_window._index)],
    ),
    "dedupe.max_keys": (
        [4321] * 4,
        lambda b: [each._max_keys for each in (b.index, b.window, b.side_window, b.side_window._index)],
    ),
    "history.retention_s": (777_000, lambda b: b.history._retention_ms),
    "history.max_bytes": (3_000_001, lambda b: b.history._max_bytes),
    "history.bodies": (False, lambda b: _target(b).keep_bodies),
    "commit_interval_s": (0.35, lambda b: b.heard["commit_interval_s"]),
    "drain_timeout_s": (
        (21.5, 21.5 + OVERTIME_S),
        lambda b: (b.path.pipeline.assignment._drain_timeout_s, b.heard["deadline_s"]),
    ),
    "state_dir": (
        ["state/dedupe.sqlite", "state/history.sqlite", "state/owner.json"],
        lambda b: [
            str(file.relative_to(b.settings.state_dir.parent))
            for file in (b.index._path, b.history._path, b.heard["state_file"])
        ],
    ),
    "admin.host": ("127.0.0.9", lambda b: b.heard["admin"][0]),
    "admin.port": (8099, lambda b: b.heard["admin"][1]),
    "log.level": ("warning", lambda b: b.heard["log"][0]),
    "log.format": ("json", lambda b: b.heard["log"][1]),
    "log.attempts": (False, lambda b: _target(b).log_successes),
    "endpoints.url": (
        (("https", "crm.test", 443), "/hooks/e7"),
        lambda b: (_rendered(b).url[:3], _rendered(b).url.target),
    ),
    "endpoints.method": ("PUT", lambda b: _rendered(b).method),
    "endpoints.headers": (
        ((b"X-Fixed", b"fixed-value"), b"made of Created", {b"x-fixed", b"x-made"}),
        lambda b: (
            *_target(b).headers,
            dict(_rendered(b).headers)[b"X-Made"],
            _target(b).secret_headers,
        ),
    ),
    "endpoints.body": (b'"type":"Created"', lambda b: _rendered(b, "thin").body[1:17]),
    "endpoints.body.template": (b"inline Created", lambda b: _rendered(b).body),
    "endpoints.body.template_file": (b"from the file Created", lambda b: _rendered(b, "file").body),
    "endpoints.body.content_type": (
        (b"text/x-inline", b"text/plain"),
        lambda b: tuple(dict(_rendered(b, name).headers)[b"content-type"] for name in ("crm", "file")),
    ),
    "endpoints.preset": (
        (PRESETS["pagerduty"].judge, PRESETS["standard"].judge),
        lambda b: tuple(part(b.dispatcher(name), EndpointClient)._own_verdict for name in ("pager", "crm")),
    ),
    "endpoints.routing_key": (
        (True, b"***"),
        lambda b: (
            ROUTING_KEY.encode() in _rendered(b, "pager").body,
            part(b.dispatcher("pager"), Target).shown_body(_rendered(b, "pager").body)[16:19],
        ),
    ),
    "endpoints.events": (("Loan*", "!LoanX"), lambda b: _subscription(b).patterns),
    "endpoints.sources": ({"json", "avro"}, lambda b: _subscription(b).sources),
    "endpoints.topics": (("t-json*",), lambda b: _subscription(b).topics),
    "endpoints.tenants": (("acme*",), lambda b: _subscription(b).tenants),
    "endpoints.record_headers": ({"region": ("eu-*",)}, lambda b: _subscription(b).record_headers),
    "endpoints.when": ("data.a == 1", lambda b: part(_subscription(b), Filter).text),
    "endpoints.secrets": (
        _signature([KEY, OTHER_KEY]),
        lambda b: part(b.dispatcher(), Signer).headers("id", 1, b"body"),
    ),
    "endpoints.concurrency": (
        (17, 17, 17),
        lambda b: (b.dispatcher()._concurrency, _breaker(b)._concurrency, b.edges.transports["crm"]._max),
    ),
    "endpoints.rate": (((7, 3.0), (90, 60.0)), lambda b: part(b.dispatcher(), RateWindows)._windows),
    "endpoints.timeout_s": (9.5, lambda b: _target(b).timeout_s),
    "endpoints.start": (1_767_323_045_000, lambda b: _policy(b).start),
    "endpoints.window": (333, lambda b: _policy(b).window),
    "endpoints.window_bytes": (70_001, lambda b: _policy(b).window_bytes),
    "endpoints.proxy": ("proxy.test:3129", _proxy),
    "endpoints.on_park": (
        [1, 0],
        lambda b: [len(parts(b.dispatcher(name), HeldLanes)) for name in ("crm", "thin")],
    ),
    "endpoints.retry.base_s": (1.5, lambda b: _schedule(b)._wait.multiplier),
    "endpoints.retry.cap_s": (99.0, lambda b: _schedule(b)._wait.max),
    "endpoints.retry.retry_after_cap_s": (
        (123.0, 123.0),
        lambda b: (_schedule(b)._retry_after_cap_s, part(b.dispatcher(), Gate)._retry_after_cap_s),
    ),
    "endpoints.retry.max_attempts": (11, lambda b: _schedule(b)._max_attempts),
    "endpoints.retry.max_age_s": (5555.0, lambda b: _schedule(b)._max_age_s),
    "endpoints.breaker.failures": (13, lambda b: _breaker(b)._failures),
    "endpoints.breaker.window_s": (4.4, lambda b: _breaker(b)._slot_s),
    "endpoints.breaker.open_s": (6.5, lambda b: _breaker(b)._open_s),
    "endpoints.breaker.max_open_s": (66.0, lambda b: _breaker(b)._max_open_s),
    "sources.fineract.schemas": ("schemas", lambda b: part(b.decoder("fineract"), SchemaFolder)._path.name),
    "sources.fineract.bulk": (False, lambda b: b.decoder("fineract")._split_bulk),
    "sources.debezium.envelope": (True, lambda b: b.decoder("debezium")._envelope),
    "sources.apicurio.prefix_ids": (
        "global",
        lambda b: part(b.decoder("apicurio"), RegistryValueReader)._frame.keywords["prefix_ids"],  # type: ignore[attr-defined]
    ),
    "sources.avro.schema_file": ("shop.Paid", lambda b: part(b.decoder("avro"), AvroSchema).name),
}


def _source_reads() -> Iterator[tuple[str, tuple[Any, Read]]]:
    """Yield the rows of the settings that several formats share."""
    for format, model in SOURCE_MODELS.items():
        yield (
            f"sources.{format}.topics",
            (True, lambda b, f=format: f"t-{f}" in b.decoders and f"t-{f}" in b.membership.topics),
        )
        yield f"sources.{format}.format", (DECODERS[format], lambda b, f=format: type(b.decoder(f)))
        yield (
            f"sources.{format}.max_value_bytes",
            (MAX_VALUE_BYTES[format], lambda b, f=format: b.decoder(f)._max_value_bytes),
        )
        for name in ("id", "type", "entity", "time", "data", "tenant"):
            if name in model.model_fields:
                yield (
                    f"sources.{format}.{name}",
                    (
                        f"{format}.{name}",
                        lambda b, f=format, n=name: getattr(part(b.decoder(f), FieldPaths), n),
                    ),
                )
        if "registry" in model.model_fields:
            yield from _registry_reads(format)


def _registry_reads(format: str) -> Iterator[tuple[str, tuple[Any, Read]]]:
    wanted, path = registry(format), f"sources.{format}.registry"

    def tls(b: Built) -> Any:
        return b.registry(format)._client._transport._pool._ssl_context

    def login(b: Built) -> Any:
        return _registry_login(b, format)

    api = {"apicurio": ApicurioApi, "confluent": ConfluentApi}[wanted["api"]]
    basic = _basic(f"{format}-user", f"{format}-password")
    yield f"{path}.url", (wanted["url"], lambda b: b.registry(format).url)
    yield f"{path}.api", (api, lambda b: type(b.registries._by_source[format]._api))
    yield f"{path}.username", (basic, lambda b: login(b) if format != "apicurio" else basic)
    yield f"{path}.password", (basic, lambda b: login(b) if format != "apicurio" else basic)
    yield (
        f"{path}.token",
        ("Bearer apicurio-token", lambda b: _registry_login(b, "apicurio")),
    )
    yield f"{path}.ca_file", (FilePath(wanted["ca_file"]), lambda b: tls(b).ca_file)
    yield f"{path}.cert_file", (FilePath(wanted["cert_file"]), lambda b: tls(b).loaded[0])
    yield f"{path}.key_file", (FilePath(wanted["key_file"]), lambda b: tls(b).loaded[1])
    yield f"{path}.key_password", (wanted["key_password"], lambda b: tls(b).loaded[2])
    yield f"{path}.timeout_s", (wanted["timeout_s"], lambda b: b.registry(format)._timeout_s)


DECODERS = {
    "fineract": FineractDecoder, "json": PlainJsonDecoder, "cloudevents": CloudEventsDecoder,
    "debezium": DebeziumDecoder, "confluent": PayloadDecoder, "apicurio": PayloadDecoder,
    "avro": PayloadDecoder, "eventuate": EventuateDecoder, "modulith": PayloadDecoder,
}  # fmt: skip
READS |= dict(_source_reads())

READ_BY_CHECK_ALONE = {
    "endpoints.allow_http": "a rule about the URL; requests go where the URL says",
    "sources.fineract.custom_types": "a rule about the endpoints' patterns; decoding accepts every type",
}
"""Settings that no part needs, and why."""


def _leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the paths of all settings; the names of sources and endpoints are left out."""
    for name, info in model.model_fields.items():
        here = f"{path}{name}"
        if here == "sources":
            for format, source in SOURCE_MODELS.items():
                yield from _leaves(source, f"sources.{format}.")
            continue
        models = list(_models(info.annotation))
        if not models or here == "endpoints.body":  # which is a name or a model
            yield here
        for inner in models:
            yield from _leaves(inner, f"{here}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


LEAVES = list(_leaves(Settings))


def test_every_setting_is_read_back_or_excused() -> None:
    known = READS.keys() | READ_BY_CHECK_ALONE.keys()
    assert set(LEAVES) - known == set(), "add a row to READS: the part that reads it, and its value"
    assert known - set(LEAVES) == set(), "these settings are gone: remove their rows"
    assert not READS.keys() & READ_BY_CHECK_ALONE.keys()


@pytest.mark.parametrize("path", sorted(READS))
def test_a_setting_reaches_its_part(built: Built, path: str) -> None:
    wanted, read = READS[path]
    assert read(built) == wanted


def test_no_two_numbers_of_the_example_are_equal(tmp_path: FilePath) -> None:
    """Else two swapped wires could pass."""
    numbers = [number for number in _numbers(example(tmp_path)) if not isinstance(number, bool)]
    assert len(numbers) == len(set(numbers))


def _numbers(data: Any) -> Iterator[float]:
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, list):
        for one in data:
            yield from _numbers(one)
    elif isinstance(data, int | float):
        yield data
