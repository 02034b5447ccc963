"""What no row next to the Go peer shows: many endpoints, several events in a request, a wide record.

Each runs on the broker of the rows, with their interpreter. Invariant: a run that lost, repeated or
misordered an event has no figures.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tests.bench import batches, endpoints
from tests.bench.compare.judging import NotProven
from tests.bench.compare.runs import Stage
from tests.bench.scenarios import Stage as ScenarioStage
from tests.support.bridge_process import ROOT
from tests.support.receiver import Receiver

Figures = dict[str, Any]
_TIMEOUT_S = 300


def _many_endpoints(stage: Stage) -> Figures:
    with Receiver() as receiver:
        scenario = ScenarioStage(stage.kafka, receiver, stage.folder, "all", stage.interpreter)
        return dict(endpoints.many_endpoints(scenario))


def _batches(stage: Stage) -> Figures:
    return dict(batches.measure(stage.kafka, stage.folder, stage.interpreter))


def _widest_record(stage: Stage) -> Figures:
    interpreter = stage.interpreter
    command = [interpreter.program, "-m", "tests.bench.decode", "--widest"]
    environment = os.environ | interpreter.environment(ROOT)
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=True
        )
    except subprocess.SubprocessError as problem:
        raise NotProven(f"{problem}: {getattr(problem, 'stderr', None) or b''!r}") from problem
    return dict(orjson.loads(done.stdout))


def _batches_in_words(runs: Figures) -> str:
    single_per_s, single_us = batches.middle(runs["single"])
    per_s, cpu_us = batches.middle(runs["batches"])
    return (
        f"{per_s:,.0f} events/s and {cpu_us:.0f} µs of CPU per event; single requests {single_per_s:,.0f} and"
        f" {single_us:.0f} µs: {per_s / single_per_s:.1f} times the rate, {cpu_us / single_us:.2f} of the CPU"
    )


def _widest_in_words(found: Figures) -> str:
    return (
        f"{found['ten_fields_us']:.0f} µs of CPU for ten fields, {found['whole_us']:.0f} µs for all"
        f" {found['values']} values; fastavro alone {found['fastavro_us']:.0f} µs"
    )


OTHERS: Mapping[str, tuple[str, Callable[[Stage], Figures], Callable[[Figures], str]]] = {
    "1000-endpoints": (endpoints.MANY_LABEL, _many_endpoints, endpoints.in_words),
    "batches": ("up to 100 events in a request, receiver takes 5 ms", _batches, _batches_in_words),
    "wide-record": ("a Fineract record, every field of its payload set", _widest_record, _widest_in_words),
}
"""By name: the label, what measures it, and its figures in words. Measuring raises ``NotProven``."""


def lines(measured: Mapping[str, Figures]) -> list[str]:
    """Return the lines of the table; none if nothing was measured."""
    if not measured:
        return []
    rows = [f"| {OTHERS[name][0]} | {OTHERS[name][2](found)} |" for name, found in measured.items()]
    return ["**What no row shows**", "", "| | |", "|---|---|", *rows, ""]
