"""Effect of three failing endpoints on seven healthy ones: ``make bench BENCH=--isolation``.

One refuses connections, one never answers (each attempt times out), one answers 429 to everything. The
latency of the seven is compared with that of runs in which all ten are healthy, and of runs with only the
seven. All runs have the same rate and alternate, because the machine drifts. Failing endpoints use less of
the machine than healthy ones; the runs with only the seven show that effect.
"""

from __future__ import annotations

import statistics
from itertools import islice
from typing import Any

from tests.bench.compare.judging import NotProven
from tests.bench.scenarios import ENTITIES, PARTITIONS, Stage, await_all, check
from tests.support.ports import free_port
from tests.support.produce import outbox_events, produce_paced

WELL = tuple(f"well-{number}" for number in range(7))
ILL = ("refuses", "hangs", "throttles")
CAPACITY_EVENTS = 4_000
SHARE_OF_CAPACITY = 0.4
TIMEOUT_S = 2
WARM_UP_S = 3
KINDS = {
    "undisturbed": "    all ten healthy",
    "disturbed": "    1 refuses, 1 hangs, 1 answers 429",
    "seven_alone": "    only the seven",
}


def isolation(stage: Stage, pairs: int, seconds: float) -> dict[str, Any]:
    """Alternate ``pairs`` runs with ten healthy endpoints, with three failing, and with only seven."""
    capacity = _capacity(stage)
    rate = capacity * SHARE_OF_CAPACITY
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(pairs):
        for kind, made in runs.items():
            made.append(_run(stage, f"{kind}{number}", rate, seconds, kind))
    middle = {
        kind: {name: statistics.median(run[name] for run in made) for name in made[0]}
        for kind, made in runs.items()
    }
    ratio = {
        other: {
            name: statistics.median(
                ill[name] / well[name] for ill, well in zip(runs["disturbed"], runs[other], strict=True)
            )
            for name in ("p50", "p99", "cpu_share")
        }
        for other in ("undisturbed", "seven_alone")
    }
    return {"capacity_per_s": capacity, "rate_per_s": rate, **middle, "ratio": ratio, "runs": runs}


def lines(figures: dict[str, Any]) -> list[str]:
    """Return the rows of the table."""
    rows = [
        f"isolation: 10 endpoints, {figures['rate_per_s']:,.0f} events/s "
        f"({SHARE_OF_CAPACITY:.0%} of {figures['capacity_per_s']:,.0f}), the seven healthy ones",
        f"{'':<44}{'p50 ms':>10}{'p99 ms':>9}{'CPU s/s':>9}",
    ]
    for kind, text in KINDS.items():
        row = figures[kind]
        rows.append(f"{text:<44}{row['p50']:>10.1f}{row['p99']:>9.1f}{row['cpu_share']:>9.2f}")
    for other, ratio in figures["ratio"].items():
        text = f"    three failing / {KINDS[other].strip()}"
        rows.append(f"{text:<44}{ratio['p50']:>10.2f}{ratio['p99']:>9.2f}{ratio['cpu_share']:>9.2f}")
    row = figures["disturbed"]
    rows.append(
        f"    attempts per second at the three: refused {row['refused_per_s']:.1f}, "
        f"hung {row['hung_per_s']:.1f}, throttled {row['throttled_per_s']:.1f}"
    )
    return rows


def _endpoints(stage: Stage, kind: str) -> dict[str, dict[str, Any]]:
    names = WELL if kind == "seven_alone" else (*WELL, *ILL)
    endpoints = {name: {"url": stage.receiver.url(f"/{name}"), "timeout_s": TIMEOUT_S} for name in names}
    if kind == "disturbed":
        endpoints["refuses"]["url"] = f"http://127.0.0.1:{free_port()}/"
    return endpoints


def _capacity(stage: Stage) -> float:
    """Return the events per second of a backlog for all ten."""
    topic = stage.backlog("isolation-capacity", CAPACITY_EVENTS)
    stage.receiver.reset()
    with stage.bridge_to("isolation-capacity", topic, _endpoints(stage, "undisturbed")) as bridge:
        for name in (*WELL, *ILL):
            await_all(stage.receiver, bridge, f"/{name}", CAPACITY_EVENTS)
        bridge.terminate()
    return min(float(stage.receiver.report(f"/{name}")["rate_middle"]) for name in WELL)


def _run(stage: Stage, name: str, rate_per_s: float, seconds: float, kind: str) -> dict[str, float]:
    topic = stage.kafka.fresh_topic("isolation", PARTITIONS)
    events = outbox_events(10**9, entities=ENTITIES)
    warm_up, count = int(rate_per_s * WARM_UP_S), int(rate_per_s * seconds)
    with stage.bridge_to(name, topic, _endpoints(stage, kind)) as bridge:
        _begin(stage, ill=kind == "disturbed")
        produce_paced(stage.kafka.bootstrap, topic, islice(events, warm_up), rate_per_s)
        for one in WELL:
            await_all(stage.receiver, bridge, f"/{one}", warm_up)
        _begin(stage, ill=kind == "disturbed")
        refused, cpu_s = _refused(bridge), bridge.cpu_s()
        produce_paced(stage.kafka.bootstrap, topic, islice(events, count), rate_per_s)
        cpu_s, refused = bridge.cpu_s() - cpu_s, _refused(bridge) - refused
        for one in WELL:
            await_all(stage.receiver, bridge, f"/{one}", count)
        hung, throttled = (stage.receiver.count(f"/{one}")["requests"] for one in ("hangs", "throttles"))
        bridge.kill()
    reports = [stage.receiver.report(f"/{one}") for one in WELL]
    for report in reports:
        check(report, count)
    if kind == "disturbed" and not (hung or throttled):
        raise NotProven("the three endpoints did not fail")
    return {
        "p50": statistics.mean(report["latency_ms"]["p50"] for report in reports),
        "p99": statistics.mean(report["latency_ms"]["p99"] for report in reports),
        "worst_p99": max(report["latency_ms"]["p99"] for report in reports),
        "cpu_share": cpu_s / seconds,
        "refused_per_s": refused / seconds,
        "hung_per_s": hung / seconds,
        "throttled_per_s": throttled / seconds,
    }


def _begin(stage: Stage, *, ill: bool) -> None:
    stage.receiver.reset()
    if ill:
        stage.receiver.control("/hangs", hang=True)
        stage.receiver.control("/throttles", status=429)


def _refused(bridge: Any) -> float:
    return float(bridge.metric("hookferry_attempts_total", endpoint="refuses"))
