"""Re-sends on real Kafka: exact bytes, in order among live events, and once per request over kills."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from bridge.core.jobs import Job, JobState
from bridge.kafka.client import KafkaOptions
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition
from bridge.resend.job_store import Author
from bridge.resend.service import GroupTopics, Resending
from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of, hookferry, listed
from tests.support.forked import BridgeCommand
from tests.support.kafka import RealKafka
from tests.support.parked_orders import arrivals, order, topic_and_config
from tests.support.raw_records import publish
from tests.support.receiver import Receiver
from tests.support.watch import cursors, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
ENTITIES, EACH, LIVE, CONCURRENCY = 20, 70, 10, 30
MARKERS = 40
"""More than all transactions here: each has an offset, which a committed offset counts as well."""


def answer(bridge: BridgeProcess, *arguments: str, exits: int = 0) -> Any:
    """Return the JSON document that a command prints."""
    done = hookferry(bridge, *arguments, "--output=json")
    assert done.returncode == exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return orjson.loads(done.stdout)


def run_command(bridge: BridgeProcess, name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a command that may be killed."""
    words = [name, "-c", str(bridge.file), *arguments]
    return BridgeCommand(words, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_an_attempt_is_sent_again_as_it_was_or_rendered_with_the_same_or_a_new_webhook_id(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, config = topic_and_config(kafka, receiver, "resent", partitions=2)
    bridge = bridges(config).start()
    publish(kafka, topic, [order("a", 0), order("b", 0, 1)])
    receiver.wait_for("/shop", accepted=2)
    wait_settled(kafka, "resent.shop", topic)
    (first,) = answer(bridge, "history", "--entity=a")
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

    listener = run_command(
        bridge, "listen", "--endpoint=shop", "--since=1h", "--forward", receiver.url("/dev")
    )
    receiver.wait_for("/dev", requests=6)
    listener.send_signal(signal.SIGINT)
    shown, _ = listener.communicate(timeout=30)
    assert listener.returncode == 0, shown
    assert "Traceback" not in shown
    assert shown.count("forwarded: status 200") == 6
    bodies = [request["body"] for request in receiver.records("/dev") if request["entity"] == "a"]
    assert bodies == [was["body"]] * 5


def test_a_bulk_resend_survives_kills_of_its_runner_and_of_a_bridge_and_writes_each_event_once(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Two bridges; the runner is killed, a bridge too, and the job is paused; live events go on."""
    topic, config = topic_and_config(kafka, receiver, "resent-all", partitions=4, concurrency=CONCURRENCY)

    options = KafkaOptions((kafka.bootstrap,))
    group = GroupTopics("resent-all", "resent-all.again", "resent-all.attempts", "resent-all.control")
    store = Resending(options, group, {"shop"}, lambda topic: True).store

    one, two = bridges(config).start(), bridges(config).start()
    events = [order(f"e{n % ENTITIES}", n // ENTITIES, n % ENTITIES % 4) for n in range(ENTITIES * EACH)]
    publish(kafka, topic, events)
    receiver.wait_for("/shop", accepted=len(events))
    wait_settled(kafka, "resent-all.shop", topic)
    ids = {(row["entity"], row["seq"]): row["webhook_id"] for row in receiver.records("/shop")}
    receiver.reset()

    planned = answer(one, "resend", "--endpoint=shop", "--verdict=delivered", "--dry-run")
    assert (planned["total"], planned["refused"]) == (len(events), [])
    runner = run_command(one, "resend", "--endpoint=shop", "--verdict=delivered", "--yes", "--rate", "250")

    def job() -> Job | None:
        jobs = asyncio.run(store.all())
        return jobs[0] if jobs else None

    wait_until(lambda: (now := job()) and now.done > 100, "it has begun")
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    killed = job()
    assert killed is not None
    assert killed.state is JobState.RUNNING
    assert 0 < killed.done < len(events), "the kill came too late to prove anything"
    publish(
        kafka,
        topic,
        [order(f"e{n % ENTITIES}", EACH + n // ENTITIES, n % ENTITIES % 4) for n in range(ENTITIES * LIVE)],
    )

    resumed = run_command(one, "resend", "--resume", killed.id)
    wait_until(lambda: (now := job()) and now.done > killed.done, "it goes on")
    two.kill()
    done_at_the_kill = cursors(kafka, "resent-all.shop", "resent-all.again")
    arrived = Counter(int(row["entity"][1:]) % 4 for row in receiver.records("/shop") if row["seq"] < EACH)
    uncommitted = sum(
        max(0, number - (done_at_the_kill[partition].offset if partition in done_at_the_kill else 0))
        for partition, number in arrived.items()
    )
    paused = asyncio.run(store.change(killed.id, JobState.PAUSED, Author("ann", "too fast")))
    assert paused.state is JobState.PAUSED
    shown, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == 1, f"the runner stops when its job is paused: {shown}"
    at = job()
    assert at is not None
    assert at.done == paused.done < len(events), "a runner that was fenced writes nothing more"
    done = answer(one, "jobs", "resume", killed.id)
    assert (done["state"], done["done"], done["total"]) == ("done", len(events), len(events))

    receiver.wait_for("/shop", accepted=len(events) + ENTITIES * LIVE)
    wait_settled(kafka, "resent-all.shop", topic)
    wait_settled(kafka, "resent-all.shop", "resent-all.again")
    counts: Counter[str] = Counter()
    for entity in {f"e{n}" for n in range(ENTITIES)}:
        got = arrivals(receiver, entity)
        again = list(dict.fromkeys(seq for seq, _, _ in got if seq < EACH))
        assert again == list(range(EACH)), "the events of an entity are in their order"
        assert {ids[entity, seq] for seq in again} == {id for seq, _, id in got if seq < EACH}
        live = list(dict.fromkeys(seq for seq, _, _ in got if seq >= EACH))
        assert live == list(range(EACH, EACH + LIVE))
        counts["extra"] += len(got) - EACH - LIVE
    most = uncommitted + 2 * CONCURRENCY + MARKERS
    assert counts["extra"] <= most, "only what was in flight or not committed when the bridge was killed"
    assert receiver.report("/shop")["overlaps"] == 0
    rows = [row for row in answer(one, "history", "--limit=10000", "--since=1h") if row["repeats"]]
    requests = Counter(row["again_id"] for row in rows if row["verdict"] == "delivered")
    assert len(requests) >= len(events) - 200, "each request is in the history, but for the kill"
    written = asyncio.run(read_requests(options, "resent-all.again"))
    assert len(written) == len(set(written)) == len(events), "each event was requested exactly once"
    assert one.terminate() == 0


async def read_requests(options: KafkaOptions, topic: str) -> list[str]:
    """Return the ids of the committed requests in a topic."""
    places = [Partition(topic, number) for number in range(4)]
    async with SideReader(options) as reader:
        begins, ends = await reader.begins(places), await reader.ends(places)
        return [
            (record.last_header("hookferry-again-id") or b"").decode()
            for place in places
            async for records in reader.stretch(place, begins[place], ends[place])
            for record in records
        ]
