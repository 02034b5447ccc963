"""The doctor tries the collector of traces, and whether re-sends may write transactions."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import CoordinatorNotAvailableError, TransactionalIdAuthorizationFailed

from bridge.kafka import rights
from bridge.kafka.client import KafkaOptions
from bridge.preflight.probes import collector as probing
from bridge.preflight.probes.brokers import probe_transactions
from bridge.preflight.probes.collector import probe_collector
from bridge.preflight.probes.finding import Finding, Level
from bridge.settings import Settings
from bridge.settings.models.tracing import TracingSettings
from tests.support.otlp_collector import collecting
from tests.support.ports import free_port

KEY = "s3cret-of-the-collector"


def tracing(url: str, **more: Any) -> TracingSettings:
    return TracingSettings.model_validate({"endpoint": url, "headers": {"x-key": KEY}, **more})


async def test_a_collector_that_takes_traces_gets_no_span_and_the_login() -> None:
    with collecting() as collector:
        (found,) = await probe_collector(tracing(collector.url))
        assert found.level is Level.OK
        assert collector.spans == []
        assert collector.headers[0]["x-key"] == KEY


async def test_without_traces_nothing_is_tried() -> None:
    assert await probe_collector(None) == []


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "login"), (404, "/v1/traces"), (500, "the log of the collector")]
)
async def test_a_collector_that_refuses_is_a_warning_with_a_remedy_and_without_the_key(
    status: int, remedy: str
) -> None:
    with collecting() as collector:
        collector.status = status
        (found,) = await probe_collector(tracing(f"{collector.url}?key={KEY}"))
    assert found.level is Level.WARNING
    assert f"status {status}" in found.text
    assert remedy in found.remedy
    assert KEY not in str(found)


async def test_a_collector_that_does_not_run_is_a_warning() -> None:
    (found,) = await probe_collector(tracing(f"http://127.0.0.1:{free_port()}/v1/traces"))
    assert found.level is Level.WARNING
    assert "does not answer" in found.text


async def test_a_file_of_authorities_that_is_none_is_a_warning(tmp_path: Any) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context(cafile=str(file))
    (found,) = await probe_collector(tracing("https://127.0.0.1:1/v1/traces", ca_file=file))
    assert found.level is Level.WARNING


async def test_without_the_extra_the_bridge_would_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "find_spec", lambda name: None)
    (found,) = await probe_collector(tracing("http://127.0.0.1:1/v1/traces"))
    assert (found.level, found.remedy) == (Level.ERROR, "install hookferry[otel], or remove tracing")


class Cluster:
    """A client of brokers that answer a search for a coordinator with ``error``."""

    error: Exception | None = None
    asked: tuple[Any, str] = (None, "")

    def __init__(self, **_: Any) -> None:
        pass

    async def bootstrap(self) -> None:
        return

    async def close(self) -> None:
        return

    async def coordinator_lookup(self, kind: Any, key: str) -> int:
        type(self).asked = (kind, key)
        if self.error is not None:
            raise self.error
        return 1


@pytest.mark.parametrize(
    ("error", "level", "said"),
    [
        (None, Level.OK, "g.resend.*"),
        (TransactionalIdAuthorizationFailed(), Level.WARNING, "grant WRITE and DESCRIBE"),
        (CoordinatorNotAvailableError(), Level.WARNING, "transaction.state.log.replication.factor=1"),
    ],
)
async def test_what_re_sends_need_to_write_transactions(
    error: Exception | None, level: Level, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "error", error)
    monkeypatch.setattr(rights, "AIOKafkaClient", Cluster)
    settings = Settings.model_validate({
        "group": "g", "kafka": {"bootstrap_servers": ("k:9092",)},
        "sources": {"orders": {"topics": ("orders",), "format": "json", "id": "id", "type": "type"}},
        "endpoints": {"crm": {"url": "https://crm.example.com/"}},
    })  # fmt: skip
    found: Finding = await probe_transactions(settings, KafkaOptions(("k:9092",)))
    assert found.level is level
    assert said in f"{found.text}; {found.remedy}"
    assert Cluster.asked == (CoordinationType.TRANSACTION, "g.resend.doctor")
