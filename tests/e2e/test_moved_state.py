"""A state folder that is moved to another cluster, as in a migration, or that two processes share."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from confluent_kafka import Producer

from bridge.demo.broker import Broker, publish
from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.receiver import Receiver
from tests.support.watch import logged, wait_until

Bridges = Callable[..., BridgeProcess]
TOPICS = ("moved", "g.parked", "g.again", "g.control", "g.attempts")


def fill(broker: Broker, *ids: str) -> None:
    """Publish all to one partition, in this order."""
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 2})
    for id in ids:
        value = {"id": id, "type": "Made", "entity": "1", "createdAt": "2026-06-29T08:15:30Z", "payload": {}}
        publish(producer, "moved", b"one key", orjson.dumps(value))


def test_the_state_of_one_cluster_is_not_used_for_another(receiver: Receiver, bridges: Bridges) -> None:
    """The copied topic has the same events at other offsets: none may count as a duplicate of itself."""
    ids = [f"id-{number}" for number in range(20)]
    here, there = Broker(TOPICS), Broker(TOPICS)
    fill(here, *ids)
    fill(there, "one more", *ids)
    endpoints = {"crm": {"url": receiver.url("/here"), "start": "earliest"}}
    bridge = bridges(plain_config(here.address, "moved", endpoints, group="g")).start()
    receiver.wait_for("/here", accepted=len(ids))
    assert bridge.terminate() == 0

    bridge.config["kafka"]["bootstrap_servers"] = [there.address]
    bridge.config["endpoints"]["crm"]["url"] = receiver.url("/there")
    bridge.start()
    receiver.wait_for("/there", accepted=len(ids) + 1)
    (line,) = logged(bridge, "state.forgotten")
    assert "for group g at cluster " in line["cause"]
    assert bridge.terminate() == 0


def test_a_folder_that_another_bridge_uses_is_refused(receiver: Receiver, bridges: Bridges) -> None:
    broker = Broker(TOPICS)
    made = plain_config(broker.address, "moved", {"crm": {"url": receiver.url("/x")}}, group="g")
    first = bridges(made).start()
    second = bridges(made | {"state_dir": first.config["state_dir"]}).start(wait=False)
    assert second.process is not None
    wait_until(lambda: second.process and second.process.poll() is not None, "it ends")
    assert second.process.returncode == 2
    assert "another process works in it" in second.log_tail()
    assert "Traceback" not in second.log_tail()
    assert first.is_ready()
