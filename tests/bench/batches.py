"""What batches bring: ``python -m tests.bench.batches``.

A backlog for a receiver that answers after 5 ms, in turns with one event per request and with up to 100.
Prints events per second, microseconds of CPU of the bridge per event, and how much of a core it used: of each
run, and the medians. ``make bench`` measures the same; the bridge runs on its interpreter, which is named
first. Exits with 1 if an event is missing, repeated or out of order.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.compare.judging import NotProven
from tests.bench.interpreter import Interpreter, fastest
from tests.bench.scenarios import SECRET, STALL_S
from tests.support.batch_sink import BatchSink
from tests.support.bridge_process import ROOT, BridgeProcess, plain_config
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce

EVENTS = 30_000
ENTITIES = 1_000
DELAY_S = 0.005
TURNS = 3
KINDS: dict[str, dict[str, Any]] = {"single": {}, "batches": {"batch": {"max_events": 100}}}


def run(
    kafka: RealKafka,
    topic: str,
    folder: Path,
    name: str,
    endpoint: dict[str, Any],
    interpreter: Interpreter,
) -> tuple[float, float]:
    """Return events per second and CPU per event (µs), between the first and the last tenth.

    Raises ``NotProven`` for an event that is missing, repeated or out of order.
    """
    with BatchSink(delay_s=DELAY_S) as sink:
        settings = {"crm": {"url": sink.url, "secrets": [SECRET], **endpoint}}
        config = plain_config(kafka.bootstrap, topic, settings, group=name)
        config["log"] = {"level": "info", "format": "json", "attempts": "all"}
        samples: list[tuple[int, float, float]] = []
        environment, python = interpreter.environment(ROOT), interpreter.program
        with BridgeProcess(config, folder / name, environment=environment, python=python) as bridge:
            progress_at = time.monotonic()
            while len(sink.accepted) < EVENTS:
                time.sleep(0.02)
                accepted, now = len(sink.accepted), time.monotonic()
                if not samples or accepted > samples[-1][0]:
                    progress_at = now
                if now - progress_at > STALL_S:
                    raise NotProven(f"{name}: {accepted} of {EVENTS} events, then none for {STALL_S} s")
                samples.append((accepted, now, bridge.cpu_s()))
        if sink.misordered() or sink.repeats:
            raise NotProven(f"{name}: {len(sink.misordered())} out of order, {sink.repeats} repeated")
    first = next(sample for sample in samples if sample[0] >= EVENTS * 0.1)
    last = next(sample for sample in samples if sample[0] >= EVENTS * 0.9)
    events = last[0] - first[0]
    return events / (last[1] - first[1]), (last[2] - first[2]) / events * 1e6


def line(name: str, rate: float, cpu_us: float) -> str:
    """Return a line of the figures; what is left of the core is what the loop waits."""
    busy = rate * cpu_us / 1e6
    return f"{name:<18} {rate:8,.0f} events/s {cpu_us:6.0f} µs of CPU per event {busy:5.0%} of a core"


Runs = dict[str, list[tuple[float, float]]]
"""Of each kind: events per second and CPU per event (µs) of each run."""


def measure(kafka: RealKafka, folder: Path, interpreter: Interpreter) -> Runs:
    """Return the runs, in turns. Raises ``NotProven``."""
    figures: Runs = {kind: [] for kind in KINDS}
    topic = kafka.fresh_topic("batches", 4)
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=ENTITIES))
    for turn in range(TURNS):
        for kind, endpoint in KINDS.items():
            rate, cpu_us = run(kafka, topic, folder, f"{kind}-{turn}", endpoint, interpreter)
            figures[kind].append((rate, cpu_us))
            print(line(kind, rate, cpu_us), file=sys.stderr, flush=True)
    return figures


def middle(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of both figures."""
    rates, cpus = zip(*runs, strict=True)
    return statistics.median(rates), statistics.median(cpus)


def main() -> None:
    """Print the figures."""
    interpreter = fastest()
    print(f"Python {interpreter.description}")
    with tempfile.TemporaryDirectory() as folder, RealKafka() as kafka:
        try:
            figures = measure(kafka, Path(folder), interpreter)
        except NotProven as problem:
            sys.exit(str(problem))
    for kind, runs in figures.items():
        print(line(f"median of {kind}", *middle(runs)))


if __name__ == "__main__":
    main()
