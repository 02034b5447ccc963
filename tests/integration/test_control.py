"""Endpoints that go off and on without a restart, cursors that can be looked at, and where one begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.raw_records import Raw, publish, read_messages
from tests.support.receiver import Receiver
from tests.support.watch import (
    SOON,
    all_say,
    ask,
    cursors,
    logged,
    quick_config,
    wait_settled,
    wait_until,
)

Bridges = Callable[..., BridgeProcess]


def looked(bridge: BridgeProcess) -> list[dict[str, Any]]:
    """``cursors list --json``."""
    rows: list[dict[str, Any]] = orjson.loads(answer_of(bridge, "cursors", "list", "--json"))
    return rows


def listed(bridge: BridgeProcess) -> dict[str, list[str]]:
    """The words of each line of ``endpoints list``, by the first."""
    return {
        words[0]: words[1:] for words in map(str.split, answer_of(bridge, "endpoints", "list").splitlines())
    }


@pytest.mark.slow
def test_a_410_turns_the_endpoint_off_in_every_pod_until_it_is_turned_on(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Two pods; what waits is plain lag, a restart changes nothing, and then all of it comes in order."""
    topic, group = kafka.fresh_topic("gone", partitions=4), "gone"
    endpoints = {
        "gone": {"url": receiver.url("/gone"), "window": 50, "retry": SOON | {"max_attempts": 2}},
        "well": {"url": receiver.url("/well")},
    }
    config = quick_config(kafka, topic, endpoints, group)
    pods = [bridges(config).start(), bridges(config).start()]
    wait_until(lambda: all_say(pods, "assigned: 2 partitions"), "both have their part")
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=41))
    receiver.wait_for("/gone", accepted=200)
    wait_settled(kafka, "gone.gone", topic)

    receiver.control("/gone", status=410, body="no such hook")
    produce(kafka.bootstrap, topic, outbox_events(600, entities=40, seed=42, first_seq=1000))
    wait_until(lambda: all_say(pods, "; off: gone"), "both pods say that it is off")
    receiver.wait_for("/well", accepted=800)
    refused = receiver.count("/gone")["requests"] - 200
    assert 0 < refused <= 128, "no more than what was in flight in the two pods"
    for pod in pods:
        assert len(logged(pod, "endpoint.turned_off")) == 1
        assert pod.metric("hookferry_endpoint_on", endpoint="gone") == 0
        assert pod.metric("hookferry_endpoint_on", endpoint="well") == 1
        assert pod.metric("hookferry_parked_total") == 0
    (said,) = logged(pods[0], "endpoint.turned_off")
    assert said["reason"] == "status 410: the endpoint is gone: no such hook"
    assert said["remedy"].endswith("hookferry endpoints on gone")
    rows = listed(pods[0])
    assert rows["gone"][:2] == ["off", "600"]
    assert " ".join(rows["gone"]).endswith("410: the endpoint is gone: no such hook")
    wait_until(lambda: listed(pods[0])["well"][:2] == ["on", "0"], "the other one has no lag")

    assert pods[0].terminate() == 0
    pods[1].kill()
    receiver.control("/gone")
    for pod in pods:
        pod.start()
    wait_until(lambda: all_say(pods, "; off: gone"), "it is off after a restart")
    produce(kafka.bootstrap, topic, outbox_events(100, entities=40, seed=43, first_seq=2000))
    receiver.wait_for("/well", accepted=900)
    assert receiver.count("/gone")["requests"] == 200 + refused

    answer_of(pods[1], "endpoints", "on", "gone")
    told_at = time.monotonic()  # the command's own start is not what is promised
    wait_until(lambda: all_say(pods, "partitions\n"), "both pods have it on")
    assert time.monotonic() - told_at < 3, "a second, and the time to ask them"
    receiver.wait_for("/gone", accepted=900)
    wait_settled(kafka, "gone.gone", topic)
    report = receiver.report("/gone")
    assert (report["accepted"], report["inversions"], report["overlaps"]) == (900, 0, 0)
    assert report["repeats"] == 0, "the 410s were refusals: nothing that was taken came twice"
    for pod in pods:
        assert len(logged(pod, "endpoint.turned_on")) == 1
        assert pod.metric("hookferry_endpoint_on", endpoint="gone") == 1


def test_an_operator_turns_an_endpoint_off_and_on(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Reply before the bridge ever ran, too; what was switched stands in one compacted topic."""
    topic, group = kafka.fresh_topic("switched", partitions=1), "switched"
    produce(kafka.bootstrap, topic, outbox_events(20, entities=3, seed=51))
    bridge = bridges(quick_config(kafka, topic, {"crm": {"url": receiver.url("/crm")}}, group))
    bridge.start(wait=False).kill()  # writes its file
    assert listed(bridge)["crm"][:2] == ["on", "-"], "no place yet"
    said = answer_of(bridge, "endpoints", "off", "crm", "--reason", "moving house")
    assert said == "crm is off; every running bridge applies this within a second\n"

    bridge.start()
    assert ask(bridge, "/readyz") == (200, "assigned: 1 partitions; off: crm\n")
    wait_until(lambda: cursors(kafka, "switched.crm", topic), "its place is kept")
    row = " ".join(listed(bridge)["crm"])
    assert row.startswith("off 20 20")
    assert row.endswith("moving house")
    assert answer_of(bridge, "endpoints", "off", "crm").startswith("crm is off (it was already)")
    assert answer_of(bridge, "endpoints", "on", "crmm", exits=2) == (
        f'{bridge.file} has no endpoint "crmm"; did you mean "crm"?\n'
    )
    assert receiver.count("/crm")["requests"] == 0

    answer_of(bridge, "endpoints", "on", "crm")
    receiver.wait_for("/crm", accepted=20)
    assert receiver.report("/crm")["inversions"] == 0
    assert len(logged(bridge, "endpoint.turned_off")) == len(logged(bridge, "endpoint.turned_on")) == 1
    values = [orjson.loads(one.value()) for one in read_messages(kafka, "switched.control", 3)]
    assert [one["state"] for one in values] == ["off", "off", "on"]
    settings = kafka.topic_config("switched.control")
    assert settings["cleanup.policy"] == "compact"


def test_nothing_is_sent_before_it_is_known_what_is_off(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """A long topic is read to its end first; of its history only the last word is logged."""
    topic, group = kafka.fresh_topic("known", partitions=1), "known"
    kafka.create_topic("known.control", 1, cleanup_policy="compact")
    on, off = b'{"state": "on"}', b'{"state": "off", "reason": "the last word"}'
    records = [Raw(value, b"endpoint/crm") for value in (off, on) * 5]
    records += [Raw(on, b"endpoint/%d" % number) for number in range(50_000)]
    publish(kafka, "known.control", [*records, Raw(off, b"endpoint/crm")])
    produce(kafka.bootstrap, topic, outbox_events(20, entities=3, seed=55))
    endpoints = {"crm": {"url": receiver.url("/crm")}, "well": {"url": receiver.url("/well")}}
    bridge = bridges(quick_config(kafka, topic, endpoints, group)).start()
    wait_settled(kafka, "known.well", topic)
    wait_until(lambda: all_say([bridge], "; off: crm"), "it is off")
    assert receiver.count("/crm")["requests"] == 0
    assert [line["reason"] for line in logged(bridge, "endpoint.turned_off")] == ["the last word"]
    assert not logged(bridge, "endpoint.turned_on")


def test_a_record_that_says_nothing_is_ignored_loudly_and_a_topic_that_forgets_is_told_of(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, group = kafka.fresh_topic("odd", partitions=1), "odd"
    kafka.create_topic("odd.control", 3, cleanup_policy="delete")
    off = b'{"state": "off", "since": "2026-01-01T00:00:00Z", "by": "me", "reason": "x", "later": 1}'
    records = [
        Raw(off, b"endpoint/crm"), Raw(b"{", b"endpoint/crm"), Raw(b"{}", b"type/LoanPaid"),
        Raw(off, None), Raw(off, b"endpoint/removed"),
    ]  # fmt: skip
    publish(kafka, "odd.control", records)
    bridge = bridges(quick_config(kafka, topic, {"crm": {"url": receiver.url("/crm")}}, group)).start()
    assert ask(bridge, "/readyz")[1] == "assigned: 1 partitions; off: crm\n"
    (ignored,) = logged(bridge, "control.ignored")
    assert (ignored["place"], ignored["endpoint"]) == ("odd.control-0@1", "crm")
    (forgets,) = logged(bridge, "topic.not_compacted")
    assert "cleanup.policy=compact" in forgets["remedy"]
    publish(kafka, "odd.control", [Raw(None, b"endpoint/crm")])
    wait_until(lambda: all_say([bridge], "assigned: 1 partitions\n"), "a tombstone: never switched")


@pytest.mark.slow
def test_a_switch_thrown_while_the_broker_is_away_is_written_when_it_is_back(
    receiver: Receiver, bridges: Bridges
) -> None:
    """Meanwhile the pod holds to it."""
    with RealKafka() as own:
        topic = own.create_topic("away", 1)
        endpoint = {"url": receiver.url("/crm"), "retry": SOON, "timeout_s": 3}
        made = quick_config(own, topic, {"crm": endpoint}, "away")
        made["kafka"] |= {"session_timeout_s": 30}
        bridge = bridges(made).start()
        receiver.control("/crm", status=410, delay_ms=2000)
        produce(own.bootstrap, topic, outbox_events(5, entities=1, seed=61))
        receiver.wait_for("/crm", requests=1)
        own.kill()
        wait_until(lambda: logged(bridge, "endpoint.turned_off"), "it is off here")
        wait_until(lambda: logged(bridge, "control.failed"), "that it is not written is said")
        own.start()
        (written,) = read_messages(own, "away.control", 1, timeout_s=40)
        assert orjson.loads(written.value())["state"] == "off"
        assert receiver.count("/crm")["requests"] == 1
        bridge.kill()


@pytest.mark.slow
def test_cursors_are_shown_with_what_is_open_and_left_over_ones_are_pruned(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, group = kafka.fresh_topic("looked", partitions=2), "looked"
    receiver.control("/crm", status=503, fail_first=10_000, entities=["bad"])
    records = [Raw(_order(name, 0), name.encode(), partition=0) for name in ("a", "bad", "b", "c")]
    publish(kafka, topic, records)
    endpoints = {
        "crm": {"url": receiver.url("/crm"), "retry": {"base_s": 0.05, "cap_s": 0.1, "max_attempts": 1000}},
        "old": {"url": receiver.url("/old")},
        "older": {"url": receiver.url("/older")},
    }
    bridge = bridges(quick_config(kafka, topic, endpoints, group)).start()
    other = bridges(
        quick_config(kafka, topic, {"crm": {"url": receiver.url("/other")}}, f"{group}.other")
    ).start()
    wait_settled(kafka, "looked.old", topic)
    wait_settled(kafka, "looked.older", topic)
    wait_settled(kafka, "looked.other.crm", topic)

    def tried() -> list[dict[str, Any]]:
        rows = [
            one
            for one in looked(bridge)
            if (one["endpoint"], one["topic"], one["partition"]) == ("crm", topic, 0)
        ]
        if not rows or not rows[0]["retries"] or rows[0]["settled_beyond"] < 2:
            return []
        return rows if rows[0]["retries"][0]["attempts"] > 2 else []

    (row,) = wait_until(tried, "the retry is shown")
    (retry,) = row.pop("retries")
    assert retry["offset"] == 1
    assert retry["first_failed"].startswith(str(datetime.now(UTC).year))
    assert row == {
        "endpoint": "crm", "topic": topic, "partition": 0, "configured": True, "committed": 1,
        "log_end": 4, "lag": 3, "settled_beyond": 2, "problem": "",
    }  # fmt: skip
    answer_of(bridge, "endpoints", "off", "old")
    answer_of(bridge, "events", "off", "*", "--endpoint", "old")
    assert bridge.terminate() == 0

    assert answer_of(bridge, "cursors", "prune", "--yes").startswith("nothing to delete:")
    del bridge.config["endpoints"]["old"]
    del bridge.config["endpoints"]["older"]
    bridge.start()
    names = {one["endpoint"]: one["configured"] for one in looked(bridge)}
    assert names == {"crm": True, "old": False, "older": False}, "nothing of the other bridge"
    shown = answer_of(bridge, "cursors", "list")
    assert "1 (" in shown
    assert "not configured" in shown
    assert "old (not configured)" in answer_of(bridge, "events", "list")

    refused = answer_of(bridge, "cursors", "prune", "crm", "--yes", exits=2)
    assert "its cursors are in use" in refused
    assert 'did you mean "older"?' in answer_of(bridge, "cursors", "prune", "oldr", "--yes", exits=2)
    assert "Delete these offsets?" in answer_of(bridge, "cursors", "prune", exits=1, typed="n\n")
    assert cursors(kafka, "looked.old", topic)
    assert answer_of(bridge, "cursors", "prune", "older", typed="y\n").endswith("deleted looked.older\n")
    assert cursors(kafka, "looked.old", topic)
    said = answer_of(bridge, "cursors", "prune", "--yes").splitlines()
    assert said[0].startswith(f"looked.old: {topic}-0 at 4, {topic}-1 at 0, looked.again-0 at 0")
    assert said[1:] == ["deleted looked.old"]
    assert not cursors(kafka, "looked.old", topic)
    assert not cursors(kafka, "looked.older", topic)
    assert cursors(kafka, "looked.crm", topic)
    assert cursors(kafka, "looked.other.crm", topic)
    assert all(kafka.consumer_groups(name) for name in ("looked", "looked.other"))

    bridge.config["endpoints"]["old"] = {
        "url": receiver.url("/again"), "allow_http": True, "start": "earliest",
    }  # fmt: skip
    assert bridge.terminate() == 0
    bridge.start()
    receiver.wait_for("/again", accepted=4)  # anew, and on: its switches went with its cursors
    other.kill()


def test_a_new_endpoint_begins_at_an_instant(kafka: RealKafka, receiver: Receiver, bridges: Bridges) -> None:
    """The first record at or after it in each partition; after that its place counts, not the instant."""
    topic, group = kafka.fresh_topic("since", partitions=2), "since"
    produce(kafka.bootstrap, topic, outbox_events(50, entities=10, seed=71))
    time.sleep(0.02)
    instant = datetime.now(UTC).isoformat(timespec="milliseconds")
    time.sleep(0.02)
    produce(kafka.bootstrap, topic, outbox_events(30, entities=10, seed=72, first_seq=1000))
    endpoints = {
        "all": {"url": receiver.url("/all")},
        "since": {"url": receiver.url("/since"), "start": instant},
        "future": {"url": receiver.url("/future"), "start": "2099-01-01T00:00:00Z"},
    }
    bridge = bridges(quick_config(kafka, topic, endpoints, group)).start()
    receiver.wait_for("/all", accepted=80)
    receiver.wait_for("/since", accepted=30)
    wait_settled(kafka, "since.since", topic)
    assert {one["seq"] >= 1000 for one in receiver.records("/since")} == {True}
    wait_settled(kafka, "since.future", topic)  # an instant in the future begins at the end of the log
    assert receiver.count("/future")["requests"] == 0
    assert bridge.terminate() == 0
    bridge.start()
    produce(kafka.bootstrap, topic, outbox_events(10, entities=10, seed=73, first_seq=2000))
    receiver.wait_for("/since", accepted=40)
    assert receiver.report("/since")["repeats"] == 0


def _order(entity: str, seq: int) -> bytes:
    return orjson.dumps(
        {"id": f"{entity}-{seq}", "type": "OrderPlaced", "entity": entity,
         "payload": {"entity": entity, "seq": seq}}
    )  # fmt: skip
