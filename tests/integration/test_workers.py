"""Several workers under one supervisor, with a real broker: shares, deaths, stops, and one admin port."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import ask, cursors, log_ends, logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]
TWO = ("--workers", "2")


def config(kafka: RealKafka, topic: str, receiver: Receiver) -> dict[str, Any]:
    """Return a configuration with a session so long that nothing here waits for its end."""
    endpoint = {"url": receiver.url("/shop"), "concurrency": 16}
    made = quick_config(kafka, topic, {"shop": endpoint}, group=f"g.{topic}")
    made["kafka"]["session_timeout_s"] = 120
    return made


def members(kafka: RealKafka, group: str) -> int:
    """Return how many members the broker counts in a group."""
    admin = kafka.admin()  # its futures end when it is collected
    return len(admin.describe_consumer_groups([group])[group].result(15).members)


def pid_of(bridge: BridgeProcess, worker: int) -> int:
    """Return the process id of the latest process of a worker."""
    return int([line["pid"] for line in logged(bridge, "worker.started") if line["worker"] == worker][-1])


def assigned(bridge: BridgeProcess, worker: int) -> int:
    """Return how often a worker was assigned partitions or none."""
    return sum(line["worker"] == worker for line in logged(bridge, "source.assigned"))


def is_running(pid: int) -> bool:
    """Return True if a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_workers_share_the_partitions_survive_a_kill_and_stop_together(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Nothing is lost and every order is kept when one is killed; it comes back under its old name."""
    topic = kafka.fresh_topic("crew", 4)
    bridge = bridges(config(kafka, topic, receiver), options=TWO).start()
    shared = "worker 1: assigned: 2 partitions; worker 2: assigned: 2 partitions\nworker 1: configuration: "
    wait_until(lambda: ask(bridge, "/readyz")[1].startswith(shared), "each worker has two partitions")
    assert bridge.metric("hookferry_assigned_partitions") == 4
    receiver.control("/shop", delay_ms=5)
    produce(kafka.bootstrap, topic, outbox_events(800, entities=40, seed=1))
    receiver.wait_for("/shop", accepted=200)
    bridge.metrics()
    killed, before = pid_of(bridge, 1), assigned(bridge, 2)
    os.kill(killed, signal.SIGKILL)
    receiver.wait_for("/shop", accepted=800)
    wait_until(lambda: pid_of(bridge, 1) != killed, "the worker is started again")
    bridge.wait_ready()
    (end,) = logged(bridge, "worker.ended")
    assert (end["worker"], end["cause"]) == (1, "it was killed with SIGKILL")
    assert bridge.metric("hookferry_worker_restarts_total", worker="1") == 1
    assert bridge.metric("hookferry_worker_up") == 2
    report = receiver.report("/shop")
    assert report["inversions"] == 0
    assert report["distinct"] == 800
    assert assigned(bridge, 2) == before, "the other worker was disturbed: the first one has another name"
    assert bridge.terminate() == 0
    assert {line["worker"] for line in logged(bridge, "source.left")} == {1, 2}
    assert logged(bridge, "workers.ended")[0]["of_workers"] == [0, 0]


def test_a_worker_that_dies_while_the_file_has_a_mistake_stops_no_other(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The other worker delivers, and the first one comes back once the file is corrected."""
    topic = kafka.fresh_topic("typo", 2)
    made = config(kafka, topic, receiver)
    made["kafka"]["session_timeout_s"] = 6  # the other worker takes the partition over
    bridge = bridges(made, options=TWO).start()
    wait_until(lambda: ask(bridge, "/readyz")[1].count("assigned: 1 partitions") == 2, "each has a partition")
    correct = bridge.file.read_text()
    bridge.file.write_text(correct.replace("concurrency: 16", "concurrency: -16"))
    os.kill(pid_of(bridge, 1), signal.SIGKILL)
    # the mistake itself is no JSON
    wait_until(lambda: "its configuration has a mistake" in bridge.log.read_text(), "it is logged")
    produce(kafka.bootstrap, topic, outbox_events(100, entities=40, seed=3))
    receiver.wait_for("/shop", accepted=100)
    bridge.file.write_text(correct)
    bridge.wait_ready()
    assert bridge.terminate() == 0


def test_workers_end_when_their_supervisor_is_killed(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Each stops in order: it commits what it delivered, and leaves the group."""
    topic = kafka.fresh_topic("orphans", 2)
    bridge = bridges(config(kafka, topic, receiver), options=TWO).start()
    pids = [pid_of(bridge, worker) for worker in (1, 2)]
    produce(kafka.bootstrap, topic, outbox_events(100, entities=40, seed=2))
    receiver.wait_for("/shop", accepted=100)
    assert members(kafka, f"g.{topic}") == 2
    bridge.kill()
    wait_until(lambda: not any(map(is_running, pids)), "both workers end", 60)
    assert members(kafka, f"g.{topic}") == 0, "they did not leave the group"
    committed = cursors(kafka, f"g.{topic}.shop", topic)
    assert {number: cursor.offset for number, cursor in committed.items()} == log_ends(kafka, topic)
