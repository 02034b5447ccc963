"""How long the deliveries of two pods pause when one of them ends: ``make bench BENCH=--takeover``.

Under a steady load, with the default settings of the group, the first pod is killed and restarted
immediately, killed for good, or stopped in order. Each pod sends to a path of its own, so the arrival times
at the receiver give two figures: the time until an event of the first pod's partitions is delivered again,
and the longest pause of the second pod.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import orjson

from tests.bench.compare.judging import NotProven
from tests.bench.scenarios import PARTITIONS, Stage
from tests.support.bridge_process import BridgeProcess
from tests.support.produce import outbox_events, produce_paced

RATE_PER_S = 60
BEFORE_S = 3
OBSERVED_S = 60
"""How long a takeover may take before there is no figure."""
SETTLED_S = 5
"""The second pod is observed this much longer: a restarted pod may cause a rebalance when it has returned."""
BOUND_S = {"returns": 15, "gone": 15, "stopped": 5}
PAUSE_BOUND_S = 2
TEXTS = {
    "returns": "    SIGKILL, restarted immediately",
    "gone": "    SIGKILL, not restarted",
    "stopped": "    SIGTERM, not restarted",
}


def takeover(stage: Stage, rounds: int) -> dict[str, Any]:
    """Measure each kind of end ``rounds`` times."""
    ends: dict[str, Callable[[BridgeProcess], object]] = {
        "returns": _kill_and_start,
        "gone": BridgeProcess.kill,
        "stopped": BridgeProcess.terminate,
    }
    return {
        kind: [_measure(stage, f"{kind}-{number}", end) for number in range(rounds)]
        for kind, end in ends.items()
    }


def lines(figures: dict[str, Any]) -> list[str]:
    """Return the rows of the table."""
    rows = [f"takeover: two pods, {RATE_PER_S} events/s, the first one ends"]
    for kind, text in TEXTS.items():
        again = [figure["again_s"] for figure in figures[kind]]
        pauses = [figure["pause_s"] for figure in figures[kind]]
        held = max(again) <= BOUND_S[kind] and max(pauses) <= PAUSE_BOUND_S
        verdict = "held" if held else "NOT HELD"
        rows.append(
            f"{text:<44}its partitions again after {_shown(again)} s (bound {BOUND_S[kind]});"
            f" longest pause of the other pod {_shown(pauses)} s (bound {PAUSE_BOUND_S}): {verdict}"
        )
    return rows


def _shown(seconds: list[float]) -> str:
    return " ".join(f"{one:.1f}" for one in seconds)


def _kill_and_start(pod: BridgeProcess) -> None:
    pod.kill()
    pod.start(wait=False)


def _measure(stage: Stage, name: str, end: Callable[[BridgeProcess], object]) -> dict[str, float]:
    topic = stage.kafka.fresh_topic("takeover", PARTITIONS)
    paths = (f"/{name}-first", f"/{name}-second")
    stage.receiver.reset()
    pods = [_pod(stage, f"takeover-{name}", topic, path) for path in paths]
    over = threading.Event()
    events = islice(outbox_events(10**9, entities=200), RATE_PER_S * (BEFORE_S + OBSERVED_S + 60))
    live = iter(lambda: None if over.is_set() else next(events), None)
    producer = threading.Thread(target=produce_paced, args=(stage.kafka.bootstrap, topic, live, RATE_PER_S))
    try:
        for pod in pods:
            pod.start()
        _await_shares(pods)
        producer.start()
        for path in paths:
            stage.receiver.wait_for(path, OBSERVED_S, accepted=RATE_PER_S * BEFORE_S // 2)
        lost = {entity for _, entity in _arrivals(stage, paths[0])}
        began_s = time.time()
        end(pods[0])
        again_s = _await_again(stage, paths, lost, began_s)
        time.sleep(SETTLED_S)
        times_s = [at_s for at_s, _ in _arrivals(stage, paths[1])]
    finally:
        over.set()
        if producer.is_alive():
            producer.join()
        for pod in pods:
            pod.kill()
    observed = [at_s for at_s in times_s if at_s >= began_s - 1]
    pause_s = max(after - before for before, after in pairwise(observed))
    return {"again_s": again_s - began_s, "pause_s": pause_s}


def _pod(stage: Stage, group: str, topic: str, path: str) -> BridgeProcess:
    pod = stage.bridge_to(group, topic, {"bench": {"url": stage.receiver.url(path)}})
    return BridgeProcess(
        pod.config | {"admin": {}, "state_dir": str(pod.folder / path[1:])}, pod.folder / path[1:]
    )


def _await_shares(pods: list[BridgeProcess]) -> None:
    deadline = time.monotonic() + OBSERVED_S
    while [pod.metric("hookferry_assigned_partitions") for pod in pods] != [PARTITIONS / 2] * 2:
        if time.monotonic() > deadline:
            raise NotProven(f"takeover: the pods did not share the partitions\n{pods[0].log_tail()}")
        time.sleep(0.1)


def _arrivals(stage: Stage, path: str) -> list[tuple[float, str]]:
    """Return the time and the entity of each request of a pod."""
    return [
        (record["arrived_ns"] / 1e9, orjson.loads(record["body"])["data"]["entity"])
        for record in stage.receiver.records(path)
    ]


def _await_again(stage: Stage, paths: tuple[str, str], lost: set[str], began_s: float) -> float:
    """Return when the first event of the ended pod's partitions arrived that was sent after its end."""
    deadline = time.monotonic() + OBSERVED_S
    while time.monotonic() < deadline:
        again = [
            at_s
            for path in paths
            for at_s, entity in _arrivals(stage, path)
            if at_s > began_s + 0.2 and entity in lost
        ]
        if again:
            return min(again)
        time.sleep(0.5)
    raise NotProven(f"takeover: nothing was delivered again within {OBSERVED_S} s")
