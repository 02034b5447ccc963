"""The bridge's speed on real Kafka: ``make bench``, or ``make bench BENCH="--isolation --restart"``.

(a) a backlog into a receiver that answers at once; (b) into one that takes 20 ms; (c) latency at
half of (a)'s rate; (d) beside (a), in turns with it, the bare transport with the same requests; (e)
with ``--memory``, a million records behind a receiver in trouble. ``--isolation``, ``--endpoints``,
``--behind N`` and ``--restart`` measure the modules of those names instead, one or
several. Absolute figures drift between machines and hours; the ratio of (a) to (d) is the one to
watch. Ends with 1 when an event was lost, repeated or out of order, or memory grew.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from bridge import __version__
from tests.bench import behind, endpoints, isolation, restart, scenarios
from tests.bench.scenarios import NotProven, Stage
from tests.support.kafka import RealKafka
from tests.support.kafka_jars import KAFKA_VERSION, KafkaMissing
from tests.support.receiver import Receiver

MEMORY_RECORDS = 1_000_000
PARTS = {"isolation": isolation, "endpoints": endpoints, "behind": behind, "restart": restart}
MEMORY_GROWTH = 1.25  # the last sample to the one a third into the run: more is a leak


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "hookferry": __version__,
    }


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure, and the rates of all rounds."""
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


def speed(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Scenarios (a) to (d)."""
    events = options.events
    say(f"(a) and (d): {events} events, {options.rounds} rounds in turns …")
    topic = stage.backlog("a", events)
    at_once, floor = [], []
    for number in range(options.rounds):
        name = f"a{number}"
        at_once.append(scenarios.drain(stage, name, topic, events, concurrency=64))
        floor.append(scenarios.bare(stage, f"/{name}", events, 64))
    say(f"(b): {events // 2} events, receiver takes 20 ms …")
    topic = stage.backlog("b", events // 2)
    slow = scenarios.drain(stage, "b", topic, events // 2, concurrency=256, delay_ms=20)
    a, d = middle(at_once), middle(floor)
    say(f"(c): {options.seconds} s at {a['per_s'] / 2:,.0f} events/s …")
    return {
        "a": a,
        "b": slow,
        "c": scenarios.latency(stage, a["per_s"] / 2, options.seconds),
        "d": d,
        "bridge_to_bare": {"per_s": a["per_s"] / d["per_s"], "cpu": a["cpu_us"] / d["cpu_us"]},
        "rounds": {"a": at_once, "d": floor},
    }


def steadiness(stage: Stage, seconds: float) -> dict[str, Any]:
    """Scenario (e), twice."""
    say(f"(e): {MEMORY_RECORDS} records, twice {seconds:g} s …")
    topic = stage.backlog("e", MEMORY_RECORDS)
    return {
        "slow": scenarios.memory(stage, topic, seconds, delay_ms=200),
        "failing": scenarios.memory(stage, topic, seconds, status=500),
    }


def further(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for by name."""
    found: dict[str, Any] = {}
    if options.isolation:
        say(f"isolation: {options.pairs} pairs of {options.pair_seconds:g} s …")
        found["isolation"] = isolation.isolation(stage, options.pairs, options.pair_seconds)
    if options.endpoints:
        say(f"endpoints: {options.read_events} events, {options.read_rounds} rounds …")
        found["endpoints"] = endpoints.endpoints(stage, options.read_events, options.read_rounds)
    if options.behind:
        say(f"behind: {options.behind} records …")
        found["behind"] = behind.behind(stage, options.behind)
    if options.restart:
        say(f"restart: {options.kills} kills …")
        found["restart"] = restart.restart(stage, options.kills)
    return found


def say(text: str) -> None:
    """Progress goes to stderr; the table alone to stdout."""
    print(text, file=sys.stderr, flush=True)


def table(result: dict[str, Any]) -> str:
    """What a person reads."""
    facts = result["machine"]
    lines = [
        f"Hookferry {facts['hookferry']}, Apache Kafka {facts['kafka']}, Python {facts['python']}, "
        f"{facts['cores']} cores ({facts['cpu']}), load {facts['load']:.1f} at the start",
        "",
    ]
    if "a" in result:
        lines.append(
            f"{'1,000 entities, 4 partitions, signed':<44}{'events/s':>10}{'CPU µs':>9}{'peak MB':>9}"
        )
        rows = {
            "(a) receiver at once, concurrency 64": "a",
            "(b) receiver 20 ms, concurrency 256": "b",
            "(d) bare transport, 64 tasks, like (a)": "d",
        }
        for text, name in rows.items():
            row = result[name]
            rss = f"{row['peak_rss_mb']:>9.0f}" if "peak_rss_mb" in row else ""
            lines.append(f"{text:<44}{row['per_s']:>10,.0f}{row['cpu_us']:>9.1f}{rss}")
        ratio, c = result["bridge_to_bare"], result["c"]
        lines += [
            f"{'    (a) / (d)':<44}{ratio['per_s']:>10.2f}{ratio['cpu']:>9.1f}",
            f"(c) latency at {c['rate_per_s']:,.0f} events/s: p50 {c['p50']:.1f} ms, p99 {c['p99']:.1f} ms, "
            f"p99.9 {c['p99.9']:.1f} ms",
        ]
    for kind, row in result.get("e", {}).items():
        lines.append(
            f"(e) memory, receiver {kind}: first {row['first_mb']:.0f} MB, after a third "
            f"{row['third_mb']:.0f}, last {row['last_mb']:.0f}, peak {row['peak_mb']:.0f}"
        )
    for name, part in PARTS.items():
        if name in result:
            lines += part.lines(result[name])
    return "\n".join([*lines, "", "Every event arrived once, in order per entity." if "a" in result else ""])


def main() -> int:
    """Run what was asked for; the exit code says whether the promises held."""
    parser = argparse.ArgumentParser(description="the bridge's speed on real Kafka")
    parser.add_argument("--events", type=int, default=60_000, help="backlog of (a); (b) has half of it")
    parser.add_argument("--rounds", type=int, default=3, help="of (a) and (d), in turns; medians count")
    parser.add_argument("--seconds", type=float, default=15, help="of (c)")
    parser.add_argument("--memory", action="store_true", help="(e) instead of the others")
    parser.add_argument("--memory-seconds", type=float, default=60)
    parser.add_argument("--isolation", action="store_true", help="three of ten endpoints in trouble")
    parser.add_argument("--pairs", type=int, default=3, help="of each kind of run, in turns")
    parser.add_argument("--pair-seconds", type=float, default=6, help="of each run")
    parser.add_argument(
        "--endpoints", action="store_true", help="what endpoints cost that do not want an event"
    )
    parser.add_argument("--read-events", type=int, default=100_000)
    parser.add_argument("--read-rounds", type=int, default=3)
    parser.add_argument(
        "--behind", type=int, default=0, help="records that an endpoint is behind on its return"
    )
    parser.add_argument("--restart", action="store_true", help="SIGKILL to the next delivery; a large map")
    parser.add_argument("--kills", type=int, default=4, help="with a lasting name; half as many without")
    parser.add_argument("--log-attempts", choices=["all", "failures"], default="all")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "log_attempts": options.log_attempts}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="hookferry-bench-") as folder,
            RealKafka() as kafka,
            Receiver() as receiver,
        ):
            stage = Stage(kafka, receiver, Path(folder), options.log_attempts)
            if any(getattr(options, name) for name in PARTS):
                result |= further(stage, options)
            elif options.memory:
                result["e"] = steadiness(stage, options.memory_seconds)
            else:
                result |= speed(stage, options)
    except (NotProven, KafkaMissing) as problem:
        say(f"no figures: {problem}")
        return 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    print(table(result))
    say(f"written to {options.json}")
    grown = [
        kind for kind, row in result.get("e", {}).items() if row["last_mb"] > row["third_mb"] * MEMORY_GROWTH
    ]
    if grown:
        say(f"memory grew: {', '.join(grown)}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
