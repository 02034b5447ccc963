"""What an attempt costs that is kept and told of: ``python -m tests.bench.history``.

Prints microseconds of CPU for keeping an attempt (the tuple, masked, in its stream), for telling of it
(metrics and the log line), and for writing it (taken, encoded, and compressed as the producer does), and its
size in the topic. Kafka is a fake: the cost of a request is shared by all attempts of a record. Compare two
commits in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import os
import statistics
import sys
import time

import orjson

from bridge.core.verdict import DELIVERED
from bridge.history.writer import History
from bridge.kafka.producer import NewRecord
from bridge.kafka.record_size import HISTORY_CODEC, batch_bytes
from bridge.model import Event, Partition, Record, Request, Response, Url
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.target import Outcome, Target
from bridge.telemetry.logs import set_up
from bridge.telemetry.metrics import Metrics

ATTEMPTS = 2000
TOLD_AT_ONCE = 100
NOTE = "The quick brown fox jumps over the lazy dog. " * 10
URL = Url("https", "receiver.test", 443, "/hooks")


class Compressed:
    """A producer that compresses each record as the real one does, and counts its bytes."""

    def __init__(self) -> None:
        self.written_bytes = 0

    async def write(self, record: NewRecord) -> None:
        self.written_bytes += await batch_bytes(HISTORY_CODEC, record.key, record.value, record.headers)


def event(number: int) -> Event:
    record = Record(Partition("orders", number % 4), number, 1_700_000_000_000, b"key", b"{}")
    return Event(
        record=record, source="orders", id=f"id-{number}", type="OrderPlaced", time="2026-06-29T08:15:30Z",
        entity=f"entity-{number % 400}", tenant=None, lane=("orders", number % 4, b"key", ""), payload=dict,
        webhook_id=f"evt_{os.urandom(12).hex()}",
    )  # fmt: skip


def request(sent: Event) -> Request:
    random = base64.b64encode(os.urandom(60)).decode()
    data = {"id": sent.id, "amount": 12.5, "reference": random, "note": NOTE}
    body = orjson.dumps({"type": sent.type, "timestamp": sent.time, "entity": sent.entity, "data": data})
    headers = (
        (b"content-type", b"application/json"),
        (b"webhook-id", sent.webhook_id.encode()),
        (b"webhook-timestamp", b"1782726000"),
        (b"webhook-signature", b"v1," + base64.b64encode(os.urandom(32))),
    )
    return Request("POST", URL, headers, body)


def answered(number: int) -> Outcome:
    names = (b"content-type", b"content-length", b"date", b"server")
    values = (b"text/plain", b"2", b"Fri, 27 Nov 2026 06:00:%02d GMT" % (number // 1000), b"nginx")
    return Outcome(
        Response(200, tuple(zip(names, values, strict=True)), b"ok"), 1.78e9 + number / 1000, 0.0123
    )


async def measure(rounds: int) -> None:
    """Print the figures."""
    producer = Compressed()
    history = History("g.attempts", ("crm",), producer, most_bytes=1 << 30)
    target = Target("crm", (), frozenset(), 7.0, True, kept_success=65_536, kept_failure=65_536)
    log = AttemptLog(target, history.stream("crm"), Metrics().endpoint("crm"))
    events = [event(number) for number in range(ATTEMPTS)]
    requests = [request(sent) for sent in events]
    outcomes = [answered(number) for number in range(ATTEMPTS)]
    keeping, telling, writing = [], [], []
    async with asyncio.TaskGroup() as tasks:
        writers = history.start(tasks)
        for _ in range(rounds):
            began, told_s = time.process_time(), 0.0
            for number, (sent, made, outcome) in enumerate(zip(events, requests, outcomes, strict=True), 1):
                log.record(sent, 1, made, outcome, DELIVERED, 1)
                if not number % TOLD_AT_ONCE:
                    tells = time.process_time()
                    log.write_successes()
                    told_s += time.process_time() - tells
            kept = time.process_time()
            await history.flush()
            keeping.append((kept - began - told_s) / ATTEMPTS * 1e6)
            telling.append(told_s / ATTEMPTS * 1e6)
            writing.append((time.process_time() - kept) / ATTEMPTS * 1e6)
        for writer in writers:
            writer.cancel()
    assert producer.written_bytes, "the history writes nothing, and goes on"
    size = producer.written_bytes / rounds / ATTEMPTS
    body = statistics.mean(len(made.body) for made in requests)
    for name, figures in (("keep", keeping), ("tell", telling), ("write", writing)):
        report(
            f"{name:<6} {min(figures):.2f} µs of CPU per attempt (median {statistics.median(figures):.2f})"
        )
    report(f"body   {body:.0f} bytes, in the topic {size:.0f} bytes per attempt")


def report(text: str) -> None:
    """Print a line of the result; the log has the standard output of the process."""
    print(text, file=sys.stderr)


def main() -> None:
    """Measure as many rounds as the command line has."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    rounds = parser.parse_args().rounds
    set_up("info", "json", open(os.devnull, "w"))  # noqa: SIM115
    gc.set_threshold(20_000)  # as the bridge does
    asyncio.run(measure(rounds))


if __name__ == "__main__":
    main()
