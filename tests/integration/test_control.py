"""Switch endpoints off and on without a restart; list and prune cursors; start an endpoint at an instant."""

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
    all_report,
    ask,
    cursors,
    log_ends,
    logged,
    quick_config,
    wait_settled,
    wait_until,
)

Bridges = Callable[..., BridgeProcess]


def cursor_rows(bridge: BridgeProcess) -> list[dict[str, Any]]:
    """Return the rows of ``cursors list --json``."""
    rows: list[dict[str, Any]] = orjson.loads(answer_of(bridge, "cursors", "list", "--json"))
    return rows


def listed(bridge: BridgeProcess) -> dict[str, list[str]]:
    """Return the words of each line of ``endpoints list``, by the first word."""
    return {
        words[0]: words[1:] for words in map(str.split, answer_of(bridge, "endpoints", "list").splitlines())
    }


def switch_states(kafka: RealKafka, topic: str) -> list[str]:
    """Return the states of all switches that were written to a control topic, oldest first."""
    count = sum(log_ends(kafka, topic).values())
    messages = read_messages(kafka, topic, count)
    return [
        orjson.loads(message.value())["state"]
        for message in messages
        if message.key().startswith(b"endpoint/")  # the others are beginnings and reports of pods
    ]


@pytest.mark.slow
def test_a_410_turns_the_endpoint_off_in_every_pod_until_it_is_turned_on(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """With two pods: the backlog is lag, a restart changes nothing, and later all of it arrives in order."""
    topic, group = kafka.fresh_topic("gone", partitions=4), "gone"
    endpoints = {
        "gone": {"url": receiver.url("/gone"), "window": 50, "retry": SOON | {"max_attempts": 2}},
        "well": {"url": receiver.url("/well")},
    }
    config = quick_config(kafka, topic, endpoints, group)
    pods = [bridges(config).start(), bridges(config).start()]
    wait_until(lambda: all_report(pods, "assigned: 2 partitions"), "both pods have partitions")
    produce(kafka.bootstrap, topic, outbox_events(200, entities=40, seed=41))
    receiver.wait_for("/gone", accepted=200)
    wait_settled(kafka, "gone.gone", topic)

    receiver.control("/gone", status=410, body="no such hook")
    produce(kafka.bootstrap, topic, outbox_events(600, entities=40, seed=42, first_seq=1000))
    wait_until(lambda: all_report(pods, "; off: gone"), "both pods report that it is off")
    receiver.wait_for("/well", accepted=800)
    refused = receiver.count("/gone")["requests"] - 200
    assert 0 < refused <= 128, "more requests than the two pods had in flight"
    for pod in pods:
        assert len(logged(pod, "endpoint.turned_off")) == 1
        assert pod.metric("hookferry_endpoint_on", endpoint="gone") == 0
        assert pod.metric("hookferry_endpoint_on", endpoint="well") == 1
        assert pod.metric("hookferry_parked_total") == 0
    (line,) = logged(pods[0], "endpoint.turned_off")
    assert line["reason"] == "status 410: the endpoint is gone: no such hook"
    assert line["remedy"].endswith("hookferry endpoints on gone")
    rows = listed(pods[0])
    assert rows["gone"][:2] == ["off", "600"]
    assert " ".join(rows["gone"]).endswith("410: the endpoint is gone: no such hook")
    wait_until(lambda: listed(pods[0])["well"][:2] == ["on", "0"], "the other endpoint has no lag")

    assert pods[0].terminate() == 0
    pods[1].kill()
    receiver.control("/gone")
    for pod in pods:
        pod.start()
    wait_until(lambda: all_report(pods, "; off: gone"), "it is off after a restart")
    produce(kafka.bootstrap, topic, outbox_events(100, entities=40, seed=43, first_seq=2000))
    receiver.wait_for("/well", accepted=900)
    assert receiver.count("/gone")["requests"] == 200 + refused

    answer_of(pods[1], "endpoints", "on", "gone")
    # within a second on an idle machine; a loaded one only has to be faster than a restart or a timeout
    wait_until(lambda: all_report(pods, "partitions\n"), "both pods report that it is on", 15)
    receiver.wait_for("/gone", accepted=900)
    wait_settled(kafka, "gone.gone", topic)
    report = receiver.report("/gone")
    assert (report["accepted"], report["inversions"], report["overlaps"]) == (900, 0, 0)
    assert report["repeats"] == 0, "an accepted event was sent again"
    for pod in pods:
        assert len(logged(pod, "endpoint.turned_on")) == 1
        assert pod.metric("hookferry_endpoint_on", endpoint="gone") == 1


def test_an_operator_turns_an_endpoint_off_and_on(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The commands also work before the first start. The switches are in one compacted topic."""
    topic, group = kafka.fresh_topic("switched", partitions=1), "switched"
    produce(kafka.bootstrap, topic, outbox_events(20, entities=3, seed=51))
    bridge = bridges(quick_config(kafka, topic, {"crm": {"url": receiver.url("/crm")}}, group))
    bridge.start(wait=False).kill()  # writes its file
    assert listed(bridge)["crm"][:2] == ["on", "-"], "no cursor yet"
    output = answer_of(bridge, "endpoints", "off", "crm", "--reason", "moving house")
    assert output == "crm is off; every running bridge applies this within a second\n"

    bridge.start()
    wait_until(lambda: ask(bridge, "/readyz") == (200, "assigned: 1 partitions; off: crm\n"), "it is off")
    wait_until(lambda: cursors(kafka, "switched.crm", topic), "its cursor is committed")
    row = wait_until(
        lambda: (words := " ".join(listed(bridge)["crm"])).startswith("off 20 ") and words, "a lag of 20"
    )
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
    wait_until(lambda: switch_states(kafka, "switched.control") == ["off", "off", "on"], "all are written")
    settings = kafka.topic_config("switched.control")
    assert settings["cleanup.policy"] == "compact"


def test_nothing_is_sent_before_all_switches_are_read(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """A long topic is read to its end first; only the last state of each endpoint is logged."""
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
    wait_until(lambda: all_report([bridge], "; off: crm"), "it is off")
    assert receiver.count("/crm")["requests"] == 0
    assert [line["reason"] for line in logged(bridge, "endpoint.turned_off")] == ["the last word"]
    assert not logged(bridge, "endpoint.turned_on")


def test_invalid_control_records_and_a_topic_without_compaction_are_logged(
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
    wait_until(lambda: ask(bridge, "/readyz")[1] == "assigned: 1 partitions; off: crm\n", "it is off")
    (ignored,) = wait_until(lambda: logged(bridge, "control.ignored"), "the invalid record is logged")
    assert (ignored["place"], ignored["endpoint"]) == ("odd.control-0@1", "crm")
    (not_compacted,) = wait_until(lambda: logged(bridge, "topic.not_compacted"), "the policy is logged")
    assert "cleanup.policy=compact" in not_compacted["remedy"]
    publish(kafka, "odd.control", [Raw(None, b"endpoint/crm")])
    wait_until(lambda: all_report([bridge], "assigned: 1 partitions\n"), "a tombstone resets the switch")


@pytest.mark.slow
def test_a_switch_made_during_a_broker_outage_is_written_after_it(
    receiver: Receiver, bridges: Bridges
) -> None:
    """During the outage the pod already obeys the switch."""
    with RealKafka() as own:
        topic = own.create_topic("away", 1)
        endpoint = {"url": receiver.url("/crm"), "retry": SOON, "timeout_s": 3}
        config = quick_config(own, topic, {"crm": endpoint}, "away")
        config["kafka"] |= {"session_timeout_s": 30}
        bridge = bridges(config).start()
        receiver.control("/crm", status=410, delay_ms=2000)
        produce(own.bootstrap, topic, outbox_events(5, entities=1, seed=61))
        receiver.wait_for("/crm", requests=1)
        own.kill()
        wait_until(lambda: logged(bridge, "endpoint.turned_off"), "the pod turned it off")
        wait_until(lambda: logged(bridge, "control.failed"), "the failed write is logged")
        own.start()
        wait_until(lambda: switch_states(own, "away.control") == ["off"], "the switch is written", 40)
        assert receiver.count("/crm")["requests"] == 1
        bridge.kill()


@pytest.mark.slow
def test_cursors_are_listed_with_their_open_events_and_unused_ones_are_pruned(
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

    def retried() -> list[dict[str, Any]]:
        rows = [
            row
            for row in cursor_rows(bridge)
            if (row["endpoint"], row["topic"], row["partition"]) == ("crm", topic, 0)
        ]
        if not rows or not rows[0]["retries"] or rows[0]["settled_beyond"] < 2:
            return []
        return rows if rows[0]["retries"][0]["attempts"] > 2 else []

    (row,) = wait_until(retried, "the retry is listed")
    (retry,) = row.pop("retries")
    assert retry["offset"] == 1
    assert retry["first_failed"].startswith(str(datetime.now(UTC).year))
    assert row.pop("oldest").startswith(str(datetime.now(UTC).year))
    assert row == {
        "endpoint": "crm", "topic": topic, "partition": 0, "configured": True, "committed": 1,
        "log_end": 4, "lag": 1, "lag_is": "exact", "offsets": 3, "settled_beyond": 2, "in_transactions": 0,
        "problem": "",
    }  # fmt: skip
    answer_of(bridge, "endpoints", "off", "old")
    answer_of(bridge, "events", "off", "*", "--endpoint", "old", "--yes")
    assert bridge.terminate() == 0

    assert answer_of(bridge, "cursors", "prune", "--yes").startswith("nothing to delete:")
    del bridge.config["endpoints"]["old"]
    del bridge.config["endpoints"]["older"]
    bridge.start()
    names = {row["endpoint"]: row["configured"] for row in cursor_rows(bridge)}
    assert names == {"crm": True, "old": False, "older": False}, "a cursor of another bridge is listed"
    shown = answer_of(bridge, "cursors", "list")
    assert "1 (" in shown
    assert "not configured" in shown
    assert "old (not configured)" in answer_of(bridge, "events", "list")

    refused = answer_of(bridge, "cursors", "prune", "crm", "--yes", exits=2)
    assert "its cursors are in use" in refused
    assert 'did you mean "older"?' in answer_of(bridge, "cursors", "prune", "oldr", "--yes", exits=2)
    assert "Delete these offsets?" in answer_of(bridge, "cursors", "prune", exits=1, typed="n\n")
    assert cursors(kafka, "looked.old", topic)
    assert "\ndeleted looked.older\n" in answer_of(bridge, "cursors", "prune", "older", typed="y\n")
    assert cursors(kafka, "looked.old", topic)
    output = answer_of(bridge, "cursors", "prune", "--yes").splitlines()
    assert output[0].startswith(f"looked.old: {topic}-0 at 4, {topic}-1 at 0, looked.again-0 at 0")
    assert output[1:] == ["deleted looked.old"]
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
    receiver.wait_for("/again", accepted=4)  # from the start, and on: pruning deletes the switches too
    other.kill()


def test_a_new_endpoint_starts_at_an_instant(kafka: RealKafka, receiver: Receiver, bridges: Bridges) -> None:
    """It starts at the first record at or after the instant; after a restart only its cursor counts."""
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
    assert {request["seq"] >= 1000 for request in receiver.records("/since")} == {True}
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
