"""Re-sends on real Kafka: exact bytes, in order among live events, and once per request over kills."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

import orjson

from bridge.core.jobs import Job, JobState
from bridge.kafka.client import KafkaOptions
from bridge.kafka.side_reader import SideReader
from bridge.resend.job_store import JobStore
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.command import answer_of, hookferry, listed
from tests.support.kafka import RealKafka
from tests.support.parked_orders import arrivals, order, topic_and_config
from tests.support.raw_records import publish
from tests.support.receiver import Receiver
from tests.support.watch import read_topic, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
ENTITIES, EACH, LIVE = 20, 75, 15


def answer(bridge: BridgeProcess, *arguments: str, exits: int = 0) -> Any:
    """Return the JSON document that a command prints."""
    done = hookferry(bridge, *arguments, "--output=json")
    assert done.returncode == exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return orjson.loads(done.stdout)


def run_resend(bridge: BridgeProcess, *arguments: str) -> subprocess.Popen[str]:
    """Start ``hookferry resend``, which may be killed."""
    command = [sys.executable, "-m", "bridge", "resend", "-c", str(bridge.file), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_an_attempt_is_sent_again_as_it_was_or_rendered_with_the_same_or_a_new_webhook_id(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, config = topic_and_config(kafka, receiver, "once", partitions=2)
    bridge = bridges(config).start()
    publish(kafka, topic, [order("a", 0), order("b", 0, 1)])
    receiver.wait_for("/shop", accepted=2)
    wait_settled(kafka, "once.shop", topic)
    (first,) = answer(bridge, "history", "--entity=a")
    planned = answer(bridge, "resend", first["id"], "--dry-run")
    assert planned["selected"] == [first["id"]]
    assert receiver.count("/shop")["accepted"] == 2, "a dry run sends nothing"

    done = answer(bridge, "resend", first["id"], "--reason", "asked by phone")
    assert (done["written"], done["delivered"], done["waiting"]) == (1, 1, 0)
    (was, again) = [request for request in receiver.records("/shop") if request["entity"] == "a"]
    assert (again["body"], again["webhook_id"]) == (was["body"], was["webhook_id"])
    found = answer(bridge, "history", "--entity=a")
    assert [row["repeats"] for row in found] == [None, first["id"]]
    assert found[1]["origin"] == f"{topic}-0@0"

    done = answer(bridge, "resend", first["event_id"], "--new-id", "--render")
    assert done["delivered"] == 1
    (*_, third) = [request for request in receiver.records("/shop") if request["entity"] == "a"]
    assert third["body"] == was["body"]
    assert third["webhook_id"] != was["webhook_id"]

    receiver.control("/shop", status=400)
    done = answer(bridge, "resend", found[1]["id"], exits=1)
    assert (done["delivered"], done["parked_again"]) == (0, 1)
    (letter,) = listed(bridge)
    assert letter["webhook_id"] == was["webhook_id"]
    receiver.reset()
    assert "1 delivered" in answer_of(bridge, "parked", "redrive", letter["address"], "--yes")
    (last,) = [request for request in receiver.records("/shop") if request["entity"] == "a"]
    assert (last["body"], last["webhook_id"]) == (was["body"], was["webhook_id"])
    newest = answer(bridge, "history", "--entity=a")[-1]
    assert newest["repeats"] == found[1]["id"], "the letter kept the stored request, and the link"
    assert "no attempt 0:99999:0" in answer_of(bridge, "resend", "0:99999:0", exits=1)
    assert answer(bridge, "jobs", "list", "--all") == []


def test_a_bulk_resend_survives_kills_of_its_runner_and_of_a_bridge_and_writes_each_event_once(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Two bridges; the runner is killed, a bridge too, and the job is paused; live events go on."""
    topic, config = topic_and_config(kafka, receiver, "bulk", partitions=4, concurrency=30)

    def read() -> SideReader:
        return SideReader(KafkaOptions((kafka.bootstrap,)))

    def never(job_id: str) -> NoReturn:
        raise AssertionError(job_id)

    one, two = bridges(config).start(), bridges(config).start()
    events = [order(f"e{n % ENTITIES}", n // ENTITIES, n % ENTITIES % 4) for n in range(ENTITIES * EACH)]
    publish(kafka, topic, events)
    receiver.wait_for("/shop", accepted=len(events))
    wait_settled(kafka, "bulk.shop", topic)
    ids = {(row["entity"], row["seq"]): row["webhook_id"] for row in receiver.records("/shop")}
    receiver.reset()

    planned = answer(one, "resend", "--endpoint=shop", "--verdict=delivered", "--dry-run")
    assert (planned["total"], planned["refused"]) == (len(events), [])
    runner = run_resend(one, "--endpoint=shop", "--verdict=delivered", "--yes", "--rate", "150")

    def job() -> Job | None:
        jobs = asyncio.run(JobStore("bulk.control", read, never).all())
        return jobs[0] if jobs else None

    wait_until(lambda: (now := job()) and now.done > 100, "it has begun")
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    killed = job()
    assert killed is not None
    assert killed.state is JobState.RUNNING
    assert 0 < killed.done < len(events), "the kill came too late to prove anything"
    publish(
        kafka,
        topic,
        [order(f"e{n % ENTITIES}", EACH + n // ENTITIES, n % ENTITIES % 4) for n in range(ENTITIES * LIVE)],
    )

    paused = run_resend(one, "--resume", killed.id)
    wait_until(lambda: (now := job()) and now.done > killed.done, "it goes on")
    two.kill()
    shown = answer(one, "jobs", "pause", killed.id, "--reason", "too fast")
    assert shown["state"] == "paused"
    assert paused.wait(30) == 1, "the runner stops when its job is paused"
    at = job()
    assert at is not None
    assert at.done == shown["done"] < len(events), "a runner that was fenced writes nothing more"
    done = answer(one, "jobs", "resume", killed.id)
    assert (done["state"], done["done"], done["total"]) == ("done", len(events), len(events))

    receiver.wait_for("/shop", accepted=len(events) + ENTITIES * LIVE)
    wait_settled(kafka, "bulk.shop", topic)
    wait_settled(kafka, "bulk.shop", "bulk.again")
    counts: Counter[str] = Counter()
    for entity in {f"e{n}" for n in range(ENTITIES)}:
        got = arrivals(receiver, entity)
        again = list(dict.fromkeys(seq for seq, _, _ in got if seq < EACH))
        assert again == list(range(EACH)), "the events of an entity are in their order"
        assert {ids[entity, seq] for seq in again} == {id for seq, _, id in got if seq < EACH}
        live = list(dict.fromkeys(seq for seq, _, _ in got if seq >= EACH))
        assert live == list(range(EACH, EACH + LIVE))
        counts["extra"] += len(got) - EACH - LIVE
    assert counts["extra"] <= 60, "only what was in flight or not committed when the bridge was killed"
    assert receiver.report("/shop")["overlaps"] == 0
    rows = [row for row in answer(one, "history", "--limit=10000", "--since=1h") if row["repeats"]]
    requests = Counter(row["again_id"] for row in rows if row["verdict"] == "delivered")
    assert len(requests) >= len(events) - 200, "each request is in the history, but for the kill"
    written = read_requests(kafka)
    assert len(written) == len(set(written)) == len(events), "each event was requested exactly once"
    assert one.terminate() == 0


def read_requests(kafka: RealKafka) -> list[str]:
    """Return the ids of the committed requests in the topic."""
    return [
        (value or b"").decode()
        for record in read_topic(kafka.bootstrap, "bulk.again")
        for name, value in record.headers
        if name == "hookferry-again-id"
    ]
