"""Two workers compared with one process at a backlog: ``python -m tests.bench.workers``.

The runs alternate. Broker, receiver and bridge share the machine, so the CPU time of each is measured, too.
On two cores, the workers can only use what the other two leave.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.scenarios import Stage, await_all, check
from tests.support.bridge_process import TICKS_PER_S, BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.receiver import Receiver

CONCURRENCY = 64
FORMS: dict[str, tuple[str, ...]] = {"one process": (), "two workers": ("--workers", "2")}


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its children so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return own + sum(cpu_s(int(child)) for child in children)


def drain(stage: Stage, name: str, topic: str, events: int, options: tuple[str, ...]) -> dict[str, float]:
    """Deliver a backlog that exists before the bridge starts."""
    path = f"/{name}"
    stage.receiver.reset()
    plain = stage.bridge(name, topic, path, CONCURRENCY)
    bridge = BridgeProcess(plain.config, plain.folder, options=options)
    assert stage.kafka.process is not None
    assert stage.receiver.process is not None
    others = stage.kafka.process.pid, stage.receiver.process.pid
    with bridge:
        before = [cpu_s(pid) for pid in (bridge.pid, *others)]
        await_all(stage.receiver, bridge, path, events)
        used = [cpu_s(pid) - was for pid, was in zip((bridge.pid, *others), before, strict=True)]
        bridge.terminate()
    report = stage.receiver.report(path)
    check(report, events)
    names = ("bridge_us", "broker_us", "receiver_us")
    return {"per_s": report["rate_middle"]} | {
        name: seconds / events * 1e6 for name, seconds in zip(names, used, strict=True)
    }


def table(runs: dict[str, list[dict[str, float]]]) -> str:
    """Return the medians of each form, and the ratio of the rates."""
    head = f"{'':<14}{'events/s':>10}{'bridge µs':>11}{'broker µs':>11}{'receiver µs':>13}"
    middle = {form: {key: median(run[key] for run in done) for key in done[0]} for form, done in runs.items()}
    lines = [
        f"{form:<14}{row['per_s']:>10,.0f}{row['bridge_us']:>11.0f}{row['broker_us']:>11.0f}"
        f"{row['receiver_us']:>13.0f}"
        for form, row in middle.items()
    ]
    one, two = (middle[form]["per_s"] for form in FORMS)
    return "\n".join([head, *lines, f"two workers / one process: {two / one:.2f}"])


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="two workers compared with one process")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {form: [] for form in FORMS}
    with (
        tempfile.TemporaryDirectory(prefix="hookferry-bench-") as folder,
        RealKafka() as kafka,
        Receiver() as receiver,
    ):
        stage = Stage(kafka, receiver, Path(folder), "all")
        topic = stage.backlog("workers", options.events)
        for number in range(options.rounds):
            for form, chosen in FORMS.items():
                name = f"{form.replace(' ', '-')}-{number}"
                runs[form].append(drain(stage, name, topic, options.events, chosen))
                print(f"{name}: {runs[form][-1]}", file=sys.stderr, flush=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end\n{table(runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
