"""Kafka over TLS: both sides verify the certificate of the other, and a mismatch is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.tls import TestAuthority, make_authority
from tests.support.watch import ask, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


@pytest.fixture(scope="module")
def tls_kafka(kafka: RealKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with RealKafka(tls=make_authority(tmp_path_factory.mktemp("authority"))) as broker:
        yield broker


def with_tls(config: dict[str, Any], broker: RealKafka, authority: TestAuthority) -> dict[str, Any]:
    """Set the client certificate: the broker accepts any that the authority signed."""
    config["kafka"] |= {
        "bootstrap_servers": [broker.tls_bootstrap],
        "security_protocol": "SSL",
        "tls": {
            "ca_file": str(authority.ca_file),
            "cert_file": str(authority.cert_file),
            "key_file": str(authority.key_file),
        },
    }
    return config


def test_events_are_delivered_over_tls_with_a_client_certificate(
    tls_kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = tls_kafka.fresh_topic("tls", partitions=1)
    produce(tls_kafka.bootstrap, topic, outbox_events(10))
    assert tls_kafka.tls is not None
    config = quick_config(tls_kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "tls")
    bridge = bridges(with_tls(config, tls_kafka, tls_kafka.tls)).start()
    receiver.wait_for("/shop", accepted=10)
    wait_settled(tls_kafka, "tls.shop", topic)
    assert bridge.terminate() == 0


def test_a_broker_certificate_of_another_authority_is_refused(
    tls_kafka: RealKafka, receiver: Receiver, bridges: Bridges, tmp_path: Path
) -> None:
    config = quick_config(tls_kafka, "any", {"shop": {"url": receiver.url("/shop")}}, "tls-stranger")
    bridge = bridges(with_tls(config, tls_kafka, make_authority(tmp_path))).start(wait=False)
    (line,) = wait_until(lambda: logged(bridge, "kafka.unreachable")[:1], "the refused certificate is logged")
    assert "kafka.tls" in line["remedy"]
    wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in str(logged(bridge)), "the TLS error is logged")
    wait_until(lambda: ask(bridge, "/readyz")[0] == 503, "not ready")
    assert bridge.terminate() == 0
