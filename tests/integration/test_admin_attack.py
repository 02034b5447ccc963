"""An attack on the admin port of a process with few descriptors: probes are answered, deliveries go on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.raw_records import Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import ask, logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]
DESCRIPTORS = 160
ATTACKERS = 300
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BEGINNINGS = (
    REQUEST,  # half a request
    b"",  # nothing
    REQUEST + b"X: " + b"y" * 1_000_000,  # a huge header
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",  # a whole one, and then idle
    b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n",  # a body that never comes
)


class Attack:
    """Sockets that begin a request and then send a byte at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sockets = [self._begin(BEGINNINGS[number % len(BEGINNINGS)]) for number in range(ATTACKERS)]

    def _begin(self, beginning: bytes) -> socket.socket:
        attacker = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        with suppress(OSError):  # refused in the middle of it
            attacker.sendall(beginning)
        return attacker

    def drip(self) -> None:
        """Send a byte on every connection, and replace those that were closed."""
        for number, attacker in enumerate(self.sockets):
            try:
                attacker.sendall(b"z")
            except OSError:
                attacker.close()
                self.sockets[number] = self._begin(BEGINNINGS[number % len(BEGINNINGS)])

    def close(self) -> None:
        for attacker in self.sockets:
            attacker.close()


@pytest.fixture
def attacked(kafka: RealKafka, receiver: Receiver, bridges: Bridges) -> tuple[BridgeProcess, str]:
    topic = kafka.fresh_topic("attacked", partitions=1)
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "attacked")
    launcher = ("sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh")
    return bridges(config, launcher=launcher).start(), topic


def test_an_attack_on_the_admin_port_stops_neither_probes_nor_deliveries(
    kafka: RealKafka, receiver: Receiver, attacked: tuple[BridgeProcess, str]
) -> None:
    """Deliveries need sockets, parking needs Kafka, journal and history need files: all have descriptors."""
    bridge, topic = attacked
    with closing(Attack(bridge.admin_port)) as attack:
        delivered = 0
        for wave in range(3):
            attack.drip()
            publish(kafka, topic, [Raw(b"not an event")])
            produce(kafka.bootstrap, topic, outbox_events(50, seed=wave))
            delivered += 50
            receiver.wait_for("/shop", accepted=delivered)
            for path in ("/healthz", "/readyz", "/metrics"):
                wait_until(lambda path=path: ask(bridge, path)[0] == 200, f"{path} is answered")
        assert len(read_parked(kafka, "attacked", 3)) == 3
    assert bridge.process is not None
    assert bridge.process.poll() is None
    assert "Too many open files" not in bridge.log.read_text()
    reasons = {line["reason"] for line in logged(bridge, "admin.limited")}
    assert "too many connections" in reasons
    assert bridge.terminate() == 0
