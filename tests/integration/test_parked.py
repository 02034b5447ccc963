"""Parked events are listed, shown and discarded, and redriven after a schema was added; on real Kafka."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.fineract import Envelope
from bridge.schemas.folder import read_folder
from tests.support.bridge_process import BridgeProcess
from tests.support.command import hookferry, listed, parked
from tests.support.kafka import RealKafka
from tests.support.parked_orders import TOKEN, order, topic_and_config
from tests.support.raw_records import Raw, publish, read_messages
from tests.support.receiver import Receiver
from tests.support.watch import logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
UUID = "abda146d-68b5-48ca-b527-16d2b7c5daef"
LOAN = "org.hookferry.demo.v1.LoanEventDataV1"


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
    fields = dict.fromkeys(field["name"] for field in schema.parsed["fields"])
    loan = fields | {"id": 42, "accountNo": "000000042", "clientName": "Naïve", "principal": Decimal("10"),
                     "currencyCode": "KES", "status": "APPROVED"}  # fmt: skip
    data = encode_single_object(schema.parsed, schema.fingerprint, loan)
    envelope = Envelope(7, "server-1", "LoanApprovedBusinessEvent", "Loan", "2026-06-29T08:15:30.123456",
                        "2026-06-29", "default", UUID, LOAN, data)  # fmt: skip
    publish(kafka, topic, [Raw(encode_envelope(envelope), encode_key(42)), Raw(b"junk", encode_key(43))])
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "bank")
    config["sources"] = {"bank": {"topics": [topic], "format": "fineract", "schemas": str(folder)}}
    bridge = bridges(config).start()
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
    assert "2 written to" in parked(bridge, "redrive", "--wait", "0", "--since", "1h", "--yes")
    receiver.wait_for("/shop", accepted=1)
    wait_settled(kafka, "bank.shop", "bank.again")
    (came,) = receiver.records("/shop")
    assert came["webhook_id"] == loan_letter["webhook_id"]
    assert came["webhook_id"].startswith(f"{UUID}_")
    assert orjson.loads(came["body"])["data"]["accountNo"] == "000000042"
    assert came["body"] in parked(bridge, "show", loan_letter["address"])
    (still,) = listed(bridge)
    assert still["from"] == junk["from"], "what is parked anew names the original place"
    assert still["address"] != junk["address"]


def test_parked_events_are_listed_shown_and_discarded(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Filters, a table for people, JSON for machines, everything about one; and no secret anywhere."""
    topic, config = topic_and_config(kafka, receiver, "shown")
    receiver.control(
        "/shop", status=422, body=f"no such order; your token was {TOKEN}", entities=["bad", "odd"]
    )
    secretive = order("bad", 0)._replace(headers=(("x-api-key", b"hush-hush"), ("trace", b"\x00\xff")))
    publish(
        kafka, topic, [order("good", 0), secretive, order("odd", 0, 1, note="ß" * 20_000), Raw(b"{", b"bad")]
    )
    bridge = bridges(config).start()
    wait_until(lambda: len(logged(bridge, "event.parked")) == 3, "three are parked")

    table = parked(bridge, "list")
    lines = table.splitlines()
    assert lines[0].split() == ["ADDRESS", "PARKED", "AT", "ENDPOINT", "ENTITY", "TYPE", "TRIES", "WHY"]
    assert sorted(line.split()[2] for line in lines[1:]) == ["*", "shop", "shop"]
    assert len({line.index("status 422") for line in lines if "status 422" in line}) == 1, "not aligned"
    everything = [*listed(bridge)]
    by_entity = {(letter["entity"], letter["endpoint"]): letter for letter in everything}
    bad, odd = by_entity["bad", "shop"], by_entity["odd", "shop"]

    def found(*filters: str) -> set[str]:
        return {letter["address"] for letter in listed(bridge, *filters)}

    assert found("--endpoint", "shop") == {bad["address"], odd["address"]}
    assert found("--endpoint", "*") == {by_entity["bad", None]["address"]}
    assert len(found("--entity", "bad")) == 2
    assert found("--entity", "odd") == {odd["address"]}
    assert found("--type", "Order*") == {bad["address"], odd["address"]}
    assert found("--reason", "NO SUCH") == {bad["address"], odd["address"]}
    assert found("--since", "1h") == {letter["address"] for letter in everything}
    assert found("--until", "1h") == set()
    assert len(found("--limit", "2")) == 2

    shown = parked(bridge, "show", bad["address"])
    for part in (
        "status 422: no such order; your token was ***", "fix the cause at the receiver",
        "OrderPlaced bad-0",
        f"{topic}-0@1", "trace: hex:00ff", "x-api-key: ***", secretive.value.decode(), bad["webhook_id"],
    ):  # fmt: skip
        assert part in shown, part
    (sent,) = (request for request in receiver.records("/shop") if request["entity"] == "bad")
    assert sent["body"] in shown
    assert re.search(
        r"… and 39\d{3} bytes more", parked(bridge, "show", odd["address"], "--max-bytes", "1000")
    )
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
    assert "1 discarded" in parked(
        bridge, "discard", "--parked-reason", "no such", "--entity", "bad", "--reason", "cancelled", "--yes",
        "--by", "ann",
    )  # fmt: skip
    assert found() == {letter["address"] for letter in everything} - {bad["address"]}
    assert "discarded" in parked(bridge, "list", "--all")
    assert "by ann cancelled" in parked(bridge, "show", bad["address"])
    wait_settled(kafka, "shown.shop", topic)
    assert receiver.count("/shop")["requests"] == 3, "discarding or refusing sent something"
    with pytest.raises(TimeoutError):
        read_messages(kafka, "shown.again", 1, timeout_s=1)
