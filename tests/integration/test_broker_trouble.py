"""A broker that is down or dies, a missing topic: the bridge waits, logs the cause, and continues."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import ask, log_counts, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS = 2_000


@pytest.fixture
def own_broker(kafka: RealKafka) -> Iterator[RealKafka]:  # requests `kafka` for its skip and its marker
    """Return a broker for this test alone, not started yet."""
    broker = RealKafka()
    yield broker
    broker.close()


@pytest.mark.slow
def test_the_bridge_waits_for_a_broker_that_is_down_and_names_a_missing_topic(
    own_broker: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """It is alive but not ready, stops quickly on SIGTERM, and delivers once broker and topic exist."""
    config = quick_config(own_broker, "not.yet", {"shop": {"url": receiver.url("/shop")}}, "early")
    bridge = bridges(config).start(wait=False)
    (line,) = wait_until(lambda: logged(bridge, "kafka.unreachable")[:1], "the missing broker is logged")
    assert line["servers"] == own_broker.bootstrap
    assert "kafka.bootstrap_servers" in line["remedy"]
    wait_until(lambda: ask(bridge, "/healthz")[0] == 200, "it is alive")
    words = f"starting: no broker at {own_broker.bootstrap} has answered yet\n"
    wait_until(lambda: ask(bridge, "/readyz") == (503, words), "it says what it waits for")
    _stops_quickly(bridge)

    bridge.start(wait=False)
    wait_until(lambda: ask(bridge, "/healthz")[0] == 200, "it runs again")
    own_broker.start()
    (line,) = wait_until(lambda: logged(bridge, "topics.missing"), "the missing topic is named", 30)
    assert line["topics"] == ["not.yet"]
    assert ask(bridge, "/readyz") == (503, "starting: waiting until all topics exist: not.yet\n")
    assert ask(bridge, "/healthz")[0] == 200
    _stops_quickly(bridge)

    bridge.start(wait=False)
    wait_until(
        lambda: len(logged(bridge, "topics.missing")) == 2, "the missing topic is logged after the restart"
    )
    own_broker.create_topic("not.yet", 2)
    bridge.wait_ready()
    produce(own_broker.bootstrap, "not.yet", outbox_events(20))
    receiver.wait_for("/shop", accepted=20)
    assert len(logged(bridge, "topics.missing")) == 2, "logged again although nothing changed"
    assert log_counts(bridge).total() < 20 + 40, log_counts(bridge)


def _stops_quickly(bridge: BridgeProcess) -> None:
    """Assert that it ends before any timeout: the drain may take 20 s, and nothing is in flight."""
    assert bridge.terminate(timeout_s=15) == 0


@pytest.mark.slow
def test_a_broker_crash_during_deliveries_loses_no_event_and_no_order(
    own_broker: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Down for three seconds: events already read are delivered, commits resume, and the log stays short."""
    topic, group = own_broker.start().create_topic("cut", 4), "cut"
    produce(own_broker.bootstrap, topic, outbox_events(EVENTS, entities=200, seed=41))
    receiver.control("/shop", delay_ms=30)
    endpoint = {"url": receiver.url("/shop"), "concurrency": 16, "window": 100, "timeout_s": 5}
    top = {"log": {"attempts": "failures"}, "drain_timeout_s": 8}
    bridge = bridges(quick_config(own_broker, topic, {"shop": endpoint}, group, **top))
    bridge.start()
    receiver.wait_for("/shop", accepted=EVENTS // 4)
    own_broker.kill()
    at_death = receiver.count("/shop")["accepted"]
    receiver.wait_for("/shop", accepted=at_death + 50)
    wait_until(lambda: logged(bridge, "commit.failed"), "the failed commit is logged")
    assert ask(bridge, "/healthz")[0] == 200
    away_until = time.monotonic() + 3
    wait_until(lambda: time.monotonic() > away_until, "three seconds without a broker")
    own_broker.start()
    receiver.wait_for("/shop", accepted=EVENTS)
    wait_settled(own_broker, f"{group}.shop", topic)

    report = receiver.report("/shop")
    assert report["accepted"] == report["distinct"] == EVENTS
    assert report["inversions"] == 0
    counts = log_counts(bridge)
    print(f"repeats {report['repeats']}, log lines {dict(counts)}")
    assert counts["commit.failed"] <= 3, counts
    assert counts.total() < 60, counts

    produce(own_broker.bootstrap, topic, outbox_events(300, entities=200, seed=42, first_seq=1000))
    receiver.wait_for("/shop", accepted=EVENTS + 100)
    own_broker.kill()
    began = time.monotonic()
    assert bridge.terminate() == 0
    # the 8 s of the drain, and the start and end of the process on a loaded machine
    assert time.monotonic() - began < 25, "the last commit was retried after the drain"
    assert "Traceback" not in bridge.log_tail(100)
