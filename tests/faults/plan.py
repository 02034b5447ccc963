"""Draw the faults of a run from a seed: the same seed returns the same list. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

WARM_UP_S = 4.0
PATHS = ("/healthy", "/flaky", "/slow")
"""The paths with temporary faults; the dead endpoint is dead for the whole run."""

WEIGHTS = {
    "pod.kill": 6,
    "pod.stop_short": 2,
    "pod.stop_long": 3,
    "pod.terminate": 2,
    "pod.away": 2,
    "pod.extra": 2,
    "pod.disk_wiped": 2,
    "pod.disk_damaged": 2,
    "pod.disk_full": 1,
    "broker.kill": 2,
    "receiver.kill": 2,
    "path.slow": 1,
    "path.hang": 1,
    "path.reset": 1,
    "path.half": 1,
    "path.cut": 1,
    "path.status_429": 1,
    "path.status_500": 1,
    "path.status_503": 1,
    "endpoint.off": 2,
    "parked.redrive": 2,
    "topic.partitions": 2,
    "topic.transaction": 3,
    "topic.poison": 2,
    "topic.recreate": 2,
    "offsets.expire": 1,
}


EXTRAS = {
    "pod.disk_wiped": ("kill", "terminate"),
    "pod.disk_damaged": ("kill", "terminate"),
    "topic.transaction": ("abort", "abort", "commit"),
}
"""What a kind chooses from, besides its target and duration."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: start, kind, target and duration; ``extra`` is a parameter of its kind."""

    at_s: float
    kind: str
    target: str
    for_s: float
    extra: str = ""

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def make_plan(
    seed: int,
    *,
    seconds: float,
    faults: int,
    pods: int,
    session_s: float,
    full_disk_pod: int | None,
    only: Collection[str] = (),
    without: Collection[str] = (),
) -> list[Fault]:
    """Draw ``faults`` faults over ``seconds``: each kind before any repeats, one at a time per target."""
    chance = random.Random(seed)
    possible = {kind: weight for kind, weight in WEIGHTS.items() if kind in (only or WEIGHTS)}
    for kind in (*without, *(() if full_disk_pod is not None else ("pod.disk_full",))):
        possible.pop(kind, None)
    kinds = _kinds(chance, faults, possible)
    free_at: dict[str, float] = {}
    step_s = (seconds - WARM_UP_S) / max(1, faults)
    plan = []
    for number, kind in enumerate(kinds):
        at_s = round(WARM_UP_S + step_s * (number + chance.random()), 2)
        target = _target(chance, kind, pods, full_disk_pod, free_at)
        for_s = round(_duration_s(chance, kind, session_s), 2)
        begins_s = round(max(at_s, free_at.get(target, 0.0)), 2)
        free_at[target] = begins_s + for_s + 1.0
        extra = chance.choice(EXTRAS.get(kind, ("",)))
        plan.append(Fault(begins_s, kind, target, for_s, extra))
    return sorted(plan, key=lambda one: one.at_s)


def _kinds(chance: random.Random, count: int, weights: Mapping[str, int]) -> list[str]:
    each_once = list(weights)
    chance.shuffle(each_once)
    # a short run has the most severe kinds first: the guarantees are about them
    each_once.sort(key=lambda kind: -weights[kind])
    first = each_once[:count]
    chance.shuffle(first)
    return first + chance.choices(list(weights), list(weights.values()), k=max(0, count - len(first)))


def _target(
    chance: random.Random, kind: str, pods: int, full_disk_pod: int | None, free_at: dict[str, float]
) -> str:
    if kind == "pod.disk_full":
        return f"pod {full_disk_pod}"
    if kind == "pod.extra":
        return f"pod {pods}"
    if kind.startswith("pod."):
        names = [f"pod {number}" for number in range(pods)]
        chance.shuffle(names)
        return min(names, key=lambda name: max(0.0, free_at.get(name, 0.0)))
    if kind.startswith(("path.", "endpoint.", "offsets.")):
        return chance.choice(PATHS)
    return kind if kind.startswith("topic.") else kind.partition(".")[0]


def _duration_s(chance: random.Random, kind: str, session_s: float) -> float:
    match kind:
        case "pod.kill" | "pod.disk_wiped" | "pod.disk_damaged":
            return chance.choice((0.0, 0.0, chance.uniform(0.2, 2), session_s * chance.uniform(1.2, 2)))
        case "pod.stop_short":
            return session_s * chance.uniform(0.1, 0.7)
        case "pod.stop_long":
            return session_s * chance.uniform(1.4, 2.5)
        case "pod.terminate":
            return chance.choice((0.0, chance.uniform(0.2, 2)))
        case "pod.away" | "pod.extra":
            return chance.uniform(6, 12)
        case "parked.redrive" | "topic.partitions" | "topic.poison" | "topic.recreate" | "offsets.expire":
            return 0.0
        case "broker.kill":
            return chance.choice((0.0, chance.uniform(0.5, 3), session_s * chance.uniform(1, 1.6)))
        case "receiver.kill":
            return chance.choice((0.0, chance.uniform(0.2, 3)))
        case _:
            return chance.uniform(2, 6)
