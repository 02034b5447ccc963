"""The report of a run: the table, timelines of violations, log storms, and the JSON document."""

from __future__ import annotations

import os
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from tests.faults.ledger import Ledger
from tests.faults.stage import Pod
from tests.faults.truth import Truth
from tests.faults.verify import Result, Violation

BROKEN = ("lost", "late", "inversion", "overlap", "unexplained repeat", "id changed", "parked", "strange")
NO_LINE = "(not a log line)"
PER_EVENT = frozenset({"delivery.attempted", "event.parked", "record.rejected", NO_LINE})
"""Lines about one event each, as many as there are events, and tracebacks of a pod that exited by itself,
which is a problem in the report anyway."""
STORM_PER_MINUTE = 60


def clock(at_ns: int) -> str:
    """Return an instant in the format of the logs."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]


def storms(pods: Iterable[Pod], bound: int = STORM_PER_MINUTE) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return events logged more than ``bound`` times in a minute by one pod, and the totals of all events."""
    stormy, totals = [], Counter[str]()
    for pod in pods:
        minutes: Counter[tuple[str, str]] = Counter()
        if not pod.bridge.log.exists():
            continue
        with pod.bridge.log.open("rb") as lines:
            for line in lines:
                if b'"delivery.attempted"' in line:
                    totals["delivery.attempted"] += 1
                    continue
                try:
                    entry = orjson.loads(line)
                    name = entry.get("logger") or entry["event"]
                    minute = entry["timestamp"][:16]
                except (ValueError, KeyError, TypeError):
                    name, minute = NO_LINE, ""
                totals[name] += 1
                minutes[name, minute] += 1
        stormy += [
            {"pod": pod.number, "event": name, "minute": minute, "lines": count}
            for (name, minute), count in minutes.items()
            if count > bound and name not in PER_EVENT
        ]
    return sorted(stormy, key=lambda one: -one["lines"]), totals


def told(pods: Iterable[Pod], topic: str) -> dict[tuple[int, str, int], list[int]]:
    """Return when each pod logged each delivery of a topic, by pod, endpoint and place."""
    found: defaultdict[tuple[int, str, int], list[int]] = defaultdict(list)
    for key, entry in _attempts_with(pods, topic, b'"verdict":"delivered"'):
        found[key].append(_instant_ns(entry))
    return dict(found)


def timeouts(pods: Iterable[Pod], topic: str) -> dict[tuple[int, str, int], list[tuple[int, int]]]:
    """Return from when to when the requests were in flight that a pod logged as timed out, by the same."""
    found: defaultdict[tuple[int, str, int], list[tuple[int, int]]] = defaultdict(list)
    for key, entry in _attempts_with(pods, topic, b'"reason":"timeout: '):
        ended = _instant_ns(entry)
        found[key].append((ended - int(entry["duration_ms"] * 1e6), ended))
    return dict(found)


def _attempts_with(
    pods: Iterable[Pod], topic: str, part: bytes
) -> Iterator[tuple[tuple[int, str, int], dict[str, Any]]]:
    """Yield the lines of attempts that contain a text, with their pod, endpoint and place."""
    for pod in pods:
        for entry in _lines_with(pod, part):
            name, _, number = entry.get("place", "").rpartition("-")
            partition, _, offset = number.partition("@")
            if name == topic and offset.isdecimal():
                yield (pod.number, sys.intern(entry["endpoint"]), int(partition) << 40 | int(offset)), entry


def lost_sessions(pods: Iterable[Pod]) -> list[tuple[int, int]]:
    """Return when each pod found that its session had ended: (instant, pod)."""
    return [
        (_instant_ns(entry), pod.number)
        for pod in pods
        for entry in _lines_with(pod, b'"commit.failed"')
        if "no longer a member" in entry["cause"]
    ]


def _lines_with(pod: Pod, part: bytes) -> Iterator[dict[str, Any]]:
    if not pod.bridge.log.exists():
        return
    with pod.bridge.log.open("rb") as lines:
        for line in lines:
            if part in line:
                with suppress(ValueError):  # the line that a kill cut off
                    yield orjson.loads(line)


def _instant_ns(entry: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(entry["timestamp"]).timestamp() * 1e9)


def assignments(pods: Iterable[Pod], topic: str) -> list[tuple[int, int, frozenset[int]]]:
    """Return the assignments of a topic: (instant, pod, partitions)."""
    rows = []
    for pod in pods:
        if not pod.bridge.log.exists():
            continue
        with pod.bridge.log.open("rb") as lines:
            for line in lines:
                if b'"source.assigned"' not in line:
                    continue
                entry = orjson.loads(line)
                at_ns = int(datetime.fromisoformat(entry["timestamp"]).timestamp() * 1e9)
                names = (name.rpartition("-") for name in entry["next_offsets"])
                rows.append((at_ns, pod.number, frozenset(int(n) for of, _, n in names if of == topic)))
    return rows


def delays(pods: Iterable[Pod]) -> list[tuple[int, int, float]]:
    """Return how late each pod read refused connections: (instant, pod, seconds).

    The kernel refuses a connection on loopback at once, so the duration of such an attempt is the time that
    the pod's event loop was busy with other work.
    """
    rows = []
    for pod in pods:
        if not pod.bridge.log.exists():
            continue
        with pod.bridge.log.open("rb") as lines:
            for line in lines:
                if b'"delivery.attempted"' not in line or b"Connection refused" not in line:
                    continue
                try:
                    entry = orjson.loads(line)
                except ValueError:  # the line that a kill cut off
                    continue
                at_ns = int(datetime.fromisoformat(entry["timestamp"]).timestamp() * 1e9)
                rows.append((at_ns, pod.number, entry["duration_ms"] / 1000))
    return rows


def timeline(violation: Violation, truth: Truth, ledger: Ledger, topic: str, pods: Sequence[Pod]) -> str:
    """Return one violation with the faults around it and the log lines of the pods about the event."""
    lines = [f"{violation.kind.upper()} at {violation.endpoint}: {violation.event}"]
    lines += [f"    {line}" for line in violation.text.splitlines()]
    place = truth.places.get(violation.key)
    at_ns = violation.at_ns
    if place is not None:
        named = f"{topic}-{place >> 40}@{place & (1 << 40) - 1}"
        lines.append(f"  log lines of the pods about {named}:")
        about = _lines_about(named, violation.endpoint, pods)
        lines += [f"    {line}" for line in about[-12:]] or ["    nothing"]
    if at_ns:
        lines.append(f"  incidents around {clock(at_ns)}:")
        lines += [
            f"    {clock(incident.at_ns)} {incident.text}" for incident in ledger.near(at_ns)[-14:]
        ] or ["    nothing"]
    return "\n".join(lines)


def _lines_about(place: str, endpoint: str, pods: Sequence[Pod]) -> list[str]:
    needle = f'"{place}"'.encode()
    entries = []
    for pod in pods:
        if not pod.bridge.log.exists():
            continue
        with pod.bridge.log.open("rb") as lines:
            for line in lines:
                if needle not in line:
                    continue
                entry = orjson.loads(line)
                if entry.get("endpoint", endpoint) == endpoint:
                    fields = {
                        k: v for k, v in entry.items() if k not in ("timestamp", "endpoint", "place", "type")
                    }
                    entries.append(
                        f"{entry['timestamp'][11:23]} pod {pod.number}: {orjson.dumps(fields).decode()}"
                    )
    return sorted(entries)


def document(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the counts for JSON."""
    return [
        {
            "endpoint": result.endpoint,
            "wanted": result.wanted,
            "requests": result.requests,
            "accepted": result.accepted,
            "parked": result.parked,
            "waiting": result.waiting,
            **{kind: result.counts[kind] for kind in BROKEN},
            "repeats": dict(result.repeats),
            "overlaps_explained": dict(result.overlaps_explained),
            "answered_before_kill_ms": _spread(result.kill_ages_ms),
        }
        for result in results
    ]


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "minimum": round(ordered[0], 1),
        "median": round(statistics.median(ordered), 1),
        "p90": round(ordered[int(len(ordered) * 0.9)], 1),
        "maximum": round(ordered[-1], 1),
    }


def table(results: Sequence[Result], extra: Sequence[str]) -> str:
    """Return the table for the terminal."""
    names = [result.endpoint for result in results]
    rows: list[tuple[str, list[object]]] = [
        ("events wanted", [result.wanted for result in results]),
        ("requests", [result.requests for result in results]),
        ("accepted", [result.accepted for result in results]),
        ("parked", [result.parked for result in results]),
        ("waiting as lag", [result.waiting for result in results]),
        *((kind.upper(), [result.counts[kind] for result in results]) for kind in BROKEN),
        ("repeats", [sum(result.repeats.values()) for result in results]),
    ]
    whys = sorted({why for result in results for why in result.repeats})
    rows += [(f"  {why}", [result.repeats[why] for result in results]) for why in whys]
    overlapped = sorted({why for result in results for why in result.overlaps_explained})
    rows += [
        (f"overlap: {why}", [result.overlaps_explained[why] for result in results]) for why in overlapped
    ]
    lines = [f"{'':<42}" + "".join(f"{name:>11}" for name in names)]
    lines += [f"{text:<42}" + "".join(f"{value:>11,}" for value in values) for text, values in rows]
    return "\n".join([*lines, "", *extra])


def machine_size() -> dict[str, Any]:
    """Return the size of the machine."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        "unknown",
    )  # fmt: skip
    return {"cores": len(os.sched_getaffinity(0)), "memory_gib": round(pages / 2**30, 1), "cpu": cpu}
