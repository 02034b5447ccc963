"""An endpoint that returns with a large lag: ``make bench BENCH="--behind 2000000"``.

The endpoint selects every tenth of many small records. A second topic carries live events for another
endpoint during the whole run. Three phases, each with the rate and latency of the live events:

- *normal*: a bridge reads the log for both endpoints without failures, which is the reference rate;
- *dead*: another bridge, and the endpoint refuses connections until the reader is at the end of the log;
- *catching up*: the endpoint answers again, from its first event to its last.

Memory is sampled in each phase. The endpoint must get every selected event, once and in order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.compare.judging import NotProven
from tests.bench.scenarios import ENTITIES, PARTITIONS, STALL_S, Stage, check
from tests.support.bridge_process import BridgeProcess
from tests.support.ports import free_port
from tests.support.produce import OutboxEvent, outbox_events, produce, produce_paced
from tests.support.receiver import Receiver

WANTED_IN = 10
LIVE_PER_S = 100
_SMALL = (
    b'{"id":"%032x","type":"%b","entity":"e%d","createdAt":"2026-01-01T00:00:00Z",'
    b'"payload":{"entity":"e%d","seq":%d}}'
)
WINDOW_S = 3
"""Seconds of catching up before memory is measured: until the window is full again."""


def behind(stage: Stage, records: int) -> dict[str, Any]:
    """Run the three phases."""
    log = stage.kafka.fresh_topic("behind", PARTITIONS)
    began = time.monotonic()
    produce(stage.kafka.bootstrap, log, _small_events(records))
    figures: dict[str, Any] = {"records": records, "produced_per_s": records / (time.monotonic() - began)}
    wanted = sum(1 for number in range(records) if _wanted(number))

    stage.receiver.reset()
    with _bridge(stage, "normal", log, stage.receiver.url("/behind")) as bridge, _Live(stage, bridge) as live:
        figures["normal"] = _until(stage.receiver, bridge, wanted)
    check(stage.receiver.report("/behind"), wanted)
    figures["normal"] |= live.figures()

    stage.receiver.reset()
    returning = Receiver(port=free_port())
    with _bridge(stage, "dead", log, returning.url("/behind")) as bridge:
        with _Live(stage, bridge) as live:
            memory = _sampled(bridge, lambda: _read(bridge) >= records)
        figures["dead"] = memory | live.figures()
        stage.receiver.reset()
        with returning, _Live(stage, bridge) as live:
            figures["catching_up"] = _until(returning, bridge, wanted)
            check(returning.report("/behind"), wanted)
        figures["catching_up"] |= live.figures()
    figures["ratio"] = {
        "per_s": figures["catching_up"]["per_s"] / figures["normal"]["per_s"],
        "cpu": figures["normal"]["cpu_us"] / figures["catching_up"]["cpu_us"],
    }
    return figures


def lines(figures: dict[str, Any]) -> list[str]:
    """Return the rows of the table."""
    rows = [
        f"behind: {figures['records']:,} records, every {WANTED_IN}th selected; "
        f"live events for another endpoint, {LIVE_PER_S}/s",
        f"{'':<28}{'records/s':>11}{'CPU µs':>8}{'MB first':>10}{'third':>7}{'last':>7}"
        f"{'live/s':>8}{'p99 ms':>8}",
    ]
    texts = {"normal": "    read as it comes", "dead": "    dead", "catching_up": "    catching up"}
    for name, text in texts.items():
        row = figures[name]
        rate = f"{row['per_s']:>11,.0f}{row['cpu_us']:>8.1f}" if "per_s" in row else f"{'':>19}"
        rows.append(
            f"{text:<28}{rate}{row['first_mb']:>10.0f}{row['third_mb']:>7.0f}{row['last_mb']:>7.0f}"
            f"{row['live_per_s']:>8.0f}{row['live_p99_ms']:>8.0f}"
        )
    ratio = figures["ratio"]
    grown = max(figures[name]["last_mb"] / figures[name]["third_mb"] for name in ("dead", "catching_up"))
    rows.append(
        f"    catching up / normal: {ratio['per_s']:.2f} by rate, {ratio['cpu']:.2f} by CPU; "
        f"memory at the end / after a third: at most {grown:.2f}"
    )
    return rows


class _Live:
    """Sends live events at a steady rate to ``/live`` while the block runs."""

    def __init__(self, stage: Stage, bridge: BridgeProcess) -> None:
        self._stage, self._topic = stage, bridge.config["sources"]["orders"]["topics"][1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._produce)
        self._found: dict[str, float] = {}

    def _produce(self) -> None:
        events = outbox_events(10**9, entities=ENTITIES, seed=time.time_ns())
        live = iter(lambda: None if self._over.is_set() else next(events), None)
        produce_paced(self._stage.kafka.bootstrap, self._topic, live, LIVE_PER_S)

    def __enter__(self) -> _Live:
        self._before = self._stage.receiver.count("/live")["accepted"]
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        arrived = self._stage.receiver.count("/live")["accepted"] - self._before
        self._found["live_per_s"] = arrived / (time.monotonic() - self._began)
        self._thread.join()
        latency = self._stage.receiver.report("/live")["latency_ms"]
        self._found |= {f"live_{name}_ms": latency[name] for name in ("p50", "p99")}

    def figures(self) -> dict[str, float]:
        """Add rate and latency of the live events."""
        return self._found


def _bridge(stage: Stage, name: str, log: str, url: str) -> BridgeProcess:
    live = stage.kafka.fresh_topic("live", PARTITIONS)
    endpoints = {
        "behind": {"url": url, "events": ["Wanted"], "breaker": {"max_open_s": 5}},
        "live": {"url": stage.receiver.url("/live"), "events": ["Order*"]},
    }
    bridge = stage.bridge_to(f"behind-{name}", log, endpoints)
    bridge.config["sources"]["orders"]["topics"] = [log, live]
    return bridge


def _wanted(number: int) -> bool:
    return number // ENTITIES % WANTED_IN == 0


def _small_events(count: int) -> Iterator[OutboxEvent]:
    """Yield records of about 180 bytes without an encoder: two million in a few seconds."""
    for number in range(count):
        entity, seq = number % ENTITIES, number // ENTITIES
        kind = b"Wanted" if _wanted(number) else b"Other"
        value = _SMALL % (number, kind, entity, entity, seq)
        yield OutboxEvent(b"e%d" % entity, value, "", "", seq)


def _read(bridge: BridgeProcess) -> float:
    return float(bridge.metric("hookferry_records_total"))


def _until(receiver: Receiver, bridge: BridgeProcess, wanted: int) -> dict[str, float]:
    """Wait until the endpoint has all events; return rate and CPU between the first and last tenth."""
    arrived: list[tuple[int, float, float]] = []

    def done() -> bool:
        arrived.append((receiver.count("/behind")["accepted"], time.monotonic(), bridge.cpu_s()))
        return arrived[-1][0] >= wanted

    memory = _sampled(bridge, done)
    first = min(arrived, key=lambda one: abs(one[0] - wanted * 0.1))
    last = min(arrived, key=lambda one: abs(one[0] - wanted * 0.9))
    records = (last[0] - first[0]) * WANTED_IN
    return memory | {
        "per_s": records / (last[1] - first[1]),
        "cpu_us": (last[2] - first[2]) / records * 1e6,
    }


def _sampled(bridge: BridgeProcess, done: Callable[[], bool]) -> dict[str, float]:
    """Sample resident memory twice a second until ``done``; return the first, a third, and the last."""
    samples: list[int] = []
    progress_at, began = time.monotonic(), time.monotonic()
    while not done():
        time.sleep(0.5)
        if time.monotonic() - began > WINDOW_S or not samples:
            samples.append(bridge.rss_bytes())
        if time.monotonic() - progress_at > 10 * STALL_S:
            raise NotProven(f"not done in {10 * STALL_S} s\n{bridge.log_tail()}")
    return {
        "first_mb": samples[0] / 1e6,
        "third_mb": samples[len(samples) // 3] / 1e6,
        "last_mb": samples[-1] / 1e6,
        "peak_mb": bridge.peak_rss_bytes() / 1e6,
    }
