"""Parked events can be inspected, redriven in order, or discarded; on real Kafka."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka.admin import NewPartitions

from bridge.dead_letters import store as redriving
from bridge.dead_letters.letter import LetterFilter
from bridge.dead_letters.resend_request import resend_requests
from bridge.dead_letters.store import DeadLetterStore
from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.fineract import Envelope
from bridge.kafka.client import KafkaOptions
from bridge.schemas.folder import read_folder
from tests.support.bridge_process import BridgeProcess
from tests.support.command import hookferry, listed, parked
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish, read_messages
from tests.support.receiver import Receiver
from tests.support.watch import SOON, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
TOKEN = "s3cr3t-bearer-token"
UUID = "abda146d-68b5-48ca-b527-16d2b7c5daef"
LOAN = "org.hookferry.demo.v1.LoanEventDataV1"


def order(entity: str, seq: int, partition: int = 0, **more: Any) -> Raw:
    event = {"id": f"{entity}-{seq}", "type": "OrderPlaced", "entity": entity,
             "payload": {"entity": entity, "seq": seq, **more}}  # fmt: skip
    return Raw(orjson.dumps(event), entity.encode(), (("trace", b"\x00\xff"),), partition)


def setup(
    kafka: RealKafka, receiver: Receiver, group: str, partitions: int = 2, **endpoint: Any
) -> tuple[str, dict[str, Any]]:
    """Return a topic, and the configuration of a bridge whose endpoint requires a token."""
    topic = kafka.fresh_topic(group, partitions=partitions)
    crm = {
        "url": receiver.url("/shop"), "retry": SOON,
        "headers": {"Authorization": f"Bearer {TOKEN}"}, **endpoint,
    }  # fmt: skip
    return topic, quick_config(kafka, topic, {"shop": crm}, group)


def arrivals(receiver: Receiver, entity: str, path: str = "/shop") -> list[tuple[int, int, str]]:
    """Return number, status and webhook-id of an entity's requests, in the order of arrival."""
    return [
        (one["seq"], one["status"], one["webhook_id"])
        for one in receiver.records(path)
        if one["entity"] == entity
    ]


def wait_parked(bridge: BridgeProcess, count: int) -> None:
    wait_until(lambda: bridge.metric("hookferry_parked_total") >= count, f"{count} parked", 40)


def test_four_hundred_refused_events_are_redriven_in_order_among_live_events(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """The receiver refuses events, is fixed, and gets them again while the same entities have new events."""
    topic, made = setup(kafka, receiver, "fixed", partitions=4, concurrency=40, start="latest")
    bridge = bridges(made).start()
    receiver.control("/shop", status=400, body=f"bad token {TOKEN}")
    refused = [order(f"e{n % 40}", n // 40, n % 40 % 4) for n in range(400)]
    publish(kafka, topic, refused)
    wait_parked(bridge, 400)
    wait_settled(kafka, "fixed.shop", topic)
    assert len(listed(bridge)) == 400

    ids = {(one["entity"], one["seq"]): one["webhook_id"] for one in receiver.records("/shop")}
    receiver.reset()
    receiver.control("/shop", delay_ms=150)
    live = [order(f"e{n % 40}", 10 + n // 40, n % 40 % 4) for n in range(400)]
    planned = parked(bridge, "redrive", "--endpoint", "shop", "--dry-run")
    assert "send again: 400 for shop" in planned
    publish(kafka, topic, live)
    assert "400 settled" in parked(bridge, "redrive", "--endpoint", "shop", answer="y\n")
    publish(kafka, topic, [order(f"e{n % 40}", 20 + n // 40, n % 40 % 4) for n in range(400)])
    receiver.wait_for("/shop", accepted=1200)
    wait_settled(kafka, "fixed.shop", topic)
    wait_settled(kafka, "fixed.shop", "fixed.again")

    report = receiver.report("/shop")
    assert (report["accepted"], report["repeats"], report["retries"], report["overlaps"]) == (1200, 0, 0, 0)
    assert report["most_in_flight"] > 1, "without concurrency, nothing can overlap"
    for entity in {f"e{n}" for n in range(40)}:
        sequence = [seq for seq, _, _ in arrivals(receiver, entity)]
        again = [seq for seq in sequence if seq < 10]
        assert again == list(range(10)), "redriven events of an entity overtook each other"
        assert [seq for seq in sequence if seq >= 10] == list(range(10, 30))
        assert max(sequence.index(seq) for seq in again) < sequence.index(29)
        assert {ids[entity, seq] for seq in again} == {
            webhook_id for seq, _, webhook_id in arrivals(receiver, entity) if seq < 10
        }
    assert listed(bridge) == []
    assert {one["state"] for one in listed(bridge, "--all")} == {"redriven"}
    assert kafka.describe_group("fixed.shop")["fixed.again", 0].lag == 0
    wait_settled(kafka, "fixed", "fixed.again")  # the group of the members commits later than the cursor
    assert kafka.describe_group("fixed")["fixed.again", 0].lag == 0


def test_two_redrives_send_an_event_twice_but_a_redrive_repeated_after_a_crash_sends_it_once(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redrive that died before its markers is run again: the bridge drops the duplicate by its id."""
    topic, made = setup(kafka, receiver, "twice")
    receiver.control("/shop", status=404, fail_first=2)
    publish(kafka, topic, [order("a", 0), order("b", 0, 1)])
    bridge = bridges(made).start()
    wait_parked(bridge, 2)

    async def dies(*_: object) -> None:
        raise KeyboardInterrupt

    async def redrive() -> None:
        async with DeadLetterStore(
            KafkaOptions((kafka.bootstrap,)), "twice.parked", "twice.again", "twice.control"
        ) as dead:
            await dead.redrive(resend_requests(await dead.find(LetterFilter(entity="a"))), "ann")

    with monkeypatch.context() as patch:
        patch.setattr(redriving.DeadLetterStore, "_mark", dies)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(redrive())
    receiver.wait_for("/shop", accepted=1)
    assert len(listed(bridge)) == 2, "marked as redriven although the redrive died"
    assert "2 settled" in parked(bridge, "redrive", "--since", "1h", "--yes")
    receiver.wait_for("/shop", accepted=2)
    wait_settled(kafka, "twice.shop", "twice.again")
    assert [status for _, status, _ in arrivals(receiver, "a")] == [404, 200]

    (address,) = (one["address"] for one in listed(bridge, "--all") if one["entity"] == "a")
    assert "1 settled" in parked(bridge, "redrive", address, "--yes")
    receiver.wait_for("/shop", requests=5)
    wait_settled(kafka, "twice.shop", "twice.again")
    assert [status for _, status, _ in arrivals(receiver, "a")] == [404, 200, 200]
    assert len({webhook_id for _, _, webhook_id in arrivals(receiver, "a")}) == 1


def test_a_payload_without_its_schema_is_delivered_after_the_schema_is_added(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, tmp_path: Path
) -> None:
    topic = kafka.fresh_topic("bank", partitions=1)
    folder = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, folder)
    (schema,) = read_folder(SCHEMAS).named(LOAN)
    loan_files = [file for file in folder.rglob("*.avsc") if '"LoanEventDataV1"' in file.read_text()]
    for file in loan_files:
        file.rename(file.with_suffix(".later"))
    fields = dict.fromkeys(one["name"] for one in schema.parsed["fields"])
    loan = fields | {"id": 42, "accountNo": "000000042", "clientName": "Naïve", "principal": Decimal("10"),
                     "currencyCode": "KES", "status": "APPROVED"}  # fmt: skip
    data = encode_single_object(schema.parsed, schema.fingerprint, loan)
    envelope = Envelope(7, "server-1", "LoanApprovedBusinessEvent", "Loan", "2026-06-29T08:15:30.123456",
                        "2026-06-29", "default", UUID, LOAN, data)  # fmt: skip
    publish(kafka, topic, [Raw(encode_envelope(envelope), encode_key(42)), Raw(b"junk", encode_key(43))])
    made = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "bank")
    made["sources"] = {"bank": {"topics": [topic], "format": "fineract", "schemas": str(folder)}}
    bridge = bridges(made).start()
    wait_until(lambda: len(logged(bridge, "event.parked")) == 2, "both are parked")
    (loan_letter, junk) = sorted(listed(bridge), key=lambda one: one["from"]["offset"])
    assert (loan_letter["endpoint"], loan_letter["entity"], loan_letter["tenant"]) == (
        "shop",
        "42",
        "default",
    )
    assert schema.fingerprint.hex() in loan_letter["cause"]
    assert (junk["endpoint"], junk["entity"]) == (None, "43")
    shown = parked(bridge, "show", loan_letter["address"])
    assert f"hex:{encode_envelope(envelope).hex()}" in shown
    assert "none: " in shown
    assert receiver.count("/shop")["requests"] == 0

    for file in loan_files:
        file.with_suffix(".later").rename(file)
    assert bridge.terminate() == 0
    bridge.start()
    assert "2 settled" in parked(bridge, "redrive", "--since", "1h", "--yes")
    receiver.wait_for("/shop", accepted=1)
    wait_settled(kafka, "bank.shop", "bank.again")
    (came,) = receiver.records("/shop")
    assert came["webhook_id"] == UUID
    assert orjson.loads(came["body"])["data"]["accountNo"] == "000000042"
    assert came["body"] in parked(bridge, "show", loan_letter["address"])
    (still,) = listed(bridge)
    assert still["from"] == junk["from"], "what is parked anew names the original place"
    assert still["address"] != junk["address"]


def test_what_is_parked_is_listed_shown_and_discarded(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Filters, a table for people, JSON for machines, everything about one; and no secret anywhere."""
    topic, made = setup(kafka, receiver, "shown")
    receiver.control(
        "/shop", status=422, body=f"no such order; your token was {TOKEN}", entities=["bad", "odd"]
    )
    secretive = order("bad", 0)._replace(headers=(("x-api-key", b"hush-hush"), ("trace", b"\x00\xff")))
    publish(
        kafka, topic, [order("good", 0), secretive, order("odd", 0, 1, note="ß" * 20_000), Raw(b"{", b"bad")]
    )
    bridge = bridges(made).start()
    wait_until(lambda: len(logged(bridge, "event.parked")) == 3, "three are parked")

    table = parked(bridge, "list")
    lines = table.splitlines()
    assert lines[0].split() == ["ADDRESS", "PARKED", "AT", "ENDPOINT", "ENTITY", "TYPE", "TRIES", "WHY"]
    assert sorted(line.split()[2] for line in lines[1:]) == ["*", "shop", "shop"]
    assert len({line.index("status 422") for line in lines if "status 422" in line}) == 1, "not aligned"
    everything = [*listed(bridge)]
    by_entity = {(one["entity"], one["endpoint"]): one for one in everything}
    bad, odd = by_entity["bad", "shop"], by_entity["odd", "shop"]

    def found(*filters: str) -> set[str]:
        return {one["address"] for one in listed(bridge, *filters)}

    assert found("--endpoint", "shop") == {bad["address"], odd["address"]}
    assert found("--endpoint", "*") == {by_entity["bad", None]["address"]}
    assert len(found("--entity", "bad")) == 2
    assert found("--entity", "odd") == {odd["address"]}
    assert found("--type", "Order*") == {bad["address"], odd["address"]}
    assert found("--reason", "NO SUCH") == {bad["address"], odd["address"]}
    assert found("--since", "1h") == {one["address"] for one in everything}
    assert found("--until", "1h") == set()
    assert len(found("--limit", "2")) == 2

    shown = parked(bridge, "show", bad["address"])
    for part in (
        "status 422: no such order; your token was ***", "fix the cause at the receiver",
        "OrderPlaced bad-0",
        f"{topic}-0@1", "trace: hex:00ff", "x-api-key: ***", secretive.value.decode(), bad["webhook_id"],
    ):  # fmt: skip
        assert part in shown, part
    (sent,) = (one for one in receiver.records("/shop") if one["entity"] == "bad")
    assert sent["body"] in shown
    assert "19" in parked(bridge, "show", odd["address"], "--max-bytes", "1000")
    assert "bytes more" in parked(bridge, "show", odd["address"], "--max-bytes", "1000")
    whole = orjson.loads(parked(bridge, "show", odd["address"], "--json", "--max-bytes", "100000"))
    assert orjson.loads(whole["requests"][0])["data"]["note"] == "ß" * 20_000
    assert TOKEN not in table + shown + str(everything) + str(whole)
    assert "hush-hush" not in shown

    refused = hookferry(bridge, "parked", "discard", bad["address"], "--yes")
    assert refused.returncode == 2
    assert "--reason" in refused.stderr
    assert hookferry(bridge, "parked", "redrive", "--yes").returncode == 2, (
        "redrove everything without a filter"
    )
    assert hookferry(bridge, "parked", "redrive", bad["address"], answer="n\n").returncode == 1
    assert hookferry(bridge, "parked", "show", "1:999").stderr.startswith(
        "hookferry: no parked event at 1:999"
    )
    assert "1 settled" in parked(
        bridge, "discard", "--parked-reason", "no such", "--entity", "bad", "--reason", "cancelled", "--yes",
        "--by", "ann",
    )  # fmt: skip
    assert found() == {one["address"] for one in everything} - {bad["address"]}
    assert "discarded" in parked(bridge, "list", "--all")
    assert "by ann cancelled" in parked(bridge, "show", bad["address"])
    wait_settled(kafka, "shown.shop", topic)
    assert receiver.count("/shop")["requests"] == 3, "discarding or refusing sent something"
    with pytest.raises(TimeoutError):
        read_messages(kafka, "shown.again", 1, timeout_s=1)


def test_a_letter_of_a_removed_endpoint_is_not_redriven_and_the_endpoint_is_named(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Covers an endpoint removed everywhere, and one removed only from the bridge: no event is lost."""
    topic, made = setup(kafka, receiver, "gone")
    receiver.control("/shop", status=400)
    publish(kafka, topic, [order("a", 0)])
    bridge = bridges(made).start()
    wait_parked(bridge, 1)
    bridge.terminate()
    without = made | {"endpoints": {"other": made["endpoints"]["shop"] | {"start": "latest"}}}
    other = bridges(without).start()
    done = hookferry(other, "parked", "redrive", "--entity", "a", "--yes")
    assert "cannot be sent again: there is no endpoint 'shop'" in done.stderr
    assert "nothing to send again" in done.stdout
    assert "1 settled" in parked(bridge, "redrive", "--entity", "a", "--yes")
    (rejected,) = wait_until(lambda: logged(other, "record.rejected"), "the bridge parks it again")
    assert "there is no endpoint 'shop' any more" in rejected["cause"]
    (again,) = wait_until(lambda: listed(other), "it is listed again")
    assert (again["endpoint"], again["from"]["topic"], again["from"]["offset"]) == ("shop", topic, 0)


def test_a_bridge_owns_the_same_partition_numbers_of_the_source_and_the_redrive_topic(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """With two pods, then one: redriven and live events of an entity never overlap."""
    topic, made = setup(kafka, receiver, "pods", partitions=5, concurrency=32)
    receiver.control("/shop", status=400)
    publish(kafka, topic, [order(f"e{n % 25}", n // 25, n % 25 % 5) for n in range(150)])
    pair = [bridges(made).start(), bridges(made).start()]
    wait_until(
        lambda: sorted(int(one.metric("hookferry_assigned_partitions")) for one in pair) == [2, 3], "shared"
    )
    wait_until(lambda: len(listed(pair[0])) == 150, "all are parked", 40)
    for one in pair:
        (*_, assigned) = logged(one, "source.assigned")
        numbers = {
            name: {
                int(place.rpartition("-")[2]) for place in assigned["next_offsets"] if place.startswith(name)
            }
            for name in (topic, "pods.again")
        }
        assert numbers[topic] == numbers["pods.again"]

    receiver.reset()
    # 24 s of live events at least: the redrive and the rebalance come in the middle, on a slow machine too
    receiver.control("/shop", delay_ms=600)
    publish(kafka, topic, [order(f"e{n % 25}", 6 + n // 25, n % 25 % 5) for n in range(1000)])
    assert "150 settled" in parked(pair[0], "redrive", "--endpoint", "shop", "--yes")
    assert receiver.count("/shop")["accepted"] < 900, "no live events were left: nothing could overlap"
    receiver.wait_for("/shop", accepted=400)
    assert receiver.count("/shop")["accepted"] < 1150, "the rebalance came too late to prove anything"
    assert pair[1].terminate() == 0
    receiver.control("/shop", delay_ms=50)
    receiver.wait_for("/shop", accepted=1150, timeout_s=60)
    report = receiver.report("/shop")
    assert (report["overlaps"], report["repeats"], report["accepted"]) == (0, 0, 1150)
    for entity in {f"e{n}" for n in range(25)}:
        sequence = [seq for seq, _, _ in arrivals(receiver, entity)]
        assert [seq for seq in sequence if seq < 6] == list(range(6))
        assert [seq for seq in sequence if seq >= 6] == list(range(6, 46))


def test_the_redrive_topic_grows_with_the_source_topics(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, made = setup(kafka, receiver, "grows", partitions=1)
    bridge = bridges(made).start()
    admin = kafka.admin()  # its futures live as long as it does
    (done,) = admin.create_partitions([NewPartitions(topic, 3)]).values()
    done.result(10)
    receiver.control("/shop", status=400, fail_first=1)
    publish(kafka, topic, [order("a", 0, 2)])
    assert bridge.terminate() == 0
    bridge.start()
    wait_parked(bridge, 1)
    assert len(logged(bridge, "topic.grew")) == 1
    assert "1 settled" in parked(bridge, "redrive", "--entity", "a", "--yes")
    receiver.wait_for("/shop", accepted=1)
    wait_settled(kafka, "grows.shop", "grows.again")
