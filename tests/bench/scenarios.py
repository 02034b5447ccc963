"""The stage of the benchmarks on real Kafka, and how they measure a bridge from outside.

Rates and latencies come from the arrival times at the receiver, CPU time and memory from ``/proc``.
A run with a lost, repeated or misordered event has no figures: it raises ``NotProven``.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.compare.judging import NotProven, violations
from tests.bench.interpreter import Interpreter
from tests.support.bridge_process import ROOT, BridgeProcess, plain_config
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"hookferry bench, thirty-two byte").decode()
ENTITIES = 1_000
PARTITIONS = 4
STALL_S = 60  # without a new event


class Stage(NamedTuple):
    """The broker, the receiver, the folder, and the interpreter of all bridges; None is this one."""

    kafka: RealKafka
    receiver: Receiver
    folder: Path
    log_attempts: str
    interpreter: Interpreter | None = None

    def bridge(self, name: str, topic: str, path: str, concurrency: int, **endpoint: Any) -> BridgeProcess:
        """Return a bridge with one signed endpoint and its own group, not started yet."""
        settings = {"url": self.receiver.url(path), "concurrency": concurrency} | endpoint
        return self.bridge_to(name, topic, {"bench": settings})

    def bridge_to(
        self, name: str, topic: str, endpoints: Mapping[str, Mapping[str, Any]], **kafka: Any
    ) -> BridgeProcess:
        """Return a bridge with these endpoints, signed, and its own group, not started yet."""
        config = plain_config(
            self.kafka.bootstrap,
            topic,
            {endpoint: {"secrets": [SECRET]} | dict(settings) for endpoint, settings in endpoints.items()},
            group=f"bench-{name}",
            log={"level": "info", "format": "json", "attempts": self.log_attempts},
        )
        config["kafka"] |= kafka
        if (interpreter := self.interpreter) is None:
            return BridgeProcess(config, self.folder / name)
        environment, python = interpreter.environment(ROOT), interpreter.program
        return BridgeProcess(config, self.folder / name, environment=environment, python=python)

    def backlog(self, name: str, events: int) -> str:
        """Create a topic with this many events."""
        topic = self.kafka.fresh_topic(name, PARTITIONS)
        produce(self.kafka.bootstrap, topic, outbox_events(events, entities=ENTITIES, seed=events))
        return topic


def check(report: dict[str, Any], events: int) -> None:
    """Raise ``NotProven`` unless every event arrived once and in order."""
    wrong = violations(report, events)
    if wrong:
        raise NotProven(f"of {events} events: {wrong}")


def await_all(receiver: Receiver, bridge: BridgeProcess, path: str, events: int) -> list[tuple[int, float]]:
    """Wait for the last event; return samples of (events arrived, CPU seconds of the bridge)."""
    samples, progress_at = [(0, bridge.cpu_s())], time.monotonic()
    while samples[-1][0] < events:
        time.sleep(0.05)
        accepted = receiver.count(path)["accepted"]
        if accepted > samples[-1][0]:
            progress_at = time.monotonic()
        elif time.monotonic() - progress_at > STALL_S:
            raise NotProven(f"{accepted} of {events} events, then none for {STALL_S} s\n{bridge.log_tail()}")
        samples.append((accepted, bridge.cpu_s()))
    return samples


def memory(stage: Stage, topic: str, seconds: float, **behavior: Any) -> dict[str, float]:
    """Sample resident memory each second while a backlog waits for a slow or failing receiver."""
    path = f"/memory-{'-'.join(behavior)}"
    stage.receiver.reset()
    stage.receiver.control(path, **behavior)
    samples: list[int] = []
    with stage.bridge(path.strip("/"), topic, path, 64) as bridge:
        stage.receiver.wait_for(path, 60, requests=1)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(1)
            samples.append(bridge.rss_bytes())
        peak = bridge.peak_rss_bytes()
    settled = samples[len(samples) // 3]  # after the window has filled and the pools have grown
    return {
        "first_mb": samples[0] / 1e6,
        "third_mb": settled / 1e6,
        "last_mb": samples[-1] / 1e6,
        "peak_mb": peak / 1e6,
        "requests": stage.receiver.count(path)["requests"],
    }
