"""Time from a SIGKILL to the next delivery, and the repeats after it: ``make bench BENCH=--restart``.

Under a steady load the only bridge is killed and restarted immediately: on the same disk, where it has its
name in the group again, and on an empty disk, where the session of the old name must end first. The second
part is a large completion map: many events are settled past open ones, the bridge is killed and starts on an
empty disk, so that it has only the map in the commit. None of the settled events may repeat.
"""

from __future__ import annotations

import shutil
import threading
import time
from itertools import islice
from typing import Any

from bridge.core import completion_map
from tests.bench.compare.judging import NotProven
from tests.bench.scenarios import ENTITIES, PARTITIONS, STALL_S, Stage, await_all
from tests.support.bridge_process import BridgeProcess
from tests.support.produce import outbox_events, produce, produce_paced

RATE_PER_S = 300
DELAY_MS = 20
CONCURRENCY = 64
SESSION_S = 10
BOUND_S = {"same": 5, "empty": SESSION_S + 2}
"""The guaranteed limits: 5 s, or the session timeout plus 2 s."""
REPEATS = {"same": CONCURRENCY, "empty": CONCURRENCY + RATE_PER_S}
"""Per kill: requests in flight, and on an empty disk also what was delivered since the last commit."""
BEFORE_KILL_S = 2
MAP_EVENTS = 20_000
STUCK = tuple(f"e{number}" for number in range(0, ENTITIES, 100))


def restart(stage: Stage, rounds: int) -> dict[str, Any]:
    """Kill on the same disk and with an empty one, then measure the map."""
    figures: dict[str, Any] = {
        kind: _killed(stage, kind, rounds if kind == "same" else max(1, rounds // 2)) for kind in BOUND_S
    }
    return figures | {"map": _mapped(stage)}


def lines(figures: dict[str, Any]) -> list[str]:
    """Return the rows of the table."""
    rows = [f"restart: SIGKILL at {RATE_PER_S} events/s, restarted immediately"]
    texts = {
        "same": "    on the same disk",
        "empty": f"    on an empty disk, session_timeout_s {SESSION_S}",
    }
    for kind, text in texts.items():
        row = figures[kind]
        seconds = " ".join(f"{one:.1f}" for one in row["seconds"])
        verdict = "held" if max(row["seconds"]) <= BOUND_S[kind] else "NOT HELD"
        rows.append(
            f"{text:<44}next delivery after {seconds} s (bound {BOUND_S[kind]} s: {verdict}); "
            f"repeats {row['repeats']}, in flight at the kills {row['in_flight']}"
        )
    row = figures["map"]
    rows.append(
        f"    map of {row['settled_beyond']:,} settled past {row['open']:,} open: "
        f"{row['repeats']} repeated after a kill and a start on an empty disk"
    )
    return rows


def _killed(stage: Stage, kind: str, rounds: int) -> dict[str, Any]:
    path, topic = f"/{kind}", stage.kafka.fresh_topic("restart", PARTITIONS)
    stage.receiver.reset()
    stage.receiver.control(path, delay_ms=DELAY_MS)
    settings = {"url": stage.receiver.url(path), "concurrency": CONCURRENCY}
    over, sent = threading.Event(), list[int]()
    events = outbox_events(10**9, entities=ENTITIES)
    live = iter(lambda: None if over.is_set() else next(events), None)
    bootstrap = stage.kafka.bootstrap
    producer = threading.Thread(target=lambda: sent.append(produce_paced(bootstrap, topic, live, RATE_PER_S)))
    seconds, in_flight = [], 0
    bridge = stage.bridge_to(f"restart-{kind}", topic, {"bench": settings}, session_timeout_s=SESSION_S)
    with bridge:
        producer.start()
        try:
            for _ in range(rounds):
                more = stage.receiver.count(path)["accepted"] + RATE_PER_S * BEFORE_KILL_S
                stage.receiver.wait_for(path, STALL_S, accepted=more)
                cut = _cut(stage, path)
                seconds.append(_until_next(stage, bridge, path, wipe=kind == "empty"))
                in_flight += _cut(stage, path) - cut
        finally:
            over.set()
            producer.join()
        await_all(stage.receiver, bridge, path, sent[0])
        bridge.terminate()
    report = stage.receiver.report(path)
    whole = {"accepted": sent[0], "distinct": sent[0], "inversions": 0, "overlaps": 0}
    wrong = {name: report[name] for name, value in whole.items() if report[name] != value}
    if wrong or report["repeats"] > rounds * REPEATS[kind]:
        raise NotProven(f"{kind}, of {sent[0]} events: {wrong or report['repeats']}")
    return {"seconds": seconds, "repeats": report["repeats"], "in_flight": in_flight, "events": sent[0]}


def _cut(stage: Stage, path: str) -> int:
    """Return the number of requests whose connection closed before the answer."""
    return int(stage.receiver.report(path)["statuses"].get("none", 0))


def _until_next(stage: Stage, bridge: BridgeProcess, path: str, *, wipe: bool) -> float:
    """Kill and start; return the seconds from the kill to the next accepted event."""
    began = time.monotonic()
    bridge.kill()
    if wipe:
        shutil.rmtree(bridge.config["state_dir"])
    time.sleep(2 * DELAY_MS / 1000)  # answers to the killed process do not count
    before = stage.receiver.count(path)["accepted"]
    bridge.start(wait=False)
    stage.receiver.wait_for(path, STALL_S, accepted=before + 1)
    return time.monotonic() - began


def _mapped(stage: Stage) -> dict[str, Any]:
    """Leave events of a few entities open while all others settle past the committed offset."""
    path, topic = "/map", stage.kafka.fresh_topic("map", 1)
    stage.receiver.reset()
    stage.receiver.control(path, status=408, entities=STUCK)
    events = list(islice(outbox_events(10**9, entities=ENTITIES, seed=11), MAP_EVENTS * 102 // 100))
    begins = next(number for number, event in enumerate(events) if event.entity in STUCK)
    events = events[begins:]  # the first one stays open, so that all others are past the committed offset
    produce(stage.kafka.bootstrap, topic, events)
    settled = sum(event.entity not in STUCK for event in events)
    settings = {"url": stage.receiver.url(path), "retry": {"base_s": 1, "cap_s": 2, "max_attempts": 1000}}
    group = {"session_timeout_s": 6, "heartbeat_interval_s": 1}
    with stage.bridge_to("map", topic, {"bench": settings}, **group) as bridge:
        await_all(stage.receiver, bridge, path, settled)
        _until_committed(stage, settled)
        bridge.kill()
    stage.receiver.control(path)
    anew = stage.bridge_to("map", topic, {"bench": settings}, **group)
    anew.config["state_dir"] = str(anew.folder / "another-disk")
    with anew as bridge:
        await_all(stage.receiver, bridge, path, len(events))
        bridge.terminate()
    report = stage.receiver.report(path)
    if report["inversions"] or report["repeats"]:
        raise NotProven(f"map: {report['repeats']} repeats, {report['inversions']} inversions")
    return {"settled_beyond": settled, "open": len(events) - settled, "repeats": report["repeats"]}


def _until_committed(stage: Stage, settled: int) -> None:
    """Wait until the map in the commit lists this many events as settled."""
    deadline = time.monotonic() + STALL_S
    while time.monotonic() < deadline:
        for offset, metadata in stage.kafka.consumer_groups("bench-map.bench").values():
            done = completion_map.decode(offset, metadata)
            if done.end - done.offset - len(done.open_offsets) >= settled:
                return
        time.sleep(0.1)
    raise NotProven(f"no commit listed {settled} events as settled within {STALL_S} s")
