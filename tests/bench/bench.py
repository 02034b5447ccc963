"""What further parts of the bridge cost on real Kafka: ``make bench BENCH="--isolation --restart"``.

``--memory`` measures the memory with a million records for a slow and for a failing receiver.
``--isolation``, ``--endpoints``, ``--behind N``, ``--restart``, ``--takeover`` and ``--limited`` run the
modules of those names. ``tests.bench.compare`` is the published benchmark. Exits with 1 if an event was lost,
repeated or out of order, or if memory grew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from bridge import __version__
from tests.bench import behind, endpoints, isolation, limited, restart, scenarios, takeover
from tests.bench.compare.judging import NotProven
from tests.bench.machine import machine
from tests.bench.scenarios import Stage
from tests.support.kafka import RealKafka
from tests.support.kafka_jars import KafkaMissing
from tests.support.receiver import Receiver

MEMORY_RECORDS = 1_000_000
PARTS = {
    "isolation": isolation,
    "endpoints": endpoints,
    "behind": behind,
    "restart": restart,
    "takeover": takeover,
    "limited": limited,
}
MEMORY_GROWTH = 1.25  # last sample / sample after a third of the run: more is a leak


def steadiness(stage: Stage, seconds: float) -> dict[str, Any]:
    """Measure the memory with a slow and a failing receiver."""
    report_progress(f"memory: {MEMORY_RECORDS} records, twice {seconds:g} s …")
    topic = stage.backlog("memory", MEMORY_RECORDS)
    return {
        "slow": scenarios.memory(stage, topic, seconds, delay_ms=200),
        "failing": scenarios.memory(stage, topic, seconds, status=500),
    }


def further(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the parts selected by name."""
    figures: dict[str, Any] = {}
    if options.isolation:
        report_progress(f"isolation: {options.pairs} pairs of {options.pair_seconds:g} s …")
        figures["isolation"] = isolation.isolation(stage, options.pairs, options.pair_seconds)
    if options.endpoints:
        report_progress(f"endpoints: {options.read_events} events, {options.read_rounds} rounds …")
        figures["endpoints"] = endpoints.endpoints(stage, options.read_events, options.read_rounds)
    if options.behind:
        report_progress(f"behind: {options.behind} records …")
        figures["behind"] = behind.behind(stage, options.behind)
    if options.restart:
        report_progress(f"restart: {options.kills} kills …")
        figures["restart"] = restart.restart(stage, options.kills)
    if options.takeover:
        report_progress(f"takeover: {options.takeovers} ends of each kind …")
        figures["takeover"] = takeover.takeover(stage, options.takeovers)
    if options.limited is not None:
        report_progress("limited: dead endpoints under a memory limit …")
        figures["limited"] = limited.limited(stage, options.limited)
    return figures


def report_progress(text: str) -> None:
    """Print progress to stderr; stdout gets only the table."""
    print(text, file=sys.stderr, flush=True)


def table(result: dict[str, Any]) -> str:
    """Return the table."""
    facts = result["machine"]
    lines = [
        f"Hookferry {facts['hookferry']}, Apache Kafka {facts['kafka']}, Python {facts['python']}, "
        f"{facts['cores']} cores ({facts['cpu']}), load {facts['load']:.1f} at the start",
        "",
    ]
    for kind, row in result.get("memory", {}).items():
        lines.append(
            f"memory, receiver {kind}: first {row['first_mb']:.0f} MB, after a third "
            f"{row['third_mb']:.0f}, last {row['last_mb']:.0f}, peak {row['peak_mb']:.0f}"
        )
    for name, part in PARTS.items():
        if name in result:
            lines += part.lines(result[name])
    return "\n".join(lines)


def main() -> int:
    """Run the selected parts; return 1 if a guarantee was violated or memory grew."""
    parser = argparse.ArgumentParser(description="what further parts of the bridge cost")
    parser.add_argument("--memory", action="store_true", help="memory with a million records")
    parser.add_argument("--memory-seconds", type=float, default=60)
    parser.add_argument("--isolation", action="store_true", help="ten endpoints, three of them failing")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each kind, alternating")
    parser.add_argument("--pair-seconds", type=float, default=6, help="duration of each run")
    parser.add_argument(
        "--endpoints", action="store_true", help="cost of endpoints that do not select an event"
    )
    parser.add_argument("--read-events", type=int, default=100_000)
    parser.add_argument("--read-rounds", type=int, default=3)
    parser.add_argument("--behind", type=int, default=0, help="lag in records of an endpoint that returns")
    parser.add_argument(
        "--restart", action="store_true", help="time from SIGKILL to the next delivery; a large map"
    )
    parser.add_argument(
        "--kills", type=int, default=4, help="kills on the same disk; half as many with an empty one"
    )
    parser.add_argument(
        "--takeover", action="store_true", help="how long two pods pause when one of them ends"
    )
    parser.add_argument("--takeovers", type=int, default=3, help="ends of each kind")
    parser.add_argument(
        "--limited", type=int, nargs="*", help="dead endpoints under a memory limit; numbers of cases, or all"
    )
    parser.add_argument("--log-attempts", choices=["all", "failures"], default="all")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    if not options.memory and options.limited is None and not any(getattr(options, name) for name in PARTS):
        parser.error("name at least one part; tests.bench.compare is the benchmark of the speed")
    result: dict[str, Any] = {
        "machine": machine() | {"hookferry": __version__},
        "log_attempts": options.log_attempts,
    }
    try:
        with (
            tempfile.TemporaryDirectory(prefix="hookferry-bench-") as folder,
            RealKafka() as kafka,
            Receiver() as receiver,
        ):
            stage = Stage(kafka, receiver, Path(folder), options.log_attempts)
            if options.memory:
                result["memory"] = steadiness(stage, options.memory_seconds)
            result |= further(stage, options)
    except (NotProven, KafkaMissing, ValueError) as problem:
        report_progress(f"no figures: {problem}")
        return 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    print(table(result))
    report_progress(f"written to {options.json}")
    grown = [
        kind
        for kind, row in result.get("memory", {}).items()
        if row["last_mb"] > row["third_mb"] * MEMORY_GROWTH
    ]
    if grown:
        report_progress(f"memory grew: {', '.join(grown)}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
