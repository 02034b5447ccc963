"""``make faults``: inject every kind of fault for a while, then compare the deliveries with the log.

``python -m tests.faults.harness --seconds 1800 --events 500000 --faults 60 --seed 1``. Real Kafka, two to
four bridge processes, a receiver that records every request, faults drawn from the seed. Exits with 1 if
anything was lost, out of order, overlapping or repeated without a reason; ``verify`` defines these words.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from bridge import __version__
from bridge.core import completion_map
from tests.faults import report, side_topic
from tests.faults.acts import carry_out, turn_on_again
from tests.faults.commits import read_commits
from tests.faults.confines import Confines
from tests.faults.explain import Terms
from tests.faults.gaps import delivery_gaps, format_gaps
from tests.faults.ledger import Ledger
from tests.faults.log_acts import miscounted
from tests.faults.names import GROUP, TOPIC
from tests.faults.options import (
    FULL_DISK_POD,
    NOBODY_LISTENS,
    SESSION_S,
    SIDE,
    TIMEOUT_S,
    arguments,
    endpoint_configs,
    endpoints_to_count,
    has_configured_name,
    pod_config,
)
from tests.faults.plan import PATHS, Fault, make_plan
from tests.faults.producer import Publisher
from tests.faults.side_topic import SideTopic, count_side
from tests.faults.stage import Pod, SmallDisk, Stage
from tests.faults.truth import read_parked, read_truth
from tests.faults.verify import Result, lost_poison, verify
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.kafka_jars import KAFKA_VERSION, KafkaMissing
from tests.support.watch import log_ends


def report_progress(text: str) -> None:
    """Print progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Harness:
    """One run: setup, faults, recovery, count."""

    def __init__(self, options: argparse.Namespace, folder: Path, kafka: RealKafka) -> None:
        self.options = options
        self.ledger = Ledger()
        self.kafka = kafka
        self.publisher = Publisher(
            kafka.bootstrap, TOPIC, count=options.events, seconds=options.seconds, seed=options.seed,
            entities=options.entities, duplicates=options.duplicates, partitions=options.partitions,
        )  # fmt: skip
        self.side = SideTopic(kafka, self.ledger, options.seed)
        self.stage = Stage(folder, kafka, self.ledger, self.publisher, self.side)
        self.skipped: list[str] = []
        self.drained_s: float | None = None
        self.configs = endpoint_configs(self.stage, options)

    def set_up(self) -> list[Fault]:
        """Start everything without faults; return the plan."""
        options, stage = self.options, self.stage
        self.kafka.create_topic(TOPIC, options.partitions)
        full_disk_pod: int | None = FULL_DISK_POD
        try:
            stage.disk = SmallDisk(stage.folder / f"pod-{FULL_DISK_POD}" / "state")
        except OSError as problem:
            full_disk_pod = None
            self.skipped.append(f"pod.disk_full: no small disk could be mounted ({problem})")
        stage.confines = Confines(stage.folder, options.memory)
        for number in range(options.bridges + 1):
            stage.pods.append(self._pod(number))
        self.skipped += stage.confines.skipped
        if "returning" in self.configs:
            stage.witness.behave("/returning", {"modes": [{"kind": "status", "status": 503}]})
        stage.witness.start()
        for pod in stage.pods[: options.bridges]:
            pod.start()
        if SIDE in self.configs:
            for pod in stage.pods[: options.bridges]:
                pod.wait_running(60)
            self.side.appear()
        for pod in stage.pods[: options.bridges]:
            pod.bridge.wait_ready(60)
        return make_plan(
            options.seed,
            seconds=options.seconds,
            faults=options.faults,
            pods=options.bridges,
            session_s=SESSION_S,
            full_disk_pod=full_disk_pod,
            only=options.only,
            without=options.without,
        )

    def _pod(self, number: int) -> Pod:
        config = pod_config(self.kafka.bootstrap, number, self.configs, self.options)
        assert self.stage.confines is not None
        bridge = BridgeProcess(
            config, self.stage.folder / f"pod-{number}", launcher=self.stage.confines.command(number)
        )
        return Pod(number, bridge, self.ledger)

    def break_things(self, plan: Sequence[Fault]) -> None:
        """Execute the plan while events are published; return when both are done."""
        options, publisher = self.options, self.publisher
        began = time.monotonic()
        publisher.start()
        waiting = list(plan)
        while waiting or publisher.running or any(one.is_alive() for one in self.stage.under_way):
            now_s = time.monotonic() - began
            while waiting and waiting[0].at_s <= now_s:
                fault = waiting.pop(0)
                report_progress(
                    f"{len(plan) - len(waiting)}/{len(plan)} {fault.kind} {fault.target} {fault.for_s:.1f} s"
                )
                thread = threading.Thread(target=self._carry_out, args=(fault,), daemon=True)
                self.stage.under_way.append(thread)
                thread.start()
            for pod in self.stage.pods:
                pod.look_after()
            if now_s > options.seconds * 2 + 300:
                raise TimeoutError(f"the faults are not over after {now_s:.0f} s")
            time.sleep(0.1)
        self.side.stop()
        if not publisher.wait(60):
            raise RuntimeError(f"the producer did not finish: {publisher.refused[:3]}")

    def _carry_out(self, fault: Fault) -> None:
        try:
            carry_out(self.stage, fault)
        except Exception as problem:
            if not self.stage.cut.is_set():
                self.ledger.problems.append(f"HARNESS: fault {fault.kind} on {fault.target}: {problem!r}")

    def heal(self) -> None:
        """After the faults, wait until every cursor is at the end of the log, then stop every pod."""
        for path in PATHS:
            self.stage.witness.behave(path, {})
        self.stage.witness.behave("/returning", {})
        turn_on_again(self.stage)
        began = time.monotonic()
        ends = log_ends(self.kafka, TOPIC)
        side_ends = log_ends(self.kafka, side_topic.NAME) if SIDE in self.configs else {}
        while time.monotonic() - began < self.options.drain_seconds:
            for pod in self.stage.pods:
                pod.look_after()
            self.committed = self._committed()
            places = {
                name: {number: done.offset for number, done in maps.items()}
                for name, maps in self.committed.items()
                if name not in (*NOBODY_LISTENS, SIDE)
            }
            side = {number: done.offset for number, done in self._places(SIDE, side_topic.NAME).items()}
            if all(value == ends for value in places.values()) and side == side_ends:
                self.drained_s = time.monotonic() - began
                break
            time.sleep(1)
        else:
            self.ledger.problems.append(
                f"not drained in {self.options.drain_seconds} s: {places} of {ends}; {side} of {side_ends}"
            )
        for pod in self.stage.pods[: self.options.bridges]:
            pod.terminate()
        self.committed = self._committed()
        self.stage.witness.kill()

    def _committed(self) -> dict[str, dict[int, completion_map.Completion]]:
        return {name: self._places(name, TOPIC) for name in self.configs if name != SIDE}

    def _places(self, endpoint: str, topic: str) -> dict[int, completion_map.Completion]:
        return {
            number: completion_map.decode(offset, metadata)
            for (about, number), (offset, metadata) in self.kafka.consumer_groups(
                f"{GROUP}.{endpoint}"
            ).items()
            if about == topic
        }

    def count(self) -> dict[str, Any]:
        """Read the log, the letters, the commits and the requests, and compare them."""
        truth, parked = read_truth(self.kafka, TOPIC), read_parked(self.kafka, f"{GROUP}.parked")
        requests = self.stage.witness.requests()
        commits = read_commits(self.kafka, GROUP, TOPIC)
        self.ledger.assignments = report.assignments(self.stage.pods, TOPIC)
        self.ledger.delays = report.delays(self.stage.pods)
        self.ledger.told = report.told(self.stage.pods, TOPIC)
        self.ledger.timeouts = report.timeouts(self.stage.pods, TOPIC)
        self.ledger.lost_sessions = report.lost_sessions(self.stage.pods)
        terms = Terms(SESSION_S, TIMEOUT_S, since_commit=self.options.repeats == "since-commit")

        def settled(endpoint: str, place: int) -> bool:
            done = self.committed[endpoint].get(place >> 40)
            return done is not None and done.settled(place & (1 << 40) - 1)

        results = [
            verify(endpoint, truth, parked, requests, self.ledger, terms, settled, commits)
            for endpoint in endpoints_to_count(self.stage, self.configs)
        ]
        problems = list(self.ledger.problems)
        problems += [f"undecodable, but not parked: {place}" for place in lost_poison(truth, parked)]
        if truth.disordered:
            problems.append(f"HARNESS: {truth.disordered} events were published out of order")
        problems += miscounted(truth, self.publisher.sent, self.stage.committed_transactions)
        side = count_side(self.side.lives, requests, self.stage.witness.paths.index(side_topic.PATH))
        problems += side.problems
        set_back = [
            f"{endpoint} partition {partition} at {report.clock(at_ns)}: from {before} to {offset}"
            for endpoint, partition, at_ns, before, offset in commits.set_back()
        ]
        gaps = delivery_gaps(
            self.ledger, requests, truth, self.stage.witness.paths.index("/healthy"), has_configured_name
        )
        stormy, lines = report.storms(self.stage.pods)
        broken = sum(sum(result.counts.values()) for result in results)
        result = {
            "events": len(truth.places),
            "records": truth.records,
            "duplicates": truth.duplicates,
            "poison": len(truth.poison),
            "parked_twice": parked.twice,
            "drained_s": self.drained_s,
            "gaps_after_kill_s": gaps,
            "switched_off": self.stage.switched_off,
            "transactions_committed": len(self.stage.committed_transactions),
            "offsets_deleted": len(self.ledger.expired),
            "side_topic": {"published": side.published, "accepted": side.accepted},
            "redriven": parked.redriven,
            "set_back": set_back,
            "endpoints": report.document(results),
            "problems": problems,
            "storms": stormy,
            "log_lines": dict(lines.most_common()),
            "skipped": self.skipped,
            "held": not broken and not problems and not stormy,
        }
        self._show(
            results, result, lambda one: report.timeline(one, truth, self.ledger, TOPIC, self.stage.pods)
        )
        return result

    def _show(self, results: Sequence[Result], result: dict[str, Any], render: Callable[[Any], str]) -> None:
        drained = "not drained" if self.drained_s is None else f"drained in {self.drained_s:.0f} s"
        extra = [
            f"{result['events']:,} events, {result['records']:,} records: "
            f"{result['duplicates']:,} duplicates, {result['poison']} undecodable; "
            f"{result['parked_twice']} parked twice; {drained}",
            f"log lines: {', '.join(f'{name} {count:,}' for name, count in result['log_lines'].items())}",
            *format_gaps(result["gaps_after_kill_s"]),
            f"an endpoint was switched off {result['switched_off']} times; {result['redriven']} redriven",
            f"{result['transactions_committed']} transactions committed; "
            f"{result['offsets_deleted']} offsets deleted",
            f"lives of the side topic: published {result['side_topic']['published']}, accepted"
            f" {result['side_topic']['accepted']}",
            *(f"CURSOR SET BACK {text}" for text in result["set_back"][:10]),
            *(f"SKIPPED {text}" for text in self.skipped),
            *(
                f"LOG STORM pod {s['pod']}: {s['event']} {s['lines']} times in {s['minute']}"
                for s in result["storms"][:10]
            ),
            *(f"PROBLEM {text}" for text in result["problems"][:10]),
        ]
        for one in results:
            seen: dict[str, int] = {}
            for violation in one.violations:
                seen[violation.kind] = seen.get(violation.kind, 0) + 1
                if seen[violation.kind] <= self.options.show:
                    print(render(violation), end="\n\n")
        print(report.table(results, extra))


def run(options: argparse.Namespace) -> bool:
    """Execute one run; return True if every guarantee held. Raises ``KafkaMissing``."""
    if options.seed is None:
        options.seed = time.time_ns() % 1_000_000
    report_progress(f"seed {options.seed}")
    held = stopped = False
    # the commits are read as evidence: compaction must not remove any
    kafka = RealKafka(config={"offsets.topic.segment.bytes": 2**30, "log.cleaner.enable": "false"})
    folder = Path(tempfile.mkdtemp(prefix="hookferry-faults-"))
    harness = None
    try:
        kafka.start()
        harness = Harness(options, folder, kafka)
        plan = harness.set_up()
        harness.break_things(plan)
        report_progress("no more faults; waiting for the remaining deliveries")
        harness.heal()
        report_progress("counting")
        result = {
            "seed": options.seed,
            "machine": report.machine_size(),
            "kafka": KAFKA_VERSION,
            "hookferry": __version__,
            "options": {name: str(value) for name, value in vars(options).items()},
            "plan": [fault.row() for fault in plan],
            **harness.count(),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
        held = result["held"]
        report_progress(
            f"{'every promise held' if held else 'NOT HELD'}; seed {options.seed}; written to {options.json}"
        )
    except KeyboardInterrupt:
        stopped = True
        raise
    finally:
        keep = options.keep or not (held or stopped)
        if harness is not None:
            harness.stage.close()
            if keep:
                with suppress(OSError):
                    incidents = [
                        f"{report.clock(incident.at_ns)} {incident.text}\n"
                        for incident in harness.ledger.incidents
                    ]
                    (folder / "incidents.txt").write_text("".join(incidents))
        if keep:
            report_progress(f"logs and records are kept in {folder}")
            with suppress(OSError):
                shutil.copy(kafka.log, folder / "kafka.log")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        kafka.close()
    return held


def main() -> int:
    """Run the command; return 0 if every guarantee held."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    try:
        return 0 if run(arguments()) else 1
    except KafkaMissing as missing:
        report_progress(f"cannot run: {missing}")
        return 2
    except KeyboardInterrupt:
        report_progress("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
