"""Cost of an endpoint that does not select an event: ``make bench BENCH=--endpoints``.

A log of fifty types, read with 1, 10 and 50 endpoints. First each endpoint selects another one of the fifty
types. Then only the first does, and the others select types that are never published, so that only the cost
of skipping grows. The figure is CPU time of the bridge per event *read*. Another run has a low steady rate,
at which the work per second, such as the commits, dominates.

The last run has 1,000 endpoints and 100 partitions: seconds until ready, memory and CPU at rest, then CPU per
delivery and commits per second while each endpoint gets a part of the events.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import orjson

from tests.bench.compare.judging import Sample, cpu_us_middle
from tests.bench.scenarios import PARTITIONS, Stage, await_all
from tests.support.bridge_process import BridgeProcess
from tests.support.produce import OutboxEvent, outbox_events, produce, produce_paced

TYPES = 50
NUMBERS = (1, 10, 50)
TRICKLE_PER_S = 500
TRICKLE_S = 5
MANY, MANY_PARTITIONS = 1_000, 100
MANY_LABEL = f"{MANY:,} endpoints over {MANY_PARTITIONS} partitions"
MANY_EVENTS = 20_000
REST_S = 20
SETTLE_S = 30
"""Until the first commits of all endpoints have gone round."""


def endpoints(stage: Stage, events: int, rounds: int) -> dict[str, Any]:
    """Return CPU per event read by the number of endpoints; medians of alternating ``rounds``."""
    topic = stage.kafka.fresh_topic("endpoints", PARTITIONS)
    produce(stage.kafka.bootstrap, topic, _events(events))
    runs: dict[str, dict[int, list[float]]] = {
        kind: {number: [] for number in NUMBERS} for kind in ("each_wants_one", "only_the_first_wants")
    }
    for turn in range(rounds):
        for kind, by_number in runs.items():
            for number, made in by_number.items():
                if kind == "only_the_first_wants" or number > 1:
                    made.append(_read(stage, f"{kind}-{number}-{turn}", topic, events, kind, number))
    trickle: dict[int, list[float]] = {1: [], 50: []}
    for turn in range(min(rounds, 2)):
        for number, made in trickle.items():
            made.append(_trickle(stage, f"trickle-{number}-{turn}", number))
    runs["each_wants_one"][1] = runs["only_the_first_wants"][1]  # the same configuration
    middle = {
        kind: {str(number): statistics.median(made) for number, made in by_number.items()}
        for kind, by_number in runs.items()
    }
    alone = middle["only_the_first_wants"]["1"]
    growth = {
        kind: {number: (middle[kind][number] - alone) / (int(number) - 1) for number in ("10", "50")}
        for kind in middle
    }
    slow = {str(number): statistics.median(made) for number, made in trickle.items()}
    growth["trickle"] = {"50": (slow["50"] - slow["1"]) / 49}
    middle["trickle"] = slow
    rounds_of = {kind: {str(number): made for number, made in by.items()} for kind, by in runs.items()}
    return {"events": events, **middle, "growth_us": growth, "runs": rounds_of, "many": many_endpoints(stage)}


def lines(result: dict[str, Any]) -> list[str]:
    """Return the rows of the table."""
    rows = [
        f"endpoints: {result['events']:,} events of {TYPES} types; CPU µs of the bridge per event read",
        f"{'':<44}{'1':>8}{'10':>8}{'50':>8}  growth per further endpoint",
    ]
    texts = {
        "each_wants_one": "    each selects one type in fifty",
        "only_the_first_wants": "    only the first selects any of them",
    }
    for kind, text in texts.items():
        figures = "".join(f"{result[kind][str(number)]:>8.1f}" for number in NUMBERS)
        growth = result["growth_us"][kind]
        rows.append(f"{text:<44}{figures}  {growth['10']:.2f} µs to 10, {growth['50']:.2f} µs to 50")
    slow = result["trickle"]
    rows.append(
        f"{f'    the same at {TRICKLE_PER_S} events/s':<44}{slow['1']:>8.1f}{'':>8}{slow['50']:>8.1f}"
        f"  {result['growth_us']['trickle']['50']:.2f} µs to 50"
    )
    return [*rows, f"    {MANY_LABEL}: {in_words(result['many'])}"]


def in_words(many: dict[str, float]) -> str:
    """Return the figures of many endpoints."""
    return (
        f"ready after {many['ready_s']:.1f} s ({many['start_cpu_s']:.1f} s of CPU);"
        f" at rest {many['rest_mb']:.0f} MB and {many['rest_cpu']:.1%} of a core;"
        f" under load {many['loaded_mb']:.0f} MB, {many['cpu_us']:.0f} µs per delivery,"
        f" {many['commits_per_s']:.0f} commits per second"
    )


def many_endpoints(stage: Stage) -> dict[str, float]:
    """Measure many endpoints, each of which selects a type of its own. Raises ``NotProven``."""
    topic = stage.kafka.fresh_topic("many", MANY_PARTITIONS)
    stage.receiver.reset()
    url = stage.receiver.url("/many")
    endpoints = {f"e{one}": {"url": url, "events": [f"Type{one:02d}"]} for one in range(MANY)}
    bridge = stage.bridge_to("many", topic, endpoints)
    began = time.monotonic()
    bridge.start(wait=False)
    try:
        bridge.wait_ready(300)
        figures = {"ready_s": time.monotonic() - began, "start_cpu_s": bridge.cpu_s()}
        return figures | _at_rest(bridge) | _loaded(stage, bridge, topic)
    finally:
        bridge.kill()


def _at_rest(bridge: BridgeProcess) -> dict[str, float]:
    time.sleep(SETTLE_S)
    cpu_s = bridge.cpu_s()
    time.sleep(REST_S)
    return {"rest_mb": bridge.rss_bytes() / 1e6, "rest_cpu": (bridge.cpu_s() - cpu_s) / REST_S}


def _loaded(stage: Stage, bridge: BridgeProcess, topic: str) -> dict[str, float]:
    cpu_s, began = bridge.cpu_s(), time.monotonic()
    sent = bridge.metric("hookferry_commit_requests_total")
    produce(stage.kafka.bootstrap, topic, _events(MANY_EVENTS, types=MANY))
    await_all(stage.receiver, bridge, "/many", MANY_EVENTS)
    sent = bridge.metric("hookferry_commit_requests_total") - sent
    return {
        "cpu_us": (bridge.cpu_s() - cpu_s) / MANY_EVENTS * 1e6,
        "loaded_mb": bridge.rss_bytes() / 1e6,
        "commits_per_s": sent / (time.monotonic() - began),
    }


def _events(count: int, seed: int = 7, types: int = TYPES) -> Iterator[OutboxEvent]:
    """Yield outbox events with alternating types."""
    for number, event in enumerate(outbox_events(count, seed=seed)):
        value = orjson.loads(event.value)
        value["type"] = f"Type{number % types:02d}"
        yield event._replace(value=orjson.dumps(value))


def _bridge(stage: Stage, name: str, topic: str, kind: str, number: int) -> BridgeProcess:
    stage.receiver.reset()
    made = {
        f"e{one}": {
            "url": stage.receiver.url(f"/e{one}"),
            "events": [f"Type{one:02d}" if kind == "each_wants_one" or not one else f"Never{one:02d}"],
        }
        for one in range(number)
    }
    return stage.bridge_to(name, topic, made)


def _read(stage: Stage, name: str, topic: str, events: int, kind: str, number: int) -> float:
    with _bridge(stage, name, topic, kind, number) as bridge:
        samples = await_all(stage.receiver, bridge, "/e0", events // TYPES)
        bridge.kill()
    return cpu_us_middle([Sample(arrived * TYPES, {"own": cpu_s}) for arrived, cpu_s in samples], "own")


def _trickle(stage: Stage, name: str, number: int) -> float:
    topic, count = stage.kafka.fresh_topic("trickle", PARTITIONS), TRICKLE_PER_S * TRICKLE_S
    with _bridge(stage, name, topic, "only_the_first_wants", number) as bridge:
        produce_paced(stage.kafka.bootstrap, topic, _events(TRICKLE_PER_S), TRICKLE_PER_S)
        await_all(stage.receiver, bridge, "/e0", TRICKLE_PER_S // TYPES)
        cpu_s = bridge.cpu_s()
        produce_paced(stage.kafka.bootstrap, topic, _events(count, seed=8), TRICKLE_PER_S)
        cpu_s = bridge.cpu_s() - cpu_s
        bridge.kill()
    return cpu_s / count * 1e6
