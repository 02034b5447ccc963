"""The published benchmark: ``make bench``, ``make bench QUICK=1``, ``make bench QUICK=1 BASE=main``.

In each cell a bare loop, the Go peer and Hookferry run in turns, and the medians count. It writes JSON, a
table and a plot to ``build/bench``, and with ``--publish`` to the documentation. Exits with 1 if an event was
lost, repeated or out of order, or if the CPU per event rose above that of ``--base`` by more than the margin.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.bench.compare import cells, plot, report, runs
from tests.bench.compare.cells import Cell
from tests.bench.compare.contenders import GoPeer, Hookferry
from tests.bench.compare.go_tools import GoMissing, GoReceiver, build
from tests.bench.compare.judging import Figures, NotProven, compare_cpu, medians
from tests.bench.compare.others import OTHERS
from tests.bench.compare.revision import NoSuchRevision, checkout, commit_of
from tests.bench.compare.runs import Contender, Stage
from tests.bench.interpreter import fastest
from tests.bench.machine import machine
from tests.support.bridge_process import ROOT, BridgeFailed
from tests.support.kafka import RealKafka
from tests.support.kafka_jars import KafkaMissing
from tests.support.receiver import Receiver
from tests.support.tls import TestAuthority, make_authority

OUT = ROOT / "build" / "bench"
PAGES = ROOT / "docs" / "explanation"
ROUNDS_WITH_BASE = 4


def progress(text: str) -> None:
    """Print to stderr; stdout gets only the tables."""
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def in_turns(names: list[str], number: int) -> list[str]:
    """Return the order of a round: each second one is reversed, so that a drift favors none of them."""
    return names[::-1] if number % 2 else names


class Benchmark:
    """Runs cells; ``cells``, ``skipped`` and ``violations`` are its results."""

    def __init__(
        self, stage: Stage, contenders: dict[str, Contender], rounds: int, *, with_bare: bool
    ) -> None:
        self._stage = stage
        self._contenders = contenders
        self._rounds = rounds
        self._with_bare = with_bare
        self._samples: dict[str, dict[str, Any]] = {}
        self._base_rate: float | None = None
        self.cells: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self.violations: list[str] = []

    def measure(self, cell: Cell) -> None:
        """Measure one cell with all contenders, in turns."""
        if cell.tls and not isinstance(self._stage.receiver, GoReceiver):
            self.skipped.append(f"{cell.label}: the receiver in Python has no TLS")
            return
        if 0 < cell.rate_per_s < 1:
            if self._base_rate is None:
                self.skipped.append(f"{cell.label}: the base cell was not measured")
                return
            cell = dataclasses.replace(cell, rate_per_s=self._base_rate * cell.rate_per_s)
        by_contender: dict[str, list[Figures]] = {name: [] for name in self._contenders}
        if self._with_bare and cell.kind in ("backlog", "steady"):
            by_contender["bare"] = []
        with runs.backlog(self._stage, cell) as topic:
            for number in range(self._rounds):
                for name in in_turns(list(by_contender), number):
                    self._one(cell, topic, name, number, by_contender[name])
        middle = {name: medians(done) for name, done in by_contender.items() if len(done) == self._rounds}
        if cell.name == cells.BASE.name and "hookferry" in middle:
            self._base_rate = middle["hookferry"]["per_s"]
        self.cells.append({"cell": dataclasses.asdict(cell), "runs": by_contender, "medians": middle})

    def measure_other(self, name: str, found: dict[str, Any]) -> None:
        """Measure what no cell shows, into ``found``."""
        label, measure, in_words = OTHERS[name]
        progress(f"{label} …")
        try:
            figures = measure(self._stage)
        except (NotProven, BridgeFailed, TimeoutError, ValueError) as problem:
            self.violations.append(f"{name}: {problem}")
            progress(f"{name}: NO FIGURE: {problem}")
            return
        found[name] = figures
        progress(f"{name}: {in_words(figures)}")

    def _one(self, cell: Cell, topic: str, name: str, number: int, done: list[Figures]) -> None:
        run = f"{cell.name}-{name}-{number}"
        try:
            figures = self._run(cell, topic, name, run)
        except (NotProven, BridgeFailed, TimeoutError, ValueError) as problem:
            self.violations.append(f"{run}: {problem}")
            progress(f"{run}: NO FIGURE: {problem}")
            return
        done.append(figures)
        progress(f"{run}: " + ", ".join(f"{key} {value:,.1f}" for key, value in figures.items()))

    def _run(self, cell: Cell, topic: str, name: str, run: str) -> Figures:
        stage = self._stage
        if name == "bare":
            if cell.name not in self._samples:
                raise NotProven("no request of Hookferry to repeat")
            return runs.bare(stage, cell, self._samples[cell.name], run)
        contender = self._contenders[name]
        kinds: dict[str, Callable[[], Figures]] = {
            "backlog": lambda: runs.drain(stage, cell, contender, topic, run),
            "steady": lambda: runs.steady(stage, cell, contender, run),
            "waiting": lambda: runs.waiting(stage, cell, contender, topic, run),
            "idle": lambda: runs.idle(stage, cell, contender, topic, run),
        }
        figures = kinds[cell.kind]()
        if name == "hookferry":
            self._samples[cell.name] = stage.receiver.records(f"/{run}-0")[0]
        return figures


def authority(folder: Path) -> TestAuthority | None:
    """Return certificates for the cells with TLS; None without openssl."""
    try:
        return make_authority(folder)
    except pytest.skip.Exception:
        return None


def write(result: dict[str, Any], folder: Path) -> None:
    """Write JSON, table and plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.json").write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    (folder / "speed.svg").write_text(plot.plot(result))
    (folder / "speed.md").write_text(report.markdown(result))
    progress(f"written: {folder}/speed.json, speed.md, speed.svg")


def publish(result: dict[str, Any]) -> None:
    """Write the same into the documentation."""
    (PAGES / "speed.json").write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    (PAGES / "speed.svg").write_text(plot.plot(result))
    data = "The same run as data, with every round: [speed.json](speed.json).\n"
    report.replace_block(PAGES / "speed.md", "figures", f"{report.markdown(result)}\n{data}")
    report.replace_block(ROOT / "README.md", "figures", report.in_short(result))
    progress("published in docs/explanation/speed.* and README.md: review and commit them")


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.compare", description="the published benchmark"
    )
    parser.add_argument("--quick", action="store_true", help="three cells, about three minutes")
    parser.add_argument("--base", metavar="REVISION", help="run in turns against this revision, and judge")
    parser.add_argument(
        "--margin", type=float, default=0.1, help="by which CPU per event may rise above the base's"
    )
    parser.add_argument("--rounds", type=int, help="3, or 4 with a base")
    parser.add_argument(
        "--publish", action="store_true", help="write the figures into the documentation, too"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="CELL", help="only these cells")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor of events and seconds, to try the benchmark"
    )
    parser.add_argument("--python", action="store_true", help="as on a machine without Go")
    return parser.parse_args()


def main() -> int:
    """Run the cells; return the exit code."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process and worktree is removed
    try:
        wanted, others = chosen(options)
        return measure(options, [scaled(cell, options.scale) for cell in wanted], others)
    except (KafkaMissing, NoSuchRevision, ValueError) as problem:
        progress(f"no figures: {problem}")
        return 1


def chosen(options: argparse.Namespace) -> tuple[list[Cell], list[str]]:
    """Return the cells to measure, and the names of what is measured besides: by name, or all.

    Raises ``ValueError`` with the known names.
    """
    if not options.only:
        is_full = not (options.quick or options.base)
        return list(cells.FULL if not options.quick else cells.QUICK), list(OTHERS) if is_full else []
    others = [name for name in options.only if name in OTHERS]
    names = [name for name in options.only if name not in OTHERS]
    of = cells.QUICK if options.quick else cells.FULL
    return cells.chosen(of, names, OTHERS) if names else [], others


def scaled(cell: Cell, factor: float) -> Cell:
    """Return a smaller or larger cell."""
    return dataclasses.replace(cell, events=max(1, int(cell.events * factor)), seconds=cell.seconds * factor)


def measure(options: argparse.Namespace, wanted: list[Cell], wanted_others: list[str]) -> int:
    """Set the stage and measure."""
    began = time.monotonic()
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit_of()} | machine()
    interpreter = fastest()
    facts["python"] = interpreter.description
    rounds = options.rounds or (ROUNDS_WITH_BASE if options.base else 3)
    skipped: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookferry-bench-")))
        contenders: dict[str, Contender] = {"hookferry": Hookferry(interpreter)}
        certificates = authority(folder)
        receiver: Receiver = Receiver()
        try:
            if options.python:
                raise GoMissing("as with --python")
            program = build(folder)
            receiver = GoReceiver(program, certificates)
            if not options.base:
                contenders["go"] = GoPeer(program)
        except GoMissing as reason:
            skipped.append(f"the Go peer: {reason}; latencies begin when the producer creates an event")
        if options.base:
            contenders["base"] = Hookferry(interpreter, stack.enter_context(checkout(options.base, folder)))
        stack.enter_context(receiver)
        kafka = stack.enter_context(RealKafka())
        stage = Stage(kafka, receiver, folder, certificates, interpreter)
        benchmark = Benchmark(stage, contenders, rounds, with_bare=not options.base)
        for cell in wanted:
            progress(f"{cell.label} …")
            benchmark.measure(cell)
        others: dict[str, Any] = {}
        for name in wanted_others:
            benchmark.measure_other(name, others)
    result = {
        "command": report.command(options.quick, options.only, options.base),
        "arguments": shlex.join(sys.argv[1:]),
        "machine": facts | {"minutes": (time.monotonic() - began) / 60},
        "receiver": "in Go" if isinstance(receiver, GoReceiver) else "in Python",
        "rounds": rounds,
        "cells": benchmark.cells,
        "others": others,
        "skipped": skipped + benchmark.skipped,
        "violations": benchmark.violations,
    }
    return conclude(options, result)


def conclude(options: argparse.Namespace, result: dict[str, Any]) -> int:
    """Write and judge the results; return the exit code."""
    write(result, OUT)
    print(report.markdown(result))
    if result["violations"]:
        progress("a guarantee was violated or a run did not end: see above; nothing is published")
        return 1
    if options.base:
        done = {row["cell"]["name"]: row["runs"] for row in result["cells"]}
        compared = compare_cpu(done, options.margin)
        print(report.verdict(compared, f"{options.base} ({commit_of(options.base)})", options.margin))
        return 1 if any(one.rose for one in compared) else 0
    if options.publish:
        publish(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
