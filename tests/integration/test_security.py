"""Logins to Kafka, secrets that are never shown, and addresses that are never connected to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.support.bridge_process import BridgeFailed, BridgeProcess
from tests.support.kafka import SASL_PASSWORD, SASL_USER, RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.raw_records import Raw, publish, read_messages, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import SOON, ask, history, logged, quick_config, read_topic, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
TOKEN, BEARER, STRANGER = "url-token-7f3a9", "header-token-5c1e2", "wrong-password-8d4b6"
SIGNING = "whsec_c2VjcmV0LXRoYXQtbXVzdC1ub3Qtc2hvdy1hbnl3aGVyZQ=="


def with_login(config: dict[str, Any], broker: RealKafka, mechanism: str, password: str) -> dict[str, Any]:
    config["kafka"] |= {
        "bootstrap_servers": [broker.sasl_bootstrap],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl": {"mechanism": mechanism, "username": SASL_USER, "password": password},
    }
    return config


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_it_logs_in_with_every_mechanism(
    sasl_kafka: RealKafka, receiver: Receiver, bridges: Bridges, mechanism: str
) -> None:
    """Reading, committing and parking all use the listener that requires a password."""
    group = f"login-{mechanism}"
    topic = sasl_kafka.fresh_topic("login", partitions=1)
    publish(sasl_kafka, topic, [Raw(b"not an event")])
    produce(sasl_kafka.bootstrap, topic, outbox_events(10))
    config = quick_config(sasl_kafka, topic, {"shop": {"url": receiver.url("/shop")}}, group)
    bridge = bridges(with_login(config, sasl_kafka, mechanism, SASL_PASSWORD)).start()
    receiver.wait_for("/shop", accepted=10)
    assert read_parked(sasl_kafka, group, 1)[0].value == b"not an event"
    wait_settled(sasl_kafka, f"{group}.shop", topic)
    assert SASL_PASSWORD not in bridge.log.read_text()
    assert bridge.terminate() == 0


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_logged_without_showing_it(
    sasl_kafka: RealKafka, receiver: Receiver, bridges: Bridges, mechanism: str
) -> None:
    config = quick_config(sasl_kafka, "any", {"shop": {"url": receiver.url("/shop")}}, "stranger")
    bridge = bridges(with_login(config, sasl_kafka, mechanism, STRANGER)).start(wait=False)
    (line,) = wait_until(lambda: logged(bridge, "kafka.unreachable")[:1], "the refused login is logged")
    assert "kafka.sasl" in line["remedy"]
    wait_until(
        lambda: any("uthentication" in str(entry) for entry in logged(bridge)),
        "the broker's answer is logged",
    )
    wait_until(lambda: ask(bridge, "/readyz")[0] == 503, "not ready")
    assert bridge.terminate() == 0
    assert STRANGER not in bridge.log.read_text()


def test_no_secret_is_shown_anywhere(kafka: RealKafka, receiver: Receiver, bridges: Bridges) -> None:
    """Covers URL token, header value and signing secret after successes, retries, parking and no answer."""
    topic = kafka.fresh_topic("secrets", partitions=1)
    path = f"/hooks/{TOKEN}"
    receiver.control(path, status=400, body="no", entities=["e0"])
    gone = Receiver().start()
    gone.stop()
    secret = {"headers": {"Authorization": f"Bearer {BEARER}", "X-Key": "${env:SHOP_KEY}"},
              "secrets": ["${env:SHOP_SECRET}"], "retry": SOON | {"max_attempts": 2},
              "breaker": {"failures": 10_000, "window_s": 1}}  # fmt: skip
    endpoints = {
        "shop": secret | {"url": receiver.url("/hooks/${env:SHOP_TOKEN}")},
        "moved": secret | {"url": receiver.url(f"/moved?key={TOKEN}")},
        "gone": secret | {"url": gone.url(f"/{TOKEN}")},
    }
    receiver.control(f"/moved?key={TOKEN}", status=302, headers={"Location": f"http://127.0.0.1/{TOKEN}"})
    config = quick_config(kafka, topic, endpoints, "secrets", log={"level": "debug"})
    environment = {"SHOP_TOKEN": TOKEN, "SHOP_SECRET": SIGNING, "SHOP_KEY": BEARER}
    bridge = bridges(config, environment=environment).start()
    produce(kafka.bootstrap, topic, outbox_events(30, entities=3, seed=51))
    receiver.wait_for(path, requests=30)
    for name in endpoints:
        wait_settled(kafka, f"secrets.{name}", topic)
    assert receiver.records(path)[0]["headers"]["authorization"] == f"Bearer {BEARER}"
    assert receiver.records(path)[0]["headers"]["x-key"] == BEARER
    expected = {("shop", "delivered"), ("shop", "park"), ("moved", "again"), ("gone", "again")}
    wait_until(
        lambda: expected <= {(row["endpoint"], row["verdict"]) for row in history(bridge)},
        "an attempt of each verdict is in the history",
    )

    refused = sum(request["status"] == 400 for request in receiver.records(path))
    parked = read_messages(kafka, "secrets.parked", 30 + 30 + refused)
    assert refused
    shown = {
        "metrics": ask(bridge, "/metrics")[1].encode(),
        "readyz": ask(bridge, "/readyz")[1].encode(),
        "parked": repr([(letter.headers(), letter.value()) for letter in parked]).encode(),
        "history": repr(read_topic(kafka.bootstrap, "secrets.attempts")).encode(),
        "cursors": repr([kafka.consumer_groups(f"secrets.{name}") for name in endpoints]).encode(),
    }  # fmt: skip
    assert bridge.terminate() == 0
    state = [file for file in (bridge.folder / "state").rglob("*") if file.is_file()]
    assert "dedupe.sqlite" in {file.name for file in state}
    shown |= {file.name: file.read_bytes() for file in [*state, bridge.log]}
    for where, text in shown.items():
        for hidden in (TOKEN, BEARER, SIGNING, SIGNING.removeprefix("whsec_"), "secret-that-must-not-show"):
            assert hidden.encode() not in text, f"{hidden} in {where}"


def test_the_error_message_about_a_field_next_to_a_secret_does_not_show_it(
    kafka: RealKafka, bridges: Bridges
) -> None:
    endpoints = {"shop": {"url": f"ftp://127.0.0.1/{TOKEN}", "secrets": [SIGNING + "!"]}}
    bridge = bridges(quick_config(kafka, "any", endpoints, "mistake"))
    with pytest.raises(BridgeFailed, match="ended with 2"):
        bridge.start()
    message = bridge.log.read_text()
    assert "shop" in message
    assert TOKEN not in message
    assert SIGNING not in message


def test_no_connection_is_opened_to_an_address_that_is_not_allowed(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """A host name for loopback: refused with the remedy, retried, parked, and no connection was opened."""
    topic = kafka.fresh_topic("egress", partitions=1)
    publish(kafka, topic, [Raw(orjson.dumps({"id": "1", "type": "T", "entity": "e", "payload": {}}))])
    url = receiver.url("/shop").replace("127.0.0.1", "localhost")
    endpoint = {"url": url, "retry": SOON | {"max_attempts": 3}}
    config = quick_config(kafka, topic, {"shop": endpoint}, "egress", egress={"allow": ["10.9.8.0/24"]})
    opened = receiver.report()["connections"]
    bridge = bridges(config).start()
    (parked,) = read_parked(kafka, "egress", 1)
    assert "gave up after 3 attempts" in parked.facts["cause"]
    assert "refused_address" in parked.facts["cause"]
    wait_settled(kafka, "egress.shop", topic)
    attempts = logged(bridge, "delivery.attempted")
    assert [line["verdict"] for line in attempts] == ["again", "again", "park"]
    assert all("to egress.allow" in line["reason"] for line in attempts)
    assert receiver.report()["connections"] == opened
    assert receiver.report()["paths"] == {}
