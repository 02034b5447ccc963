"""A bridge with nothing to do wakes seldom, however many endpoints and partitions it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bridge.telemetry import events
from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.kafka import RealKafka
from tests.support.receiver import Receiver
from tests.support.watch import logged, wait_until

Bridges = Callable[..., BridgeProcess]
PARTITIONS = 50
MOST_PER_S = 60
"""Of the thread that runs the event loop; it was 24 to 45. With a fetch every 50 ms it would be 90."""


def wakeups(pid: int) -> int:
    """Return how often the main thread has waited and been woken."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_an_idle_bridge_with_many_partitions_and_endpoints_wakes_seldom(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("idle", PARTITIONS)
    endpoints = {f"e{number}": {"url": receiver.url(f"/{number}")} for number in range(10)}
    bridge = bridges(plain_config(kafka.bootstrap, topic, endpoints, group="idle")).start()
    wait_until(lambda: logged(bridge, events.SOURCE_ASSIGNED), "the partitions are assigned")

    def is_quiet() -> bool:
        before, began = wakeups(bridge.pid), time.monotonic()
        time.sleep(2)
        return (wakeups(bridge.pid) - before) / (time.monotonic() - began) < MOST_PER_S

    wait_until(is_quiet, f"it wakes less than {MOST_PER_S} times per second")
    assert bridge.terminate() == 0
