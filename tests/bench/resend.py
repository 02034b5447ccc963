"""A bulk re-send of many events: ``python -m tests.bench.resend [EVENTS]``.

Writes a history of so many delivered attempts to a real Kafka, and runs a job that sends all of them again,
in a process of its own. Prints its pace and its peak of resident memory, which is to be the same for every
number.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time

from confluent_kafka import Producer

from bridge.history.attempt import Attempt
from bridge.history.batch import Writer
from bridge.history.encoding import batch_headers
from bridge.history.selection import AttemptFilter
from bridge.kafka.client import KafkaOptions
from bridge.resend.job_store import Author
from bridge.resend.query import ResendQuery
from bridge.resend.service import GroupTopics, Resending
from tests.support.attempts import attempt_at, encoded, entry_of
from tests.support.kafka import RealKafka

PARTITIONS, AT_ONCE, BODY_BYTES = 4, 90, 800


def topics_of(group: str) -> GroupTopics:
    """Return the topics of a group."""
    return GroupTopics(group, f"{group}.again", f"{group}.attempts", f"{group}.control")


def attempt(number: int) -> Attempt:
    """Return an attempt with a body that does not compress to nothing."""
    body = os.urandom(BODY_BYTES // 2).hex().encode()
    entity = f"e{number % 1000}"
    return attempt_at(
        number / 1000, partition=number % PARTITIONS, offset=number // PARTITIONS, body=body, entity=entity,
        body_bytes=len(body), lane=("orders", number % PARTITIONS, entity.encode(), ""),
    )  # fmt: skip


def write_history(bootstrap: str, topic: str, events: int) -> None:
    """Write the attempts, in records of the size that the bridge writes."""
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "snappy"})
    for at in range(0, events, AT_ONCE):
        attempts = [attempt(number) for number in range(at, min(at + AT_ONCE, events))]
        producer.produce(
            topic, encoded(Writer("p", "crm", at), attempts), b"crm",
            headers=[(name, value) for name, value in batch_headers([*map(entry_of, attempts)])],
        )  # fmt: skip
        producer.poll(0)
    assert producer.flush(60) == 0


async def send(bootstrap: str, group: str) -> None:
    """Run one job, and print its figures."""
    resending = Resending(KafkaOptions((bootstrap,)), topics_of(group), {"crm"}, lambda topic: True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    job = await resending.start(ResendQuery(AttemptFilter(endpoint="crm")), None, Author("bench"))
    began, cpu_s = time.monotonic(), time.process_time()
    job = await resending.run(job.id)
    took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{job.done} of {job.total} events {job.state} in {took_s:.1f} s ({job.done / took_s:,.0f}/s,"
        f" {cpu_s / max(1, job.done) * 1e6:.0f} µs of CPU each); peak of resident memory {peak} MB,"
        f" {before} MB before",
        flush=True,
    )


def main() -> None:
    """Print the figures for a tenth of the events, and for all."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with RealKafka() as kafka:
        for number in (events // 10, events):
            topics = topics_of(f"m{number}")
            for topic in topics[1:]:
                kafka.create_topic(topic, partitions=PARTITIONS)
            write_history(kafka.bootstrap, topics.attempts, number)
            command = [sys.executable, "-m", "tests.bench.resend", "--send", kafka.bootstrap, topics.group]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        asyncio.run(send(sys.argv[2], sys.argv[3]))
    else:
        main()
