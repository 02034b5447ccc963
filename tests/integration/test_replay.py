"""A replay on real Kafka, with two bridges, live traffic, a kill in the middle, and the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import hookferry
from tests.support.kafka import RealKafka
from tests.support.produce import OutboxEvent, outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import ask, cursors, history, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS = 400
LIVE = 200


def partitions(bridge: BridgeProcess) -> int:
    return int(bridge.metric("hookferry_assigned_partitions")) if ask(bridge, "/healthz")[0] else 0


def shown(bridge: BridgeProcess, *arguments: str) -> dict[str, Any]:
    done = hookferry(bridge, "replay", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def requests(receiver: Receiver, replay: str) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return entity and number of the live requests, and of those of a replay, in the order of arrival."""
    both: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    for record in receiver.records("/shop"):
        data = orjson.loads(record["body"])["data"]
        both[record["headers"]["webhook-id"].startswith(f"replay-{replay}")].append(
            (data["entity"], data["seq"])
        )
    return both


def in_order(sent: list[tuple[str, int]]) -> bool:
    """Return True if no event came for the first time after a later event of its entity."""
    last: dict[str, int] = {}
    for entity, seq in dict.fromkeys(sent):
        if seq < last.get(entity, -1):
            return False
        last[entity] = seq
    return True


def test_a_replay_goes_on_when_a_bridge_is_killed_and_live_events_do_not_wait(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, group = kafka.fresh_topic("replayed", partitions=4), "replayed"
    events: list[OutboxEvent] = list(outbox_events(EVENTS, entities=40, seed=21))
    produce(kafka.bootstrap, topic, events)
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop"), "concurrency": 8}}, group)
    pair = [bridges(config).start(), bridges(config).start()]
    wait_until(lambda: list(map(partitions, pair)) == [2, 2], "two partitions each")
    receiver.wait_for("/shop", accepted=EVENTS)
    wait_settled(kafka, f"{group}.shop", topic)

    counted = shown(pair[0], "start", "-e", "shop", "--from", "1h", "--dry-run")
    assert (counted["events"], counted["events_are"], counted["started"]) == (EVENTS, "exact", False)
    receiver.control("/shop", delay_ms=100)
    plan = shown(pair[0], "start", "-e", "shop", "--from", "1h", "--new-id", "--yes")
    job, replaying = plan["id"], f"{group}.shop.replay-{plan['id']}"
    receiver.wait_for("/shop", accepted=EVENTS + 50)
    later = outbox_events(LIVE, entities=40, seed=22, first_seq=1000)
    produce(kafka.bootstrap, topic, later)
    pair[1].kill()
    done = cursors(kafka, replaying, topic)
    settled = sum(
        row["partition"] in done and done[row["partition"]].settled(offset)
        for row in plan["partitions"]
        for offset in range(row["from"], row["to"])
    )
    uncommitted = len(requests(receiver, job)[1]) - settled
    wait_until(lambda: partitions(pair[0]) == 4, "the other bridge has all partitions")
    wait_until(lambda: shown(pair[0], "show", job)["state"] == "done", "the replay is done")
    receiver.wait_for("/shop", accepted=2 * EVENTS + LIVE)
    wait_settled(kafka, f"{group}.shop", topic)

    live, again = requests(receiver, job)
    assert {(event.entity, event.seq) for event in events} == set(again)
    assert len(set(live)) == EVENTS + LIVE
    assert in_order(again)
    assert in_order(live)
    assert len(again) - EVENTS <= uncommitted, "more was repeated than was not committed at the kill"
    marked = [row for row in history(pair[0]) if row["again_id"] == f"replay-{job}"]
    assert len(marked) >= EVENTS - uncommitted
    wait_until(lambda: not kafka.consumer_groups(replaying), "its offsets are deleted")
    assert logged(pair[0], "replay.ended")
    assert pair[0].terminate() == 0


def test_the_commands_pause_and_end_a_replay_and_move_the_cursor(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, group = kafka.fresh_topic("commanded", partitions=2), "commanded"
    produce(kafka.bootstrap, topic, outbox_events(100, entities=20, seed=23))
    endpoint = {"url": receiver.url("/shop"), "concurrency": 4}
    bridge = bridges(quick_config(kafka, topic, {"shop": endpoint}, group)).start()
    receiver.wait_for("/shop", accepted=100)
    wait_settled(kafka, f"{group}.shop", topic)
    job = shown(bridge, "start", "-e", "shop", "--from", "1h", "--rate", "1", "--new-id", "--yes")["id"]
    receiver.wait_for("/shop", accepted=102)
    assert shown(bridge, "pause", job, "--reason", "too early")["state"] == "paused"
    wait_until(is_quiet(bridge, receiver, job, "paused"), "nothing is sent while it is paused")
    paused_at = receiver.count("/shop")["accepted"]
    assert shown(bridge, "resume", job)["state"] == "running"
    receiver.wait_for("/shop", accepted=paused_at + 2)
    assert shown(bridge, "cancel", job, "--yes")["state"] == "cancelled"
    wait_until(lambda: not kafka.consumer_groups(f"{group}.shop.replay-{job}"), "its offsets are deleted")
    report = receiver.report("/shop")
    assert (report["repeats"], report["retries"]) == (0, 0)

    sent = report["requests"]
    assert sent < 200
    done = moved(bridge, "rewind", "--to", "beginning", "--yes")
    assert (done["events"], done["applied"]) == (100, 2)
    receiver.wait_for("/shop", requests=sent + 100)
    wait_settled(kafka, f"{group}.shop", topic)
    report = receiver.report("/shop")
    assert (report["requests"], report["repeats"], report["overlaps"]) == (sent + 100, 100, 0)

    receiver.control("/shop", status=503)
    produce(kafka.bootstrap, topic, outbox_events(40, entities=20, seed=25, first_seq=500))
    receiver.wait_for("/shop", requests=sent + 101)
    skipped = moved(bridge, "skip-to", "--to", "end", "--yes", "--reason", "test data")
    assert skipped["applied"] == len(skipped["partitions"]) > 0
    wait_settled(kafka, f"{group}.shop", topic)
    accepted = receiver.count("/shop")["accepted"]
    receiver.control("/shop")
    produce(kafka.bootstrap, topic, outbox_events(10, entities=20, seed=26, first_seq=900))
    receiver.wait_for("/shop", accepted=accepted + 10)
    wait_settled(kafka, f"{group}.shop", topic)
    assert receiver.count("/shop")["accepted"] == accepted + 10, "nothing that was skipped is sent"


def is_quiet(bridge: BridgeProcess, receiver: Receiver, job: str, state: str) -> Callable[[], bool]:
    """Return what is True once nothing was sent for as long as a command takes."""

    def check() -> bool:
        before = receiver.count("/shop")["requests"]
        assert shown(bridge, "show", job)["state"] == state
        return receiver.count("/shop")["requests"] == before

    return check


def moved(bridge: BridgeProcess, command: str, *arguments: str) -> dict[str, Any]:
    done = hookferry(bridge, command, "shop", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found
